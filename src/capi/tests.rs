use std::ffi::c_void;
use std::path::PathBuf;

use super::explain::{Cancel, Progress, occlude_explain};
use super::maps::Maps;
#[cfg(not(feature = "image"))]
use super::network::occlude_image_open;
use super::network::{
    Image, Network, network, occlude_image_from_rgb, occlude_label, occlude_network_classes,
};
use super::options::{Options, occlude_options_stride};
use super::region::Region;
use super::*;
use crate::Weights;
use crate::network::Network as Table;

fn last_error() -> String {
    // SAFETY: the text is valid until the next failure.
    unsafe { CStr::from_ptr(occlude_last_error()) }.to_str().unwrap().to_string()
}

/// Calls a function that creates a handle.
fn made<T>(make: impl FnOnce(OutHandle<T>) -> c_int) -> Result<Box<T>, c_int> {
    let mut out = MaybeUninit::uninit();
    let status = make(Some(&mut out));
    // SAFETY: the function sets the location to NULL before anything else.
    let handle = unsafe { out.assume_init() };
    assert_eq!(handle.is_some(), status == OCCLUDE_OK);
    handle.ok_or(status)
}

fn image(seed: usize) -> Box<Image> {
    let rgb: Vec<u8> = (0..30 * 40 * 3).map(|i| (i * seed % 251) as u8).collect();
    // SAFETY: the array holds 30 rows of 40 pixels.
    made(|out| unsafe { occlude_image_from_rgb(rgb.as_ptr(), 30, 40, 120, OCCLUDE_RESIZE_STRETCH, out) })
        .unwrap()
}

unsafe extern "C-unwind" fn panics(done: usize, _total: usize, _user: *mut c_void) -> c_int {
    panic!("at {done}, where a callback fell over");
}

#[test]
fn a_panic_becomes_a_status_and_leaves_the_network_as_it_was() {
    let net = network(&Weights::seeded(1)).unwrap();
    let (image, mut options) = (image(7), Options::default());
    occlude_options_stride(Some(&mut options), 40, 40);
    let explain = |progress: Progress| {
        made(|out| {
            let (net, image, options) = (Some(&net), Some(&*image), Some(&options));
            // SAFETY: the function does not use the pointer.
            unsafe { occlude_explain(net, image, options, progress, ptr::null_mut(), None, out) }
        })
    };
    let before = explain(None).unwrap();
    assert_eq!(explain(Some(panics)).err(), Some(OCCLUDE_ERROR_PANIC));
    assert!(last_error().contains("where a callback fell over"), "{}", last_error());
    assert!(explain(None).unwrap().maps == before.maps);

    assert_eq!(status(|| std::panic::panic_any(5)), OCCLUDE_ERROR_PANIC);
    assert!(last_error().ends_with("no text"), "{}", last_error());
}

#[test]
fn classes_are_named_by_imagenet_where_there_are_as_many_and_by_number_elsewhere() {
    let label = |net: &Network, class| {
        let text = occlude_label(Some(net), class);
        // SAFETY: a label lives as long as its network.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_string())
    };
    let net = network(&Weights::seeded(1)).unwrap();
    assert_eq!((occlude_network_classes(Some(&net)), label(&net, 1000)), (1000, None));
    assert_eq!(label(&net, 281).as_deref(), Some("tabby"));
    let net = network(&Weights::seeded_for(Table::torchvision(3), 1)).unwrap();
    assert_eq!((occlude_network_classes(Some(&net)), label(&net, 3)), (3, None));
    assert_eq!(label(&net, 2).as_deref(), Some("class 2"));
}

#[test]
fn each_kind_of_error_has_a_status_of_its_own() {
    let (name, problem) = (String::from("a\0b"), String::new());
    let errors = [
        Error::Io { path: PathBuf::new(), action: "read", source: std::io::Error::other("") },
        Error::Image { name: name.clone(), problem: problem.clone() },
        Error::Weights { name: name.clone(), problem: problem.clone() },
        Error::Labels { name: name.clone(), problem },
        Error::WeightsNotFound { tried: Vec::new() },
        Error::Option { name: "", found: String::new(), expected: String::new() },
        Error::UnknownClass { name: name.clone(), similar: Vec::new(), elsewhere: None },
        Error::Cancelled,
        Error::Memory { purpose: "", problem: String::new() },
    ];
    for (error, expected) in errors.into_iter().zip(1..) {
        assert_eq!(status(|| Err(Failure::from(error))), expected);
    }
    // A zero byte does not truncate the text.
    let odd = Error::Image { name, problem: "end".to_string() };
    assert_eq!(
        (status(|| Err(odd.into())), last_error()),
        (OCCLUDE_ERROR_IMAGE, "a\\u{0}b: end".to_string())
    );
    // A success does not change the text.
    assert_eq!((status(|| Ok(())), last_error()), (OCCLUDE_OK, "a\\u{0}b: end".to_string()));
}

#[test]
fn rows_may_lie_apart_and_only_their_pixels_are_read() {
    let (rows, columns, pitch) = (3, 2, 11);
    let mut apart = vec![MaybeUninit::<u8>::uninit(); (rows - 1) * pitch + columns * 3];
    let mut close = Vec::new();
    for i in 0..rows * columns * 3 {
        let level = (i * 13) as u8;
        apart[i / (columns * 3) * pitch + i % (columns * 3)].write(level);
        close.push(level);
    }
    let taken = |rgb: *const u8, pitch| {
        // SAFETY: the pixels of all rows exist.
        made(|out| unsafe { occlude_image_from_rgb(rgb, rows, columns, pitch, OCCLUDE_RESIZE_STRETCH, out) })
    };
    let apart = taken(apart.as_ptr().cast(), pitch).unwrap();
    assert!(apart.input == taken(close.as_ptr(), columns * 3).unwrap().input);
}

#[test]
#[cfg(not(feature = "image"))]
fn without_the_feature_image_nothing_is_opened() {
    let file = c"cat.jpg";
    // SAFETY: it is a string.
    let open = made(|out| unsafe { occlude_image_open(file.as_ptr(), OCCLUDE_RESIZE_STRETCH, out) });
    assert_eq!(open.err(), Some(OCCLUDE_ERROR_UNSUPPORTED));
    assert!(last_error().contains("cannot open cat.jpg"), "{}", last_error());
}

/// The header states that handles can be shared between threads.
#[test]
fn handles_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Network>();
    shared::<Image>();
    shared::<Options>();
    shared::<Cancel>();
    shared::<Maps>();
    shared::<Region>();
}
