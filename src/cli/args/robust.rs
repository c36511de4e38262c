//! Options of `explain --robust`.

use clap::Args;
use occlude::sweep::MASK_SIZE;
use occlude::{Error, MaskValue, Result};

use super::sweep::Sweep;
use super::values::{Size, mask_value, size};

/// The largest number of maps.
const MOST: usize = 100;

/// The options of the repetition of a map with other masks.
#[derive(Args)]
#[command(next_help_heading = "Other masks")]
pub struct Robust {
    /// Also repeat the map with each size of --robust-size and each fill of --robust-fill, nine maps by
    /// default, and report what survives: the mean of the maps, and where their signs agree. Each map is
    /// divided by its largest magnitude before, because larger masks have larger drops. Where less than
    /// four fifths of the maps have the sign of the mean, the figure is hatched
    #[arg(long)]
    pub robust: bool,

    /// A size of the mask for --robust, as --mask-size. May be given several times
    #[arg(long, value_name = "SIZE", requires = "robust", default_values = ["30", "45", "60"], value_parser = size,
          allow_hyphen_values = true)]
    pub robust_size: Vec<Size>,

    /// A fill of the mask for --robust, as --mask-value. May be given several times
    #[arg(long, value_name = "FILL", requires = "robust", default_values = ["auto", "blur", "mean"],
          value_parser = mask_value, allow_hyphen_values = true)]
    pub robust_fill: Vec<MaskValue>,
}

impl Robust {
    /// The sizes and fills of the maps, each once; none without `--robust`.
    ///
    /// # Errors
    /// [`Error::Option`] for less than two or too many maps, and for masks without common centres.
    pub fn masks(&self, sweep: &Sweep) -> Result<Vec<([usize; 2], MaskValue)>> {
        let mut masks = Vec::new();
        if !self.robust {
            return Ok(masks);
        }
        for size in &self.robust_size {
            let size = match size {
                Size::Auto => MASK_SIZE,
                Size::Pixels(size) => *size,
            };
            for fill in &self.robust_fill {
                let mask = (size, *fill);
                if !masks.contains(&mask) {
                    masks.push(mask);
                }
            }
        }
        let refuse = |found: String, expected: &str| Error::Option {
            name: "--robust",
            found,
            expected: expected.to_string(),
        };
        if !(2..=MOST).contains(&masks.len()) {
            let found = format!("with {} different masks", masks.len());
            return Err(refuse(found, &format!("2 to {MOST}, by --robust-size and --robust-fill")));
        }
        let other = match (&sweep.segments, &sweep.mask_picture) {
            (Some(_), _) => Some("--segments"),
            (_, Some(_)) => Some("--mask-picture"),
            _ => None,
        };
        if let Some(other) = other {
            return Err(refuse(format!("with {other}"), "masks of several sizes and fills"));
        }
        if !sweep.mask_clipping {
            let expected = "--mask-clipping on: otherwise masks of different sizes have different centres";
            return Err(refuse("with --mask-clipping off".to_string(), expected));
        }
        Ok(masks)
    }
}
