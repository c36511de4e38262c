//! The options of an explanation.

use std::ffi::{c_char, c_int};

use super::network::{Image, Network};
use super::{
    OCCLUDE_CHANNEL_BLUE, OCCLUDE_CHANNEL_GREEN, OCCLUDE_CHANNEL_RED, OCCLUDE_CHANNELS_ALL,
    OCCLUDE_SCORE_ENTROPY, OCCLUDE_SCORE_LOGIT, OCCLUDE_SCORE_LOGIT_MARGIN, OCCLUDE_SCORE_MARGIN,
    OCCLUDE_SCORE_PROBABILITY, OCCLUDE_SHAPE_ELLIPSE, OCCLUDE_SHAPE_GAUSSIAN, OCCLUDE_SHAPE_RECTANGLE,
    OutHandle, Outcome,
};
use super::{array, given, make, refuse, status, string};
use crate::network::geometry::Rect;
use crate::network::groups::Groups;
use crate::parallel::check_threads;
use crate::{Against, Channel, GoogLeNet, Input, MaskValue, OcclusionSensitivity, Score, Segments, Shape};

/// The options that were set. The others have the defaults of [`OcclusionSensitivity`].
#[derive(Default)]
pub struct Options {
    mask_size: Option<[usize; 2]>,
    stride: Option<[usize; 2]>,
    pub(super) mask_value: MaskValue,
    picture: Option<Input>,
    shape: Shape,
    channel: Option<Channel>,
    inverse: bool,
    segments: Option<Segments>,
    mask_clipping: Option<bool>,
    region: Option<Rect>,
    classes: Vec<usize>,
    pub(super) top: Option<usize>,
    score: Score,
    pub(super) exhaustive: bool,
    pub(super) threads: usize,
    max_memory: Option<usize>,
}

impl Options {
    pub(super) fn sweep<'a>(&'a self, net: &'a GoogLeNet) -> OcclusionSensitivity<'a> {
        let mut sweep = OcclusionSensitivity::new(net)
            .mask_value(self.mask_value)
            .classes(self.classes.clone())
            .score(self.score.clone())
            .exhaustive(self.exhaustive)
            .threads(self.threads)
            .shape(self.shape)
            .channel(self.channel)
            .inverse(self.inverse);
        if let Some(picture) = &self.picture {
            sweep = sweep.mask_picture(picture);
        }
        if let Some(segments) = &self.segments {
            sweep = sweep.segments(segments);
        }
        if let Some(size) = self.mask_size {
            sweep = sweep.mask_size(size);
        }
        if let Some(stride) = self.stride {
            sweep = sweep.stride(stride);
        }
        if let Some(on) = self.mask_clipping {
            sweep = sweep.mask_clipping(on);
        }
        if let Some(region) = self.region {
            sweep = sweep.region(region);
        }
        if let Some(bytes) = self.max_memory {
            sweep = sweep.max_memory(bytes);
        }
        sweep
    }
}

fn set(options: Option<&mut Options>, change: impl FnOnce(&mut Options) -> Outcome<()>) -> c_int {
    status(|| change(given(options, "options")?))
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_new(out: OutHandle<Options>) -> c_int {
    make(out, "options", || Ok(Options::default()))
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_free(_options: Option<Box<Options>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_mask_size(
    options: Option<&mut Options>,
    height: usize,
    width: usize,
) -> c_int {
    set(options, |options| {
        options.mask_size = Some([height, width]);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_stride(options: Option<&mut Options>, down: usize, across: usize) -> c_int {
    set(options, |options| {
        options.stride = Some([down, across]);
        Ok(())
    })
}

fn set_mask_value(options: Option<&mut Options>, value: MaskValue) -> c_int {
    set(options, |options| {
        value.check()?;
        (options.mask_value, options.picture) = (value, None);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_mask_auto(options: Option<&mut Options>) -> c_int {
    set_mask_value(options, MaskValue::Auto)
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_mask_training_mean(options: Option<&mut Options>) -> c_int {
    set_mask_value(options, MaskValue::TrainingMean)
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_mask_rgb(
    options: Option<&mut Options>,
    red: f32,
    green: f32,
    blue: f32,
) -> c_int {
    set_mask_value(options, MaskValue::Rgb([red, green, blue]))
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_mask_blur(options: Option<&mut Options>, sigma: f32) -> c_int {
    set_mask_value(options, MaskValue::Blur(sigma))
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_mask_noise(options: Option<&mut Options>, seed: u64) -> c_int {
    set_mask_value(options, MaskValue::Noise(seed))
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_mask_patch(options: Option<&mut Options>) -> c_int {
    set_mask_value(options, MaskValue::Patch)
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_mask_inpaint(options: Option<&mut Options>) -> c_int {
    set_mask_value(options, MaskValue::Inpaint)
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_mask_picture(
    options: Option<&mut Options>,
    picture: Option<&Image>,
) -> c_int {
    set(options, |options| {
        let picture = given(picture, "picture")?.input.clone();
        (options.mask_value, options.picture) = (MaskValue::Picture, Some(picture));
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_mask_shape(options: Option<&mut Options>, shape: c_int) -> c_int {
    set(options, |options| {
        options.shape = match shape {
            OCCLUDE_SHAPE_RECTANGLE => Shape::Rectangle,
            OCCLUDE_SHAPE_ELLIPSE => Shape::Ellipse,
            OCCLUDE_SHAPE_GAUSSIAN => Shape::Gaussian,
            _ => return Err(refuse("shape", format!("is {shape}, expected a constant of occlude_shape"))),
        };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_mask_channel(options: Option<&mut Options>, channel: c_int) -> c_int {
    set(options, |options| {
        options.channel = match channel {
            OCCLUDE_CHANNELS_ALL => None,
            OCCLUDE_CHANNEL_RED => Some(Channel::Red),
            OCCLUDE_CHANNEL_GREEN => Some(Channel::Green),
            OCCLUDE_CHANNEL_BLUE => Some(Channel::Blue),
            _ => {
                return Err(refuse(
                    "channel",
                    format!("is {channel}, expected a constant of occlude_channel"),
                ));
            }
        };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_inverse(options: Option<&mut Options>, on: c_int) -> c_int {
    set(options, |options| {
        options.inverse = on != 0;
        Ok(())
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_options_segments(
    options: Option<&mut Options>,
    numbers: *const i32,
    count: usize,
) -> c_int {
    set(options, |options| {
        // SAFETY: the header requires `count` values.
        let numbers = unsafe { array(numbers, count, "numbers") }?;
        let numbers: Vec<Option<u32>> = numbers.iter().map(|&number| u32::try_from(number).ok()).collect();
        options.segments = Some(Segments::new(&numbers)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_mask_clipping(options: Option<&mut Options>, on: c_int) -> c_int {
    set(options, |options| {
        options.mask_clipping = Some(on != 0);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_region(
    options: Option<&mut Options>,
    y0: usize,
    x0: usize,
    y1: usize,
    x1: usize,
) -> c_int {
    set(options, |options| {
        options.region = Some(Rect { y0, x0, y1, x1 });
        Ok(())
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_options_classes(
    options: Option<&mut Options>,
    classes: *const usize,
    count: usize,
) -> c_int {
    set(options, |options| {
        // SAFETY: the header requires `count` values.
        let classes = unsafe { array(classes, count, "classes") }?;
        if classes.is_empty() {
            return Err(refuse("count", "is 0, expected at least one class"));
        }
        (options.classes, options.top) = (classes.to_vec(), None);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_top(options: Option<&mut Options>, count: usize) -> c_int {
    set(options, |options| {
        if count == 0 {
            return Err(refuse("count", "is 0, expected at least one class"));
        }
        (options.classes, options.top) = (Vec::new(), Some(count));
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_score(options: Option<&mut Options>, score: c_int) -> c_int {
    set(options, |options| {
        options.score = match score {
            OCCLUDE_SCORE_PROBABILITY => Score::Probability,
            OCCLUDE_SCORE_LOGIT => Score::Logit,
            OCCLUDE_SCORE_MARGIN => Score::Margin,
            OCCLUDE_SCORE_LOGIT_MARGIN => Score::LogitMargin,
            OCCLUDE_SCORE_ENTROPY => Score::Entropy,
            _ => return Err(refuse("score", format!("is {score}, expected a constant of occlude_score"))),
        };
        Ok(())
    })
}

fn set_contrast(options: Option<&mut Options>, against: Against, logits: c_int) -> c_int {
    set(options, |options| {
        options.score = if logits == 0 { Score::Contrast(against) } else { Score::LogitContrast(against) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_contrast(
    options: Option<&mut Options>,
    class: usize,
    logits: c_int,
) -> c_int {
    set_contrast(options, Against::Class(class), logits)
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_contrast_nearest(
    options: Option<&mut Options>,
    count: usize,
    logits: c_int,
) -> c_int {
    if count == 0 {
        return status(|| Err(refuse("count", "is 0, expected at least one class")));
    }
    set_contrast(options, Against::Nearest(count), logits)
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_options_group(
    options: Option<&mut Options>,
    classes: *const usize,
    count: usize,
) -> c_int {
    set(options, |options| {
        // SAFETY: the header requires `count` values.
        let mut classes = unsafe { array(classes, count, "classes") }?.to_vec();
        if classes.is_empty() {
            return Err(refuse("count", "is 0, expected at least one class"));
        }
        classes.sort_unstable();
        classes.dedup();
        options.score = Score::Group { name: "classes".to_string(), classes };
        Ok(())
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_options_wordnet_group(
    options: Option<&mut Options>,
    network: Option<&Network>,
    name: *const c_char,
) -> c_int {
    set(options, |options| {
        let network = given(network, "network")?;
        // SAFETY: the header requires a string.
        let name = unsafe { string(name, "name") }?;
        let groups = Groups::wordnet(&network.names);
        let group = groups.find(name)?;
        options.score = Score::Group { name: name.to_string(), classes: group.classes.clone() };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_exhaustive(options: Option<&mut Options>, on: c_int) -> c_int {
    set(options, |options| {
        options.exhaustive = on != 0;
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_threads(options: Option<&mut Options>, count: usize) -> c_int {
    set(options, |options| {
        check_threads("number of threads", count)?;
        options.threads = count;
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_options_max_memory(options: Option<&mut Options>, bytes: usize) -> c_int {
    set(options, |options| {
        options.max_memory = Some(bytes);
        Ok(())
    })
}
