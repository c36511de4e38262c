//! The C interface, the feature `capi`. `occlude.h` declares it and is where each function is documented; `tests/capi/main.rs`
//! holds the two together.
//!
//! Arguments have the types that say what C's pointers mean: `Option<&T>` a handle that is lent, `Option<Box<T>>` one that is given
//! back, [`Out`] a place for the result, `None` is C's NULL. Rust guarantees that these are plain pointers. So `unsafe` remains
//! only where a length or an end comes with the pointer, and for the caller's function.
//!
//! It is written against the crate's public interface and computes nothing itself.

#![allow(unsafe_code)]

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::fmt::Display;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr;
use std::slice;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::network::geometry::Rect;
use crate::weights;
use crate::{
    Classification, Error, GoogLeNet, Input, MaskValue, OcclusionMaps, OcclusionSensitivity, Photograph,
    Resize, Score, Upsampling, Weights,
};

const OCCLUDE_OK: c_int = 0;
const OCCLUDE_ERROR_IO: c_int = 1;
const OCCLUDE_ERROR_IMAGE: c_int = 2;
const OCCLUDE_ERROR_WEIGHTS: c_int = 3;
const OCCLUDE_ERROR_LABELS: c_int = 4;
const OCCLUDE_ERROR_WEIGHTS_NOT_FOUND: c_int = 5;
const OCCLUDE_ERROR_OPTION: c_int = 6;
const OCCLUDE_ERROR_UNKNOWN_CLASS: c_int = 7;
const OCCLUDE_ERROR_CANCELLED: c_int = 8;
// Those of this interface itself; the gap is for errors that the library will have.
const OCCLUDE_ERROR_ARGUMENT: c_int = 100;
#[cfg(not(feature = "image"))]
const OCCLUDE_ERROR_UNSUPPORTED: c_int = 101;
const OCCLUDE_ERROR_PANIC: c_int = 102;

const OCCLUDE_RESIZE_STRETCH: c_int = 0;
const OCCLUDE_RESIZE_CENTER_CROP: c_int = 1;

const OCCLUDE_SCORE_PROBABILITY: c_int = 0;
const OCCLUDE_SCORE_LOGIT: c_int = 1;

/// A place for a value, which C need not have filled in before.
type Out<'a, T> = Option<&'a mut MaybeUninit<T>>;

/// A place for a handle; NULL when there is none.
type OutHandle<'a, T> = Out<'a, Option<Box<T>>>;

/// The caller's function: positions done, positions in all, the caller's pointer; other than 0 to stop. One that panics, which only
/// one written in Rust can, is caught like any panic.
type Progress = Option<unsafe extern "C-unwind" fn(usize, usize, *mut c_void) -> c_int>;

pub struct Network {
    net: GoogLeNet,
    labels: Vec<CString>,
}

pub struct Image {
    input: Input,
}

/// Only what was set; the rest are [`OcclusionSensitivity`]'s defaults.
#[derive(Default)]
pub struct Options {
    mask_size: Option<[usize; 2]>,
    stride: Option<[usize; 2]>,
    mask_value: MaskValue,
    mask_clipping: Option<bool>,
    region: Option<Rect>,
    classes: Vec<usize>,
    top: Option<usize>,
    score: Score,
    exhaustive: bool,
    threads: usize,
    max_memory: Option<usize>,
}

impl Options {
    fn sweep<'a>(&self, net: &'a GoogLeNet) -> OcclusionSensitivity<'a> {
        let mut sweep = OcclusionSensitivity::new(net)
            .mask_value(self.mask_value)
            .classes(self.classes.clone())
            .score(self.score)
            .exhaustive(self.exhaustive)
            .threads(self.threads);
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

pub struct Cancel {
    requested: AtomicBool,
}

pub struct Maps {
    maps: OcclusionMaps,
}

/// Why a call did not do what it was asked to.
#[derive(Debug)]
struct Failure {
    status: c_int,
    text: String,
}

type Outcome<T> = Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = match &error {
            Error::Io { .. } => OCCLUDE_ERROR_IO,
            Error::Image { .. } => OCCLUDE_ERROR_IMAGE,
            Error::Weights { .. } => OCCLUDE_ERROR_WEIGHTS,
            Error::Labels { .. } => OCCLUDE_ERROR_LABELS,
            Error::WeightsNotFound { .. } => OCCLUDE_ERROR_WEIGHTS_NOT_FOUND,
            // No call of this interface names a layer.
            Error::Option { .. } | Error::UnknownLayer { .. } => OCCLUDE_ERROR_OPTION,
            Error::UnknownClass { .. } => OCCLUDE_ERROR_UNKNOWN_CLASS,
            Error::Cancelled => OCCLUDE_ERROR_CANCELLED,
        };
        Failure { status, text: error.to_string() }
    }
}

fn refuse(argument: &str, problem: impl Display) -> Failure {
    Failure { status: OCCLUDE_ERROR_ARGUMENT, text: format!("argument {argument}: {problem}") }
}

fn given<T>(argument: Option<T>, name: &str) -> Outcome<T> {
    argument.ok_or_else(|| refuse(name, "is NULL"))
}

fn not_null<T>(pointer: *const T, name: &str) -> Outcome<()> {
    if pointer.is_null() { Err(refuse(name, "is NULL")) } else { Ok(()) }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Runs what a function does; a failure leaves its text for `occlude_last_error`. No panic gets past this.
fn status(run: impl FnOnce() -> Outcome<()>) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = format!("a panic, which is a mistake in occlude or in a callback: {}", message(&*panic));
        Err(Failure { status: OCCLUDE_ERROR_PANIC, text })
    });
    let Err(Failure { status, text }) = outcome else { return OCCLUDE_OK };
    let text = CString::new(text.replace('\0', "\\0")).unwrap_or_default();
    LAST_ERROR.set(text);
    status
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}

/// A function that makes a handle: without one, the place for it is NULL.
fn make<T>(out: OutHandle<T>, name: &str, run: impl FnOnce() -> Outcome<T>) -> c_int {
    status(|| {
        let out = given(out, name)?;
        out.write(None);
        out.write(Some(Box::new(run()?)));
        Ok(())
    })
}

fn set(options: Option<&mut Options>, change: impl FnOnce(&mut Options) -> Outcome<()>) -> c_int {
    status(|| change(given(options, "options")?))
}

/// # Safety
/// `path` is NULL or ends in a zero byte, and lives as long as what is returned.
unsafe fn path<'a>(path: *const c_char) -> Outcome<&'a OsStr> {
    not_null(path, "path")?;
    // SAFETY: it is not NULL; the rest is the caller's to ensure.
    let path = unsafe { CStr::from_ptr(path) };
    // Elsewhere than on Unix the bytes of a name are not the system's own.
    #[cfg(unix)]
    return Ok(std::os::unix::ffi::OsStrExt::from_bytes(path.to_bytes()));
    #[cfg(not(unix))]
    path.to_str().map(OsStr::new).map_err(|_| refuse("path", "is not UTF-8"))
}

/// # Safety
/// `values` is NULL or points to `count` values, which live as long as what is returned.
unsafe fn array<'a, T>(values: *const T, count: usize, name: &str) -> Outcome<&'a [T]> {
    not_null(values, name)?;
    if count.checked_mul(size_of::<T>()).is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(refuse(name, format!("cannot have a length of {count}")));
    }
    // SAFETY: it is not NULL and not longer than an allocation can be; the rest is the caller's to ensure.
    Ok(unsafe { slice::from_raw_parts(values, count) })
}

/// Copies results to the caller, who says how many fit.
///
/// # Safety
/// `to` is NULL or has room for `count` values.
unsafe fn copy<T: Copy>(values: &[T], to: *mut T, count: usize, name: &str) -> Outcome<()> {
    not_null(to, name)?;
    if count != values.len() {
        return Err(refuse(name, format!("has room for {count} values, expected {}", values.len())));
    }
    // SAFETY: there is room for as many, which the caller ensures; the caller cannot have memory inside of ours.
    unsafe { ptr::copy_nonoverlapping(values.as_ptr(), to, count) };
    Ok(())
}

fn resize(number: c_int) -> Outcome<Resize> {
    match number {
        OCCLUDE_RESIZE_STRETCH => Ok(Resize::Stretch),
        OCCLUDE_RESIZE_CENTER_CROP => Ok(Resize::CenterCrop),
        _ => Err(refuse("resize", format!("is {number}, expected a constant of occlude_resize"))),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_last_error() -> *const c_char {
    LAST_ERROR.with_borrow(|text| text.as_ptr())
}

fn network(weights: &Weights) -> Outcome<Network> {
    let net = GoogLeNet::new(weights)?;
    let classes = net.network().classes();
    let labels = weights.labels();
    let label = |class| CString::new(labels.short(class)).unwrap_or_default();
    Ok(Network { labels: (0..classes).map(label).collect(), net })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_network_load(file: *const c_char, out: OutHandle<Network>) -> c_int {
    make(out, "network", || {
        // SAFETY: the header asks for a string.
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
        // SAFETY: the header asks for as many bytes.
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
            // SAFETY: the header asks for the pixels of all rows. What lies between rows need not be there.
            let row = unsafe { slice::from_raw_parts(rgb.add(row * row_bytes), of_pixels) };
            pixels.extend_from_slice(row);
        }
        Ok(Image { input: Photograph::from_rgb(height, width, &pixels)?.picture(how).input() })
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_image_open(file: *const c_char, how: c_int, out: OutHandle<Image>) -> c_int {
    make(out, "image", || {
        // SAFETY: the header asks for a string.
        let file = unsafe { path(file) }?;
        let how = resize(how)?;
        #[cfg(feature = "image")]
        return Ok(Image { input: Photograph::open(file)?.picture(how).input() });
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
        let Network { net, labels } = given(network, "network")?;
        let image = given(image, "image")?;
        not_null(probabilities, "probabilities")?;
        if count != labels.len() {
            let expected = labels.len();
            return Err(refuse("count", format!("is {count}, expected one for each of {expected} classes")));
        }
        let found = net.classify(&image.input).probabilities;
        // SAFETY: the header asks for room for `count`.
        unsafe { copy(&found, probabilities, count, "probabilities") }
    })
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
        options.mask_value = value;
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
        // SAFETY: the header asks for `count` of them.
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
            _ => return Err(refuse("score", format!("is {score}, expected a constant of occlude_score"))),
        };
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

#[unsafe(no_mangle)]
pub extern "C" fn occlude_cancel_new(out: OutHandle<Cancel>) -> c_int {
    make(out, "cancel", || Ok(Cancel { requested: AtomicBool::new(false) }))
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_cancel_request(cancel: Option<&Cancel>) -> c_int {
    status(|| {
        given(cancel, "cancel")?.requested.store(true, Ordering::Relaxed);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_cancel_free(_cancel: Option<Box<Cancel>>) {}

/// The caller's function, its pointer, and the most positions that it has been told of.
struct Listener {
    progress: Progress,
    user: *mut c_void,
    told: usize,
}

// SAFETY: the header says that the function is called with the pointer from other threads, one at a time.
unsafe impl Send for Listener {}

impl Listener {
    fn tell(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        let Some(progress) = self.progress.filter(|_| done > self.told) else {
            return ControlFlow::Continue(());
        };
        self.told = done;
        // SAFETY: the header asks for a function that can be called with this pointer as long as the sweep runs.
        match unsafe { progress(done, total, self.user) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_explain(
    network: Option<&Network>,
    image: Option<&Image>,
    options: Option<&Options>,
    progress: Progress,
    user: *mut c_void,
    cancel: Option<&Cancel>,
    out: OutHandle<Maps>,
) -> c_int {
    make(out, "maps", || {
        let Network { net, labels } = given(network, "network")?;
        let image = given(image, "image")?;
        let default = Options::default();
        let options = options.unwrap_or(&default);
        let mut sweep = options.sweep(net);
        let most_probable = |found: &Classification| found.top(options.top.unwrap_or(1));
        if let Some(top) = options.top {
            if top > labels.len() {
                return Err(Failure::from(Error::Option {
                    name: "number of most probable classes",
                    found: top.to_string(),
                    expected: format!("1 to {}", labels.len()),
                }));
            }
            sweep = sweep.choose_classes(&most_probable);
        }
        if let Some(cancel) = cancel {
            sweep = sweep.cancel(&cancel.requested);
        }
        let listener = Mutex::new(Listener { progress, user, told: 0 });
        let on_progress = |now: crate::sweep::Progress| match listener.lock() {
            Ok(mut listener) => listener.tell(now.done, now.total),
            // Poisoned by a panic in the function, which ends the sweep anyway.
            Err(_) => ControlFlow::Break(()),
        };
        Ok(Maps { maps: sweep.on_progress(&on_progress).run(&image.input)? })
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_maps_free(_maps: Option<Box<Maps>>) {}

/// A number or several that a result has.
fn get<T>(
    maps: Option<&Maps>,
    out: Out<T>,
    name: &str,
    of: impl FnOnce(&OcclusionMaps) -> Outcome<T>,
) -> c_int {
    status(|| {
        let maps = given(maps, "maps")?;
        given(out, name)?.write(of(&maps.maps)?);
        Ok(())
    })
}

/// An argument that has to be below a limit.
fn below(index: usize, limit: usize, name: &str) -> Outcome<usize> {
    if index < limit {
        Ok(index)
    } else {
        Err(refuse(name, format!("is {index}, expected less than {limit}")))
    }
}

fn sides(rect: Rect) -> [usize; 4] {
    [rect.y0, rect.x0, rect.y1, rect.x1]
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_maps_grid(maps: Option<&Maps>, grid: Out<[usize; 2]>) -> c_int {
    get(maps, grid, "grid", |maps| Ok(maps.grid))
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_maps_area(maps: Option<&Maps>, area: Out<[usize; 4]>) -> c_int {
    get(maps, area, "area", |maps| Ok(sides(maps.area())))
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_maps_mask_rect(
    maps: Option<&Maps>,
    row: usize,
    column: usize,
    rect: Out<[usize; 4]>,
) -> c_int {
    get(maps, rect, "rect", |maps| {
        let [ny, nx] = maps.grid;
        Ok(sides(maps.mask_rect(below(row, ny, "row")?, below(column, nx, "column")?)))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_maps_count(maps: Option<&Maps>) -> usize {
    maps.map_or(0, |maps| maps.maps.classes.len())
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_maps_class(maps: Option<&Maps>, k: usize, class: Out<usize>) -> c_int {
    get(maps, class, "class_index", |maps| Ok(maps.classes[below(k, maps.classes.len(), "k")?]))
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_maps_base_score(maps: Option<&Maps>, k: usize, score: Out<f32>) -> c_int {
    get(maps, score, "score", |maps| Ok(maps.base_scores[below(k, maps.classes.len(), "k")?]))
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_maps_scores(
    maps: Option<&Maps>,
    k: usize,
    scores: *mut f32,
    count: usize,
) -> c_int {
    status(|| {
        let maps = &given(maps, "maps")?.maps;
        let k = below(k, maps.classes.len(), "k")?;
        let positions = maps.argmax.len();
        // SAFETY: the header asks for room for `count`.
        unsafe { copy(&maps.scores[k * positions..][..positions], scores, count, "scores") }
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_maps_map(
    maps: Option<&Maps>,
    k: usize,
    drops: *mut f32,
    count: usize,
) -> c_int {
    status(|| {
        let maps = &given(maps, "maps")?.maps;
        let map = maps.map(below(k, maps.classes.len(), "k")?);
        // SAFETY: the header asks for room for `count`.
        unsafe { copy(map.values(), drops, count, "drops") }
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_maps_upsampled(
    maps: Option<&Maps>,
    k: usize,
    pixels: *mut f32,
    count: usize,
) -> c_int {
    status(|| {
        let maps = &given(maps, "maps")?.maps;
        let map = maps.upsampled(below(k, maps.classes.len(), "k")?, Upsampling::Bicubic);
        // SAFETY: the header asks for room for `count`.
        unsafe { copy(&map, pixels, count, "pixels") }
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_maps_argmax(
    maps: Option<&Maps>,
    classes: *mut usize,
    count: usize,
) -> c_int {
    status(|| {
        let maps = &given(maps, "maps")?.maps;
        // SAFETY: the header asks for room for `count`.
        unsafe { copy(&maps.argmax, classes, count, "classes") }
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_maps_argmax_scores(
    maps: Option<&Maps>,
    scores: *mut f32,
    count: usize,
) -> c_int {
    status(|| {
        let maps = &given(maps, "maps")?.maps;
        // SAFETY: the header asks for room for `count`.
        unsafe { copy(&maps.argmax_scores, scores, count, "scores") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network as Table;
    use std::path::PathBuf;

    fn last_error() -> String {
        // SAFETY: what it returns is valid until the next failure.
        unsafe { CStr::from_ptr(occlude_last_error()) }.to_str().unwrap().to_string()
    }

    /// Calls a function that makes a handle.
    fn made<T>(make: impl FnOnce(OutHandle<T>) -> c_int) -> Result<Box<T>, c_int> {
        let mut out = MaybeUninit::uninit();
        let status = make(Some(&mut out));
        // SAFETY: a function that is given a place sets it, to NULL before anything else.
        let handle = unsafe { out.assume_init() };
        assert_eq!(handle.is_some(), status == OCCLUDE_OK);
        handle.ok_or(status)
    }

    fn image(seed: usize) -> Box<Image> {
        let rgb: Vec<u8> = (0..30 * 40 * 3).map(|i| (i * seed % 251) as u8).collect();
        // SAFETY: that is 30 rows of 40 pixels.
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
                // SAFETY: the function does not look at the pointer.
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
        ];
        for (error, expected) in errors.into_iter().zip(1..) {
            assert_eq!(status(|| Err(Failure::from(error))), expected);
        }
        // A text with a zero byte is not cut short.
        let odd = Error::Image { name, problem: "end".to_string() };
        assert_eq!(
            (status(|| Err(odd.into())), last_error()),
            (OCCLUDE_ERROR_IMAGE, "a\\0b: end".to_string())
        );
        // What succeeds leaves it alone.
        assert_eq!((status(|| Ok(())), last_error()), (OCCLUDE_OK, "a\\0b: end".to_string()));
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
            // SAFETY: the pixels of all rows are there.
            made(|out| unsafe {
                occlude_image_from_rgb(rgb, rows, columns, pitch, OCCLUDE_RESIZE_STRETCH, out)
            })
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

    /// What the header promises about threads.
    #[test]
    fn handles_are_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Network>();
        shared::<Image>();
        shared::<Options>();
        shared::<Cancel>();
        shared::<Maps>();
    }
}
