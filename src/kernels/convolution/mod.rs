//! Convolution without the products with zero, for a list of output pixels. Nearly all time of a sweep
//! and of a pass goes into this kernel.
//!
//! A pixel is computed for up to `N` columns at a time: the mask positions of a batch, or two
//! neighbouring pixels of a single image. The columns share a list of the channels that are not zero in
//! all of them. In pseudo-code, where a tile is an output pixel with some of its columns:
//!
//! ```text
//! for each number P of columns, for the tiles with P columns:
//!     for each block of B panels of outputs, 16 outputs each:    P x B sums fit the registers
//!         for each chunk of k:                                   its weights stay in a near cache
//!             for each tile:
//!                 sums = bias if the chunk is the first, else what is in the output
//!                 for each entry of the tile's list in the chunk:
//!                     for each panel:  w = 16 weights
//!                     for each column: sums += activation (broadcast) * w
//!                 output = sums, with ReLU if the chunk is the last
//! ```
//!
//! The lists of activations are read in order, which caches and prefetchers like. The weights are
//! picked here and there, as the list says; so they have to be near, and chunks see to that: a chunk
//! meets all tiles before the next one does, and the sums wait in the output in between. Storing a sum
//! and loading it again keeps its bits. Each output sums `bias + product 0 + product 1 ..` in the order
//! of `k`, one fused multiply-add after the other, so neither the shape of a tile, nor chunks, nor the
//! skipped zeros change a bit.
//!
//! The tile shapes of each instruction set are in [`Simd::TILES`].

use std::ops::Range;

use super::aligned::pitch;
use super::channels_mut::ChannelsMut;
use super::isa::{Isa, for_each_isa};
use super::packed_weights::PackedWeights;
use super::simd::{BATCH, PANEL, Simd, Tiles, positions, unrolled};

/// Beginning and end of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sum {
    /// The sum begins at the bias and ends with ReLU.
    Relu,
    /// The first chunk's sum begins at the bias. That of every other chunk begins at 0, and is added to
    /// the output when it is complete: a long sum in parts, whose rounding errors are smaller.
    Parts,
}

/// Non-zero activations: `N` values for each entry, which is a multiple of [`PANEL`].
pub(super) type List<'i, const N: usize> = (&'i [u32], &'i [[f32; N]]);

/// The part of a list that a tile reads within a chunk. An entry `e` is multiplied by the weights that
/// begin at index `e + shift` of a panel.
struct Run {
    list: u32,
    start: u32,
    count: u32,
    shift: i32,
}

/// An output pixel with some of its columns.
struct Tile {
    /// The columns, as many as tiles of this kind have.
    columns: [u8; BATCH],
    /// The index of the pixel's first run: it has one for each chunk.
    run: usize,
    /// The index in the output of the first channel of column 0.
    out: usize,
}

/// A convolution of some output pixels, of up to `N` columns each. The methods that add pixels are
/// beside the lists of activations that these read: [`SparseActivations`](super::SparseActivations)
/// for `N` = [`BATCH`], [`PairRow`](super::PairRow) for two.
pub(crate) struct Convolution<'i, const N: usize> {
    isa: Isa,
    weights: &'i PackedWeights,
    lists: Vec<List<'i, N>>,
    /// Chunks of `k`, ascending: parts of a row of the window.
    chunks: Vec<Range<usize>>,
    /// The chunks of each row of the window.
    chunks_of_row: usize,
    runs: Vec<Run>,
    /// The tiles with each number of columns.
    tiles: [Vec<Tile>; BATCH + 1],
    /// Values of the output between columns.
    step: usize,
    /// The least length of the output.
    end: usize,
    macs: usize,
}

impl<'i, const N: usize> Convolution<'i, N> {
    /// Begins a convolution of some lists, with a window of some rows. A column's outputs lie `step`
    /// values after those of the column before. A chunk has up to `most_k` products.
    pub(super) fn with_chunks(
        isa: Isa,
        weights: &'i PackedWeights,
        lists: Vec<List<'i, N>>,
        rows: usize,
        step: usize,
        most_k: usize,
    ) -> Convolution<'i, N> {
        let row_k = weights.k() / rows;
        assert_eq!(weights.k(), rows * row_k);
        assert!(lists.iter().all(|list| list.0.len() == list.1.len() && list.0.len() < i32::MAX as usize));
        assert!(!lists.is_empty());
        let length = row_k.div_ceil(row_k.div_ceil(most_k)).next_multiple_of(8);
        let in_row = (0..row_k).step_by(length).map(|start| start..row_k.min(start + length));
        let chunks_of_row = in_row.len();
        let chunks = (0..rows).flat_map(|row| {
            in_row.clone().map(move |chunk| row * row_k + chunk.start..row * row_k + chunk.end)
        });
        Convolution {
            isa,
            weights,
            lists,
            chunks: chunks.collect(),
            chunks_of_row,
            runs: Vec::new(),
            tiles: Default::default(),
            step,
            end: 0,
            macs: 0,
        }
    }

    /// Values of the output between columns.
    pub(super) fn step(&self) -> usize {
        self.step
    }

    /// The rows of the window.
    pub(super) fn rows(&self) -> usize {
        self.chunks.len() / self.chunks_of_row
    }

    /// The chunks of a row of the window.
    pub(super) fn chunks_of(&self, row: usize) -> Range<usize> {
        row * self.chunks_of_row..(row + 1) * self.chunks_of_row
    }

    pub(super) fn chunk(&self, chunk: usize) -> Range<usize> {
        self.chunks[chunk].clone()
    }

    /// Adds the run of the pixel's next chunk: a part of a list, whose entry `e` is multiplied by the
    /// weights with index `k = e / PANEL + k_shift`.
    #[inline]
    pub(super) fn push_run(&mut self, list: usize, range: Range<usize>, k_shift: isize) {
        let entries = &self.lists[list].0[range.clone()];
        if let (Some(&first), Some(&last)) = (entries.first(), entries.last()) {
            let k_of = |entry: u32| (entry as usize / PANEL).wrapping_add_signed(k_shift);
            debug_assert!(entries.is_sorted() && entries.iter().all(|entry| entry % PANEL as u32 == 0));
            assert!(k_of(first) <= k_of(last) && k_of(last) < self.weights.k());
        }
        // A list is shorter than `i32::MAX`, and the run is a part of it.
        self.runs.push(Run {
            list: list as u32,
            start: range.start as u32,
            count: range.len() as u32,
            shift: i32::try_from(k_shift * PANEL as isize).expect("a row of a plane has fewer activations"),
        });
    }

    pub(super) fn list(&self, list: usize) -> List<'i, N> {
        self.lists[list]
    }

    /// Completes a pixel whose runs have been added: columns, as bits, are computed, and the first
    /// channel of column 0 has index `out` in the output.
    pub(super) fn finish_pixel(&mut self, bits: u8, out: usize) {
        let run = self.runs.len() - self.chunks.len();
        let products: usize = self.runs[run..].iter().map(|run| run.count as usize).sum();
        self.macs += products * bits.count_ones() as usize;
        let mut columns = [0; BATCH];
        let count = bits.count_ones() as usize;
        columns.iter_mut().zip(positions(bits)).for_each(|(column, p)| *column = p as u8);
        let Some(last) = columns[..count].last().map(|&column| usize::from(column)) else { return };
        assert!(last < N);
        self.end = self.end.max(out + last * self.step + pitch(self.weights.outputs()));
        let mut at = 0;
        while at < count {
            let p = tiles(self.isa).columns[count - at];
            let mut part = [0; BATCH];
            part[..p].copy_from_slice(&columns[at..at + p]);
            self.tiles[p].push(Tile { columns: part, run, out });
            at += p;
        }
    }

    /// The multiply-adds of all output channels.
    pub(crate) fn macs(&self) -> u64 {
        (self.macs * self.weights.outputs()) as u64
    }

    fn check(&self, panels: &Range<usize>) {
        assert!(panels.end <= self.weights.panels(), "there are {} panels", self.weights.panels());
    }
}

impl Convolution<'_, BATCH> {
    /// Computes the outputs in `panels` of all pixels. Whole panels are written.
    ///
    /// # Panics
    /// If the output is too short, or a panel does not exist.
    pub(crate) fn run(&self, panels: Range<usize>, sum: Sum, out: &mut [f32]) {
        self.check(&panels);
        assert!(self.end <= out.len(), "an output does not fit");
        let task = Task { convolution: self, sum, out: out.as_mut_ptr() };
        convolve_batch(self.isa, &task, panels);
    }
}

impl Convolution<'_, 2> {
    /// The panels of outputs in blocks, each of which reads all activations once.
    pub(crate) fn blocks(&self) -> impl ExactSizeIterator<Item = Range<usize>> {
        let panels = 0..self.weights.panels();
        let blocks = panels.len().div_ceil(tiles(self.isa).panels[2]);
        (0..blocks).map(move |block| part(&panels, block, blocks))
    }

    /// Computes the outputs in `panels`, with ReLU, of all pixels. Whole panels are written, the first to
    /// the first channels of the view.
    ///
    /// # Panics
    /// If the view is too small, or a panel does not exist.
    pub(crate) fn run_pairs(&self, panels: Range<usize>, out: &mut ChannelsMut) {
        self.check(&panels);
        let out = out.as_mut_ptr(panels.len(), self.step, self.end.div_ceil(self.step));
        let out = out.wrapping_sub(panels.start * PANEL);
        convolve_pairs(self.isa, &Task { convolution: self, sum: Sum::Relu, out }, panels);
    }
}

/// One of `count` parts of nearly the same size.
#[inline(always)]
fn part(panels: &Range<usize>, number: usize, count: usize) -> Range<usize> {
    let start = |number| panels.start + panels.len() * number / count;
    start(number)..start(number + 1)
}

/// The mask positions of a batch with this instruction set, at most [`BATCH`].
pub(crate) fn batch_size(isa: Isa) -> usize {
    tiles(isa).batch
}

for_each_isa! {
    /// [`Simd::TILES`] of an instruction set.
    fn tiles() -> &'static Tiles => tiles_generic
}

/// # Safety
/// None.
#[inline(always)]
unsafe fn tiles_generic<S: Simd>() -> &'static Tiles {
    const { &S::TILES }
}

for_each_isa! {
    /// Does the work of [`Convolution::run`].
    fn convolve_batch(task: &Task<'_, BATCH>, panels: Range<usize>) => convolve_batch_generic
}

for_each_isa! {
    /// Does the work of [`Convolution::run_pairs`].
    fn convolve_pairs(task: &Task<'_, 2>, panels: Range<usize>) => convolve_pairs_generic
}

/// # Safety
/// The machine has the instruction set of `S`. The panels exist, and the output holds them for all
/// pixels.
#[inline(always)]
unsafe fn convolve_batch_generic<S: Simd>(task: &Task<'_, BATCH>, panels: Range<usize>) {
    // SAFETY: the caller vouches for what `shape` requires.
    unsafe {
        shape::<S, BATCH, 1>(task, &panels);
        shape::<S, BATCH, 2>(task, &panels);
        shape::<S, BATCH, 3>(task, &panels);
        shape::<S, BATCH, 4>(task, &panels);
        shape::<S, BATCH, 5>(task, &panels);
        shape::<S, BATCH, 6>(task, &panels);
        shape::<S, BATCH, 7>(task, &panels);
        shape::<S, BATCH, 8>(task, &panels);
    }
}

/// # Safety
/// As [`convolve_batch_generic`].
#[inline(always)]
unsafe fn convolve_pairs_generic<S: Simd>(task: &Task<'_, 2>, panels: Range<usize>) {
    // SAFETY: the caller vouches for what `shape` requires.
    unsafe {
        shape::<S, 2, 1>(task, &panels);
        shape::<S, 2, 2>(task, &panels);
    }
}

/// A convolution with its output.
pub(super) struct Task<'t, const N: usize> {
    convolution: &'t Convolution<'t, N>,
    sum: Sum,
    /// Where the first output of panel 0 is, or would be.
    out: *mut f32,
}

/// Computes the tiles with `P` columns, for panels in blocks of nearly the same size. The conditions on
/// `S` are constants, so that no code is generated for tiles that an instruction set does not take.
///
/// # Safety
/// As [`convolve_batch_generic`].
#[inline(always)]
unsafe fn shape<S: Simd, const N: usize, const P: usize>(task: &Task<'_, N>, panels: &Range<usize>) {
    if const { S::TILES.panels[P] == 0 } {
        return debug_assert!(task.convolution.tiles[P].is_empty());
    }
    if task.convolution.tiles[P].is_empty() {
        return;
    }
    let blocks = panels.len().div_ceil(S::TILES.panels[P]);
    let mut block = 0;
    while block < blocks {
        let Range { start: first, end: next } = part(panels, block, blocks);
        // SAFETY: the panels are some of the caller's.
        unsafe {
            match next - first {
                1 => self::block::<S, N, P, 1>(task, first),
                2 if const { S::TILES.panels[P] >= 2 } => self::block::<S, N, P, 2>(task, first),
                3 if const { S::TILES.panels[P] >= 3 } => self::block::<S, N, P, 3>(task, first),
                4 if const { S::TILES.panels[P] >= 4 } => self::block::<S, N, P, 4>(task, first),
                5 if const { S::TILES.panels[P] >= 5 } => self::block::<S, N, P, 5>(task, first),
                6 if const { S::TILES.panels[P] >= 6 } => self::block::<S, N, P, 6>(task, first),
                7 if const { S::TILES.panels[P] >= 7 } => self::block::<S, N, P, 7>(task, first),
                8 if const { S::TILES.panels[P] >= 8 } => self::block::<S, N, P, 8>(task, first),
                9 if const { S::TILES.panels[P] >= 9 } => self::block::<S, N, P, 9>(task, first),
                other => unreachable!("no block has {other} panels"),
            }
        }
        block += 1;
    }
}

/// Computes the tiles with `P` columns for `B` panels, chunk by chunk.
///
/// # Safety
/// As [`shape`]: the panels from `panel` on exist.
#[inline(always)]
unsafe fn block<S: Simd, const N: usize, const P: usize, const B: usize>(task: &Task<'_, N>, panel: usize) {
    let convolution = task.convolution;
    let tiles = &convolution.tiles[P][..];
    let chunks = convolution.chunks.len();
    let (weights, bias) = convolution.weights.panel_and_bias(panel);
    let data = PanelData {
        weights: weights.as_ptr(),
        next_panel: convolution.weights.k() * PANEL,
        bias: bias.as_ptr(),
        lists: &convolution.lists,
        out: task.out.wrapping_add(panel * PANEL),
        step: convolution.step,
    };
    debug_assert!(B * data.next_panel <= weights.len() && B * PANEL <= bias.len());
    let mut chunk = 0;
    while chunk < chunks {
        let (is_first, is_last) = (chunk == 0, chunk + 1 == chunks);
        // The weights that come next.
        let (next_panel, next) = if is_last { (panel + B, 0) } else { (panel, chunk + 1) };
        let mut prefetch = convolution.weights.prefetch(next_panel, &convolution.chunks[next], tiles.len());
        let mut i = 0;
        while i < tiles.len() {
            let tile = &tiles[i];
            prefetch.step::<B>();
            debug_assert!(tile.run + chunk < convolution.runs.len());
            // SAFETY: each tile has a run for each chunk, and its list exists. The caller vouches for the
            // rest.
            unsafe {
                let run = convolution.runs.get_unchecked(tile.run + chunk);
                self::tile::<S, N, P, B>(&data, tile, run, task.sum, is_first, is_last);
            }
            i += 1;
        }
        chunk += 1;
    }
}

/// Data of a convolution from some panel on.
struct PanelData<'p, const N: usize> {
    weights: *const f32,
    /// The number of weights from a panel to the next.
    next_panel: usize,
    bias: *const f32,
    lists: &'p [List<'p, N>],
    out: *mut f32,
    /// Values of the output between columns.
    step: usize,
}

/// Adds the products of a run to the sums of a tile.
///
/// # Safety
/// As [`block`]; the tile has `P` columns, and the run is one of its own.
#[inline(always)]
unsafe fn tile<S: Simd, const N: usize, const P: usize, const B: usize>(
    data: &PanelData<'_, N>,
    tile: &Tile,
    run: &Run,
    sum: Sum,
    is_first: bool,
    is_last: bool,
) {
    debug_assert!((run.list as usize) < data.lists.len());
    // SAFETY: the caller vouches for panels and output. `push_run` has asserted that the list has the
    // run, and that its first and last `k` exist, and the entries ascend; `finish_pixel` that there are
    // `N` columns at most.
    unsafe {
        let (entries, values) = data.lists.get_unchecked(run.list as usize);
        let (start, count) = (run.start as usize, run.count as usize);
        debug_assert!(start + count <= entries.len() && entries.len() == values.len());
        let weight = |entry: &u32| (*entry as usize).wrapping_add_signed(run.shift as isize);
        debug_assert!(entries[start..start + count].iter().map(weight).all(|w| w < data.next_panel));
        let entries = entries.as_ptr().add(start);
        let mut to = [data.out; P];
        let mut x = [values.as_ptr().add(start).cast::<f32>(); P];
        unrolled!(p in P => {
            let column = usize::from(*tile.columns.get_unchecked(p));
            debug_assert!(column < N);
            to[p] = to[p].add(tile.out + column * data.step);
            x[p] = x[p].add(column);
        });
        let mut sums = [[S::splat(0.0); B]; P];
        if !is_first && sum == Sum::Relu {
            unrolled!(p in P => { unrolled!(b in B => { sums[p][b] = S::load(to[p].add(b * PANEL)); }); });
        } else if is_first {
            unrolled!(b in B => {
                let start = S::load(data.bias.add(b * PANEL));
                unrolled!(p in P => { sums[p][b] = start; });
            });
        }
        let weights = data.weights.wrapping_offset(run.shift as isize);
        let mut i = 0;
        let whole = count - count % S::TILES.entries;
        while i != whole {
            unrolled!(e in S::TILES.entries => {
                add_products::<S, N, P, B>(&mut sums, data.next_panel, &x, entries, weights, i + e);
            });
            i += S::TILES.entries;
        }
        while i != count {
            add_products::<S, N, P, B>(&mut sums, data.next_panel, &x, entries, weights, i);
            i += 1;
        }
        unrolled!(p in P => { unrolled!(b in B => {
            let to = to[p].add(b * PANEL);
            let total = match sum {
                Sum::Relu if is_last => S::relu(sums[p][b]),
                Sum::Parts if !is_first => S::add(S::load(to), sums[p][b]),
                _ => sums[p][b],
            };
            S::store(total, to);
        }); });
    }
}

/// Adds the products of entry `i` to the sums of a tile.
///
/// # Safety
/// The entry exists, as do its values at the pointers `x`, and its weights.
#[inline(always)]
unsafe fn add_products<S: Simd, const N: usize, const P: usize, const B: usize>(
    sums: &mut [[S::V; B]; P],
    next_panel: usize,
    x: &[*const f32; P],
    entries: *const u32,
    weights: *const f32,
    i: usize,
) {
    // SAFETY: the caller vouches for the memory and the instruction set.
    unsafe {
        let weights = weights.wrapping_add(*entries.add(i) as usize);
        // The fewer of weights and activations stay in registers while the others are loaded.
        if const { P >= B } {
            let mut w = [S::splat(0.0); B];
            unrolled!(b in B => { w[b] = S::load(weights.add(b * next_panel)); });
            unrolled!(p in P => {
                let value = S::splat(*x[p].add(i * N));
                unrolled!(b in B => { sums[p][b] = S::fma(value, w[b], sums[p][b]); });
            });
        } else {
            let mut value = [S::splat(0.0); P];
            unrolled!(p in P => { value[p] = S::splat(*x[p].add(i * N)); });
            unrolled!(b in B => {
                let w = S::load(weights.add(b * next_panel));
                unrolled!(p in P => { sums[p][b] = S::fma(value[p], w, sums[p][b]); });
            });
        }
    }
}

#[cfg(test)]
#[cfg_attr(miri, allow(dead_code, unused_imports, reason = "what only the properties need"))]
mod tests;
