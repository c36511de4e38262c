//! Networks, images and the classification of an image by a network.

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;
use std::{ptr, slice};

#[cfg(not(feature = "image"))]
use super::{Failure, OCCLUDE_ERROR_UNSUPPORTED};
use super::{OCCLUDE_RESIZE_CENTER_CROP, OCCLUDE_RESIZE_MATLAB, OCCLUDE_RESIZE_PAD, OCCLUDE_RESIZE_STRETCH};
use super::{OutHandle, Outcome};
use super::{array, copy, given, make, not_null, path, refuse, status};
use crate::image::Framing;
use crate::weights;
use crate::{GoogLeNet, Input, Labels, Photograph, Resize, Weights};

pub struct Network {
    pub(super) net: GoogLeNet,
    pub(super) names: Labels,
    /// The first name of each class.
    pub(super) labels: Vec<CString>,
}

pub struct Image {
    pub(super) input: Input,
    pub(super) framing: Framing,
}

impl Image {
    fn of(photograph: &Photograph, how: Resize) -> Image {
        Image { input: photograph.picture(how).input(), framing: photograph.framing(how) }
    }
}

fn resize(number: c_int) -> Outcome<Resize> {
    match number {
        OCCLUDE_RESIZE_STRETCH => Ok(Resize::Stretch),
        OCCLUDE_RESIZE_CENTER_CROP => Ok(Resize::CenterCrop),
        OCCLUDE_RESIZE_PAD => Ok(Resize::Pad),
        OCCLUDE_RESIZE_MATLAB => Ok(Resize::Matlab),
        _ => Err(refuse("resize", format!("is {number}, expected a constant of occlude_resize"))),
    }
}

pub(super) fn network(weights: &Weights) -> Outcome<Network> {
    let names = weights.labels();
    Ok(Network { labels: in_c(&names), names, net: GoogLeNet::new(weights)? })
}

/// The first name of each class as a string of C.
pub(super) fn in_c(labels: &Labels) -> Vec<CString> {
    (0..labels.count()).map(|class| CString::new(labels.short(class)).unwrap_or_default()).collect()
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_network_load(file: *const c_char, out: OutHandle<Network>) -> c_int {
    make(out, "network", || {
        // SAFETY: the header requires a string.
        let file = unsafe { path(file) }?;
        let source = match file {
            file if file == weights::BUILTIN_NAME => weights::find(Some(Path::new(file)))?,
            file => weights::Source::File(file.into()),
        };
        network(&source.load()?)
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_network_from_memory(
    bytes: *const c_void,
    length: usize,
    out: OutHandle<Network>,
) -> c_int {
    make(out, "network", || {
        // SAFETY: the header requires `length` bytes.
        let bytes = unsafe { array(bytes.cast::<u8>(), length, "bytes") }?;
        network(&Weights::from_bytes("the weights in memory", bytes)?)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_network_free(_network: Option<Box<Network>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_network_classes(network: Option<&Network>) -> usize {
    network.map_or(0, |network| network.labels.len())
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_network_labels(
    network: Option<&mut Network>,
    names: *const c_char,
    length: usize,
) -> c_int {
    status(|| {
        let network = given(network, "network")?;
        // SAFETY: the header requires `length` bytes.
        let names = unsafe { array(names.cast::<u8>(), length, "names") }?;
        let labels = Labels::parse("the names of the classes", names)?;
        labels.check_count(network.labels.len())?;
        (network.labels, network.names) = (in_c(&labels), labels);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_label(network: Option<&Network>, class: usize) -> *const c_char {
    network.and_then(|network| network.labels.get(class)).map_or(ptr::null(), |label| label.as_ptr())
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_image_from_rgb(
    rgb: *const u8,
    height: usize,
    width: usize,
    row_bytes: usize,
    how: c_int,
    out: OutHandle<Image>,
) -> c_int {
    make(out, "image", || {
        not_null(rgb, "rgb")?;
        let how = resize(how)?;
        let of_pixels = width.checked_mul(3).filter(|bytes| *bytes <= row_bytes).ok_or_else(|| {
            refuse("row_bytes", format!("is {row_bytes}, expected at least 3 for each of {width} pixels"))
        })?;
        let too_large = || refuse("height", format!("is {height}: rows of {row_bytes} bytes are too many"));
        let all = height.checked_mul(row_bytes).filter(|bytes| *bytes <= isize::MAX as usize);
        all.ok_or_else(too_large)?;
        let mut pixels = Vec::new();
        pixels.try_reserve_exact(height * of_pixels).map_err(|_| too_large())?;
        for row in 0..height {
            // SAFETY: the header requires the pixels of all rows. The bytes between rows are not
            // read.
            let row = unsafe { slice::from_raw_parts(rgb.add(row * row_bytes), of_pixels) };
            pixels.extend_from_slice(row);
        }
        Ok(Image::of(&Photograph::from_rgb(height, width, &pixels)?, how))
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_image_open(file: *const c_char, how: c_int, out: OutHandle<Image>) -> c_int {
    make(out, "image", || {
        // SAFETY: the header requires a string.
        let file = unsafe { path(file) }?;
        let how = resize(how)?;
        #[cfg(feature = "image")]
        return Ok(Image::of(&Photograph::open(file)?, how));
        #[cfg(not(feature = "image"))]
        {
            let _ = how;
            let text = format!(
                "cannot open {}: occlude was built without the feature image; give it pixels by occlude_image_from_rgb",
                file.display()
            );
            Err(Failure { status: OCCLUDE_ERROR_UNSUPPORTED, text })
        }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_image_free(_image: Option<Box<Image>>) {}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_classify(
    network: Option<&Network>,
    image: Option<&Image>,
    probabilities: *mut f32,
    count: usize,
) -> c_int {
    status(|| {
        let Network { net, labels, .. } = given(network, "network")?;
        let image = given(image, "image")?;
        not_null(probabilities, "probabilities")?;
        if count != labels.len() {
            let expected = labels.len();
            return Err(refuse("count", format!("is {count}, expected one for each of {expected} classes")));
        }
        net.check_memory()?;
        let found = net.classify(&image.input).probabilities;
        // SAFETY: the header requires room for `count` values.
        unsafe { copy(&found, probabilities, count, "probabilities") }
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_gradcam(
    network: Option<&Network>,
    image: Option<&Image>,
    classes: *const usize,
    count: usize,
    maps: *mut f32,
    values: usize,
) -> c_int {
    status(|| {
        let Network { net, .. } = given(network, "network")?;
        let image = given(image, "image")?;
        // SAFETY: the header requires `count` values.
        let classes = unsafe { array(classes, count, "classes") }?;
        not_null(maps, "maps")?;
        net.check_memory()?;
        let found = net.grad_cam(&net.forward(&image.input), classes)?;
        // SAFETY: the header requires room for `values` values.
        unsafe { copy(&found.maps, maps, values, "maps") }
    })
}
