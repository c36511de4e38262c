//! Measurement of a core's peak rate of multiply-adds, with which the kernels' rates are compared.

use std::hint::black_box;

use super::isa::{Isa, for_each_isa};
use super::simd::{PANEL, Simd, unrolled};
use crate::stopwatch::Stopwatch;

for_each_isa! {
    /// Runs `rounds` multiply-adds in each value of some vectors, and returns their number.
    fn multiply_add(rounds: usize) -> usize => multiply_add_generic
}

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn multiply_add_generic<S: Simd>(rounds: usize) -> usize {
    // A tile of one position has as many independent chains of multiply-adds as fit the registers,
    // enough to hide their latency.
    // SAFETY: the caller vouches for the instruction set; `out` holds a vector.
    unsafe {
        let (a, b) = (S::splat(black_box(0.999)), S::splat(black_box(0.001)));
        let mut chains = [a; 14];
        for _ in 0..rounds {
            unrolled!(i in S::TILES.panels[1] => { chains[i] = S::fma(chains[i], a, b); });
        }
        let mut out = [0.0f32; PANEL];
        unrolled!(i in S::TILES.panels[1] => {
            S::store(chains[i], out.as_mut_ptr());
            black_box(&out);
        });
    }
    S::TILES.panels[1] * PANEL
}

impl Isa {
    /// Measures the peak rate of one core of this machine with this instruction set, in billions of
    /// floating-point operations per second, where a multiply-add is two operations. The result is
    /// the best of five measurements of some milliseconds; 0 on a target without a clock, such as
    /// `wasm32-unknown-unknown`.
    pub fn measure_peak(self) -> f64 {
        if !Stopwatch::RUNS {
            return 0.0;
        }
        let measure = |rounds: usize| {
            let start = Stopwatch::start();
            let values = multiply_add(self, black_box(rounds));
            2e-9 * (rounds * values) as f64 / start.seconds()
        };
        // The scalar instance may be a thousand times slower than the vector ones, so a first
        // measurement sizes the others.
        let rounds = (measure(1000) * 1e9 * 5e-3 / (16 * PANEL) as f64) as usize;
        (0..5).map(|_| measure(rounds.max(1000))).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_has_a_peak() {
        for isa in Isa::all_available() {
            assert!(isa.measure_peak() > 0.0, "{isa}");
        }
    }
}
