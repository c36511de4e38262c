//! The instruction sets that the kernels are instantiated for. One is chosen once, at run time.
//!
//! An [`Isa`] exists only for an instruction set that this machine has. That is what makes the
//! kernels, which take one, safe functions.

use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The environment variable that names the instruction set.
const VARIABLE: &str = "OCCLUDE_ISA";

/// An instruction set that this machine has and the kernels are instantiated for. The results are
/// the same bits with each, but for one that has to be asked for by its name: `wasm-unfused`.
///
/// WebAssembly's simd128 has no instruction for a fused multiply-add. On wasm32 (compiled with
/// `-C target-feature=+simd128`) `wasm` emulates it, with the same bits as everywhere. Relaxed SIMD
/// (`+simd128,+relaxed-simd`) has the instruction, but may round twice: `wasm-fma` exists where it
/// rounds once, has the same bits, too, and is then the default. `"wasm-unfused".parse::<Isa>()`
/// multiplies and adds with two roundings, which is about ten times as fast as `wasm`. Its
/// probabilities and maps differ from the exact ones by less than 1e-5.
///
/// ```
/// use occlude::Isa;
///
/// assert_eq!("scalar".parse::<Isa>()?, Isa::SCALAR);
/// assert!(Isa::all_available().contains(&Isa::detect()));
/// // Parsing the name of an instruction set that the machine lacks is an error.
/// for name in ["avx2", "avx512", "neon"] {
///     let is_available = Isa::all_available().iter().any(|isa| isa.to_string() == name);
///     assert_eq!(name.parse::<Isa>().is_ok(), is_available);
/// }
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Isa(Kind);

/// The instruction sets by name. Anyone in `kernels` can write one down; only this module makes an
/// [`Isa`] of it, in [`Isa::new`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Plain Rust on `f32::mul_add`, for any processor.
    Scalar,
    /// x86-64 with AVX2, FMA and POPCNT.
    Avx2,
    /// x86-64 with AVX-512 F and all of `Avx2`.
    Avx512,
    /// aarch64, which always has NEON with fused multiply-adds.
    Neon,
    /// wasm32 compiled with simd128, with emulated multiply-adds.
    Wasm,
    /// wasm32 compiled with relaxed SIMD, on a machine whose multiply-adds round once.
    WasmFma,
    /// wasm32 compiled with simd128, with multiply-adds that round twice.
    WasmUnfused,
}

impl Kind {
    /// All instruction sets, the slowest of a machine first.
    const ALL: [Kind; 7] =
        [Kind::Scalar, Kind::Avx2, Kind::Avx512, Kind::Neon, Kind::Wasm, Kind::WasmFma, Kind::WasmUnfused];

    fn is_available(self) -> bool {
        match self {
            Kind::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => is_x86_feature_detected!("avx512f") && Kind::Avx2.is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            Kind::Avx2 | Kind::Avx512 => false,
            Kind::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::WasmFma => super::simd::relaxed_is_fused(),
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            Kind::WasmFma => false,
            Kind::Wasm | Kind::WasmUnfused => cfg!(all(target_arch = "wasm32", target_feature = "simd128")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Scalar => "scalar",
            Kind::Avx2 => "avx2",
            Kind::Avx512 => "avx512",
            Kind::Neon => "neon",
            Kind::Wasm => "wasm",
            Kind::WasmFma => "wasm-fma",
            Kind::WasmUnfused => "wasm-unfused",
        }
    }

    /// True if the results have the bits of all others.
    fn is_exact(self) -> bool {
        self != Kind::WasmUnfused
    }
}

impl Isa {
    /// Plain Rust, which runs on any processor.
    pub const SCALAR: Isa = Isa(Kind::Scalar);

    /// The only way from a [`Kind`] to an [`Isa`].
    fn new(kind: Kind) -> Option<Isa> {
        kind.is_available().then_some(Isa(kind))
    }

    /// The fastest instruction set of this machine; never `wasm-unfused`.
    pub fn detect() -> Isa {
        Isa::all_available().last().copied().unwrap_or(Isa::SCALAR)
    }

    /// All instruction sets of this machine that give the same bits, the slowest first.
    pub fn all_available() -> Vec<Isa> {
        Kind::ALL.into_iter().filter(|kind| kind.is_exact()).filter_map(Isa::new).collect()
    }

    /// The instruction set that the environment variable `OCCLUDE_ISA` names (`scalar`; on x86-64
    /// `avx2` or `avx512`; on aarch64 `neon`; on wasm32 `wasm`, `wasm-fma` or `wasm-unfused`), or
    /// that of [`Isa::detect`] when the variable is not set or empty.
    ///
    /// # Errors
    /// [`Error::Option`] when the variable names no instruction set, or one that this machine lacks.
    pub fn from_environment() -> Result<Isa> {
        Isa::of_variable(std::env::var_os(VARIABLE))
    }

    /// [`Isa::from_environment`] with the value of the variable as an argument, for tests.
    fn of_variable(value: Option<OsString>) -> Result<Isa> {
        match value.filter(|value| !value.is_empty()) {
            Some(name) => Isa::named(VARIABLE, &name.to_string_lossy()),
            None => Ok(Isa::detect()),
        }
    }

    /// The instruction set of this name, in upper or lower case; `option` is the place where the
    /// name stands.
    fn named(option: &'static str, name: &str) -> Result<Isa> {
        let refuse = |expected| Err(Error::Option { name: option, found: format!("\"{name}\""), expected });
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name)) else {
            let [others @ .., last] = Kind::ALL.map(Kind::name);
            return refuse(format!("{} or {last}", others.join(", ")));
        };
        if let Some(isa) = Isa::new(kind) {
            return Ok(isa);
        }
        let names: Vec<&str> =
            Kind::ALL.into_iter().filter(|kind| kind.is_available()).map(Kind::name).collect();
        refuse(format!("one that this machine has: {}", names.join(", ")))
    }

    #[inline(always)]
    pub(super) fn kind(self) -> Kind {
        self.0
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl FromStr for Isa {
    type Err = Error;

    fn from_str(name: &str) -> Result<Isa> {
        Isa::named("instruction set", name)
    }
}

/// Defines a safe kernel `$name` that takes an [`Isa`] and runs the `#[inline(always)]` function
/// `$generic`, compiled for that instruction set. Inlining carries the enabled instructions into
/// the generic code.
macro_rules! for_each_isa {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $result:ty)? => $generic:ident) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        pub(crate) fn $name(isa: $crate::kernels::Isa, $($arg: $ty),*) $(-> $result)? {
            use $crate::kernels::simd;
            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx2,fma,popcnt")]
            unsafe fn avx2($($arg: $ty),*) $(-> $result)? {
                // SAFETY: the caller passes on what the generic function requires.
                unsafe { $generic::<simd::Avx2>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx512f,avx2,fma,popcnt")]
            unsafe fn avx512($($arg: $ty),*) $(-> $result)? {
                // SAFETY: the caller passes on what the generic function requires.
                unsafe { $generic::<simd::Avx512>($($arg),*) }
            }
            // SAFETY: `Isa::new` makes an `Isa` only of an instruction set that the machine has, with
            // exactly the features that the functions above enable. Each generic function states
            // what else it requires, which its arguments hold.
            unsafe {
                match isa.kind() {
                    #[cfg(target_arch = "x86_64")]
                    $crate::kernels::isa::Kind::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::kernels::isa::Kind::Avx2 => avx2($($arg),*),
                    // NEON belongs to every aarch64, so nothing has to be enabled for it.
                    #[cfg(target_arch = "aarch64")]
                    $crate::kernels::isa::Kind::Neon => $generic::<simd::Neon>($($arg),*),
                    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                    $crate::kernels::isa::Kind::WasmUnfused => $generic::<simd::Wasm<simd::Unfused>>($($arg),*),
                    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                    $crate::kernels::isa::Kind::Wasm => $generic::<simd::Wasm<simd::Emulated>>($($arg),*),
                    // Relaxed instructions may stand in a module that is compiled with them, and nowhere
                    // else, so nothing has to be enabled for a function.
                    #[cfg(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))]
                    $crate::kernels::isa::Kind::WasmFma => $generic::<simd::Wasm<simd::Relaxed>>($($arg),*),
                    _ => $generic::<simd::Portable>($($arg),*),
                }
            }
        }
    };
}
pub(super) use for_each_isa;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_isa_exists_only_where_the_machine_has_it() {
        for kind in Kind::ALL {
            match kind.name().parse::<Isa>() {
                Ok(isa) => {
                    assert!(kind.is_available() && isa.kind() == kind);
                    assert_eq!(Isa::all_available().contains(&isa), kind.is_exact());
                    assert_eq!([format!("{isa}"), format!("{isa:?}")], [kind.name(), kind.name()]);
                }
                Err(error) => {
                    assert!(!kind.is_available() && Isa::all_available().iter().all(|isa| isa.0 != kind));
                    assert!(error.to_string().contains("one that this machine has: scalar"), "{error}");
                }
            }
        }
        assert_eq!(Isa::all_available().first(), Some(&Isa::SCALAR));
        assert_eq!(Isa::all_available().last(), Some(&Isa::detect()));
        assert!(Isa::detect().kind().is_exact());
    }

    #[test]
    fn a_name_of_no_instruction_set_is_refused() {
        for name in ["", "sse9", "avx2 ", "AVX 2"] {
            let error = name.parse::<Isa>().unwrap_err().to_string();
            assert!(
                error.contains("expected scalar, avx2, avx512, neon, wasm, wasm-fma or wasm-unfused"),
                "{error}"
            );
        }
    }
    #[test]
    fn an_empty_variable_is_one_that_is_not_set_and_a_wrong_one_is_named() {
        assert_eq!(Isa::of_variable(None).unwrap(), Isa::detect());
        assert_eq!(Isa::of_variable(Some("".into())).unwrap(), Isa::detect());
        for name in ["scalar", "SCALAR", "Scalar"] {
            assert_eq!(Isa::of_variable(Some(name.into())).unwrap(), Isa::SCALAR, "{name}");
            assert_eq!(name.parse::<Isa>().unwrap(), Isa::SCALAR, "{name}");
        }
        let error = Isa::of_variable(Some("sse9".into())).unwrap_err().to_string();
        assert_eq!(
            error,
            "OCCLUDE_ISA \"sse9\" is not possible: expected scalar, avx2, avx512, neon, wasm, wasm-fma or wasm-unfused"
        );
    }
}
