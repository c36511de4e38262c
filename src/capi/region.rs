//! Regions: the evidence in a map, and the smallest parts that keep or lose a class.

use std::ffi::c_int;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use super::explain::Cancel;
use super::maps::{below, sides};
use super::network::{Image, Network};
use super::options::Options;
use super::{Out, OutHandle, Outcome, array, copy, given, make, refuse, status};
use crate::explain::region::{Region as Pixels, RegionPart};
use crate::network::INPUT_SIDE;
use crate::parallel::in_pool;
use crate::{SmallestPart, SmallestParts, Threshold, memory};

const PIXELS: usize = INPUT_SIDE * INPUT_SIDE;

pub struct Region {
    pixels: Pixels,
    parts: Vec<RegionPart>,
    /// The probabilities with everything else covered and with only the region covered, if it was
    /// searched.
    said: Option<[Vec<f32>; 2]>,
}

impl Region {
    fn new(pixels: Pixels, said: Option<[Vec<f32>; 2]>) -> Region {
        Region { parts: pixels.parts(), pixels, said }
    }
}

/// # Safety
/// See [`array`].
unsafe fn map<'a>(map: *const f32, count: usize) -> Outcome<&'a [f32]> {
    if count != PIXELS {
        return Err(refuse("count", format!("is {count}, expected {PIXELS}")));
    }
    // SAFETY: the caller guarantees `count` values.
    unsafe { array(map, count, "map") }
}

/// Checks the memory for the pixels and the contours of a region of the photograph.
fn check_memory(image: &Image) -> Outcome<()> {
    let [height, width] = image.framing.photograph;
    Ok(memory::require("a region of the photograph", height.saturating_mul(width).saturating_mul(8))?)
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_region_above(
    image: Option<&Image>,
    values: *const f32,
    count: usize,
    share: f32,
    out: OutHandle<Region>,
) -> c_int {
    make(out, "region", || {
        let image = given(image, "image")?;
        // SAFETY: the header requires `count` values.
        let map = unsafe { map(values, count) }?;
        let threshold = if share == 0.0 { Threshold::Otsu } else { Threshold::Share(share) };
        // Without evidence, no value of the map is as large.
        let level = threshold.level(map)?.unwrap_or(f32::INFINITY);
        check_memory(image)?;
        Ok(Region::new(image.framing.region_above(map, level), None))
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_region_smallest(
    network: Option<&Network>,
    image: Option<&Image>,
    options: Option<&Options>,
    class: usize,
    values: *const f32,
    count: usize,
    tile: usize,
    cancel: Option<&Cancel>,
    keeping: OutHandle<Region>,
    losing: OutHandle<Region>,
) -> c_int {
    status(|| {
        let (keeping, losing) = (given(keeping, "keeping")?, given(losing, "losing")?);
        let [keeping, losing] = [keeping.write(None), losing.write(None)];
        let Network { net, .. } = given(network, "network")?;
        let image = given(image, "image")?;
        // SAFETY: the header requires `count` values.
        let map = unsafe { map(values, count) }?;
        let default = Options::default();
        let options = options.unwrap_or(&default);
        let on_progress = |_| match cancel {
            Some(cancel) if cancel.requested.load(Ordering::Relaxed) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let search = SmallestParts::new(net)
            .mask_value(options.mask_value)
            .exhaustive(options.exhaustive)
            .tile(tile)
            .on_progress(&on_progress);
        check_memory(image)?;
        let found = in_pool(options.threads, || search.run(&image.input, &[(class, map)]))?;
        let region = |part: &SmallestPart| {
            let said = [&part.alone, &part.without].map(|said| said.probabilities.clone());
            Box::new(Region::new(image.framing.region_of(&part.pixels), Some(said)))
        };
        // One class was asked for.
        *keeping = found[0].keeping.as_ref().map(region);
        *losing = found[0].losing.as_ref().map(region);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_region_free(_region: Option<Box<Region>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_region_size(region: Option<&Region>, size: Out<[usize; 2]>) -> c_int {
    status(|| {
        let region = given(region, "region")?;
        given(size, "size")?.write(region.pixels.size());
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_region_area(region: Option<&Region>) -> usize {
    region.map_or(0, |region| region.pixels.area())
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_region_pixels(
    region: Option<&Region>,
    pixels: *mut u8,
    count: usize,
) -> c_int {
    status(|| {
        let inside: Vec<u8> =
            given(region, "region")?.pixels.pixels().iter().map(|inside| u8::from(*inside)).collect();
        // SAFETY: the header requires room for `count` values.
        unsafe { copy(&inside, pixels, count, "pixels") }
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_region_parts(region: Option<&Region>) -> usize {
    region.map_or(0, |region| region.parts.len())
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_region_box(region: Option<&Region>, part: usize, bounds: Out<[usize; 4]>) -> c_int {
    status(|| {
        let parts = &given(region, "region")?.parts;
        given(bounds, "box")?.write(sides(parts[below(part, parts.len(), "part")?].bounds));
        Ok(())
    })
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_region_probabilities(
    region: Option<&Region>,
    alone: c_int,
    probabilities: *mut f32,
    count: usize,
) -> c_int {
    status(|| {
        let said = given(region, "region")?.said.as_ref();
        let [with, without] =
            said.ok_or_else(|| refuse("region", "was not searched by occlude_region_smallest"))?;
        // SAFETY: the header requires room for `count` values.
        unsafe { copy(if alone != 0 { with } else { without }, probabilities, count, "probabilities") }
    })
}
