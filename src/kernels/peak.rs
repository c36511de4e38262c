//! What the machine can do at most, to hold the kernels against. No kernel calls it.

use std::hint::black_box;
use std::time::Instant;

use super::isa::{Isa, for_each_isa};
use super::simd::Simd;
use crate::Result;

/// Independent chains of multiply-adds: enough to hide their latency, few enough for the registers.
const CHAINS: usize = 12;

for_each_isa! {
    /// Runs `rounds` multiply-adds in each lane of [`CHAINS`] registers.
    fn multiply_add(rounds: usize) => multiply_add_generic
}

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn multiply_add_generic<S: Simd>(rounds: usize) {
    // SAFETY: see above.
    unsafe {
        let (a, b) = (S::splat(black_box(0.999)), S::splat(black_box(0.001)));
        let mut chains = [a; CHAINS];
        for _ in 0..rounds {
            for chain in &mut chains {
                *chain = S::fma(*chain, a, b);
            }
        }
        let mut out = [0.0f32; 16];
        for chain in chains {
            S::store(chain, out.as_mut_ptr());
            black_box(&out);
        }
    }
}

impl Isa {
    /// Lanes of its registers.
    fn lanes(self) -> usize {
        match self {
            Isa::Avx512 => 16,
            _ => 8,
        }
    }

    /// The most that one core of this machine does with this instruction set now, in billions of floating-point
    /// operations a second, a multiply-add being two: the best of a few measurements of some milliseconds.
    ///
    /// # Errors
    /// [`Error::Option`](crate::Error::Option) when the machine does not have it.
    pub fn measure_peak(self) -> Result<f64> {
        // Anyone can name an instruction set; to run one that is not there would be undefined.
        self.check()?;
        let measure = |rounds: usize| {
            let start = Instant::now();
            multiply_add(self, black_box(rounds));
            2e-9 * (rounds * CHAINS * self.lanes()) as f64 / start.elapsed().as_secs_f64()
        };
        // The scalar instance may be a thousand times slower than the vector ones: size the work by a first look.
        let rounds = (measure(1000) * 1e9 * 5e-3 / (2 * CHAINS * self.lanes()) as f64) as usize;
        Ok((0..5).map(|_| measure(rounds.max(1000))).fold(0.0, f64::max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_lacks_is_not_measured() {
        for isa in [Isa::Scalar, Isa::Avx2, Isa::Avx512] {
            match isa.measure_peak() {
                Ok(peak) => assert!(isa.available() && peak > 0.0, "{isa}: {peak}"),
                Err(error) => assert!(!isa.available(), "{error}"),
            }
        }
    }
}
