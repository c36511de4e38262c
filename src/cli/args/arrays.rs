//! Options of the arrays, for `occlude explain` and `occlude batch`.

use clap::Args;

use super::values::listed_choice;

/// The file format of `--arrays`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArrayFile {
    /// Holds only the maps.
    Npy,
    Npz,
    Safetensors,
}

/// The names of the formats on the command line.
pub const ARRAY_FILES: &[(&str, ArrayFile)] =
    &[("npy", ArrayFile::Npy), ("npz", ArrayFile::Npz), ("safetensors", ArrayFile::Safetensors)];

/// The arrays that are written beside `map.json`.
#[derive(Clone, Args)]
pub struct Arrays {
    /// Also write the numbers as arrays. Formats, separated by commas: npz (maps.npz, for
    /// numpy.load), npy (maps.npy, only the maps), safetensors (maps.safetensors)
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = listed_choice(ARRAY_FILES))]
    pub arrays: Vec<ArrayFile>,

    /// Add to maps.npz and maps.safetensors the maps at the pixels of the 224x224 picture, by cubic
    /// interpolation between the centres of the masks
    #[arg(long, requires = "arrays")]
    pub upsampled: bool,
}
