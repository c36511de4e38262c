//! Which instruction set the kernels use: found once, at run time. What an instruction does is in `simd`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// An instruction set that the kernels are instantiated for. The results are the same bits with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isa {
    /// Plain Rust on `f32::mul_add`, for any processor.
    Scalar,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F.
    Avx512,
}

impl Isa {
    /// The fastest that this machine has.
    pub fn detect() -> Isa {
        [Isa::Avx512, Isa::Avx2].into_iter().find(|isa| isa.available()).unwrap_or(Isa::Scalar)
    }

    /// Those that this machine has, the plainest first.
    pub fn all_available() -> Vec<Isa> {
        [Isa::Scalar, Isa::Avx2, Isa::Avx512].into_iter().filter(|isa| isa.available()).collect()
    }

    /// What `OCCLUDE_ISA` asks for (`scalar`, `avx2` or `avx512`), or the fastest when it is not set.
    ///
    /// # Errors
    /// [`Error::Option`] when it names no instruction set, or one that this machine lacks.
    pub fn from_environment() -> Result<Isa> {
        match std::env::var("OCCLUDE_ISA") {
            Ok(name) => name.parse::<Isa>()?.check(),
            Err(_) => Ok(Isa::detect()),
        }
    }

    /// This one, if the machine has it.
    pub(crate) fn check(self) -> Result<Isa> {
        if self.available() {
            return Ok(self);
        }
        let names: Vec<String> = Isa::all_available().iter().map(Isa::to_string).collect();
        Err(Error::Option {
            name: "instruction set",
            found: self.to_string(),
            expected: format!("one that this machine has: {}", names.join(", ")),
        })
    }

    pub(super) fn available(self) -> bool {
        match self {
            Isa::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("popcnt")
            }
            // The AVX-512 instances are compiled with the features of AVX2's, too.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => is_x86_feature_detected!("avx512f") && Isa::Avx2.available(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        })
    }
}

impl FromStr for Isa {
    type Err = Error;

    fn from_str(name: &str) -> Result<Isa> {
        match name {
            "scalar" => Ok(Isa::Scalar),
            "avx2" => Ok(Isa::Avx2),
            "avx512" => Ok(Isa::Avx512),
            _ => Err(Error::Option {
                name: "instruction set",
                found: format!("\"{name}\""),
                expected: "scalar, avx2 or avx512".to_string(),
            }),
        }
    }
}

/// Defines a kernel `$name` that runs the `#[inline(always)]` function `$generic` compiled for the instruction
/// set in its first argument. Inlining carries the enabled instructions into the generic code.
macro_rules! for_each_isa {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) => $generic:ident) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        pub(crate) fn $name(isa: $crate::kernels::Isa, $($arg: $ty),*) {
            use $crate::kernels::simd;
            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx2,fma,popcnt")]
            unsafe fn avx2($($arg: $ty),*) {
                // SAFETY: the caller passes on what the generic function asks for.
                unsafe { $generic::<simd::Avx2>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx512f,avx2,fma,popcnt")]
            unsafe fn avx512($($arg: $ty),*) {
                // SAFETY: as above.
                unsafe { $generic::<simd::Avx512>($($arg),*) }
            }
            debug_assert!(isa.available(), "no kernel runs before `Isa::check`");
            // SAFETY: whoever takes an `Isa` from outside (`GoogLeNet::with_isa`, `Isa::measure_peak`, the environment)
            // passes it through `Isa::check`, so that one other than `Scalar` comes here only where the machine has it;
            // each generic function states what else it needs, which its arguments hold.
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    $crate::kernels::Isa::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::kernels::Isa::Avx2 => avx2($($arg),*),
                    _ => $generic::<simd::Portable>($($arg),*),
                }
            }
        }
    };
}
pub(super) use for_each_isa;
