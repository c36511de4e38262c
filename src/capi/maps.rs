//! The results of an explanation.

use std::ffi::c_int;

use super::{Out, Outcome, copy, given, refuse, status};
use crate::network::geometry::Rect;
use crate::{OcclusionMaps, Upsampling};

pub struct Maps {
    pub(super) maps: OcclusionMaps,
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_maps_free(_maps: Option<Box<Maps>>) {}

/// Writes a value that `of` reads from the maps to `out`.
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

/// Checks that an index is below a limit.
pub(super) fn below(index: usize, limit: usize, name: &str) -> Outcome<usize> {
    if index < limit {
        Ok(index)
    } else {
        Err(refuse(name, format!("is {index}, expected less than {limit}")))
    }
}

pub(super) fn sides(rect: Rect) -> [usize; 4] {
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
        // SAFETY: the header requires room for `count` values.
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
        // SAFETY: the header requires room for `count` values.
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
        // SAFETY: the header requires room for `count` values.
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
        // SAFETY: the header requires room for `count` values.
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
        // SAFETY: the header requires room for `count` values.
        unsafe { copy(&maps.argmax_scores, scores, count, "scores") }
    })
}
