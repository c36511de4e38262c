//! Where the weights are: the places that are looked at, in their order, and the built-in network behind them.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Name of the published network's file in the places where it is looked for.
pub const FILE_NAME: &str = "bvlc_googlenet.safetensors";

/// The name that stands for the built-in network where a file can be named. A file of this name is `./builtin`.
pub const BUILTIN_NAME: &str = "builtin";

/// torchvision's `googlenet` as PyTorch's hub keeps it.
const HUB_FILE: &str = "googlenet-1378be20.pth";

/// The weights to use: a file, or the network inside this program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A weights file of any [`Form`](crate::weights::Form).
    File(PathBuf),
    /// [`Weights::builtin`](crate::weights::Weights::builtin).
    #[cfg(feature = "builtin")]
    Builtin,
}

/// The weights to use: `explicit`, else what `$OCCLUDE_WEIGHTS` names, else the first file that exists of
///
/// 1. `weights/bvlc_googlenet.safetensors` in the current directory,
/// 2. `occlude/bvlc_googlenet.safetensors` in the user's cache directory ([`cache_file`]),
/// 3. with the feature `pth`, torchvision's `googlenet-1378be20.pth` in PyTorch's hub cache (`$TORCH_HOME/hub/checkpoints`,
///    by default in `~/.cache/torch`),
///
/// else the built-in network, if this build has one (feature `builtin`). "builtin" in place of a file asks for that network.
/// No file is opened.
///
/// # Errors
/// [`Error::Weights`] when the file that was asked for does not exist: no other is used in its place.
/// [`Error::WeightsNotFound`] with the places looked at when there is none and no built-in network.
pub fn find(explicit: Option<&Path>) -> Result<Source> {
    find_with(explicit, &variable)
}

/// Where [`find`] looks for the published network in the user's cache directory; `None` when the environment does not say
/// where that is.
pub fn cache_file() -> Option<PathBuf> {
    cache_directory(&variable).map(|cache| cache.join("occlude").join(FILE_NAME))
}

/// A variable of the environment, unless it is empty.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// [`find`] with the environment as an argument, which tests can choose.
fn find_with(explicit: Option<&Path>, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Source> {
    if let Some(path) = explicit {
        return demanded(path.to_path_buf(), "");
    }
    if let Some(path) = variable("OCCLUDE_WEIGHTS") {
        return demanded(path.into(), " by the environment variable OCCLUDE_WEIGHTS");
    }
    let mut tried = vec![Path::new("weights").join(FILE_NAME)];
    tried.extend(cache_directory(variable).map(|cache| cache.join("occlude").join(FILE_NAME)));
    if cfg!(feature = "pth") {
        tried.extend(hub_directory(variable).map(|hub| hub.join("checkpoints").join(HUB_FILE)));
    }
    match tried.iter().find(|path| path.is_file()) {
        Some(path) => Ok(Source::File(path.clone())),
        #[cfg(feature = "builtin")]
        None => Ok(Source::Builtin),
        #[cfg(not(feature = "builtin"))]
        None => Err(Error::WeightsNotFound { tried }),
    }
}

/// The source that was asked for, with no fallback; `by` says who asked.
fn demanded(path: PathBuf, by: &str) -> Result<Source> {
    let refuse = |problem: String| Err(Error::weights(path.to_string_lossy(), problem));
    if path.as_os_str() == BUILTIN_NAME {
        #[cfg(feature = "builtin")]
        return Ok(Source::Builtin);
        #[cfg(not(feature = "builtin"))]
        return refuse("this build has no built-in network: its feature `builtin` is off".to_string());
    }
    if path.exists() {
        return Ok(Source::File(path));
    }
    refuse(format!("no such file, but the weights were asked for there{by}"))
}

/// The directory in which the platform keeps a user's caches.
fn cache_directory(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let from = |name: &str| variable(name).map(PathBuf::from);
    if cfg!(windows) {
        from("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        from("HOME").map(|home| home.join("Library/Caches"))
    } else {
        from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")))
    }
}

/// The directory of PyTorch's hub, found as `torch.hub.get_dir` finds it, on every platform alike.
fn hub_directory(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let from = |name: &str| variable(name).map(PathBuf::from);
    let home = || from(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
    let cache = || from("XDG_CACHE_HOME").or_else(|| home().map(|home| home.join(".cache")));
    from("TORCH_HOME").or_else(|| cache().map(|cache| cache.join("torch"))).map(|torch| torch.join("hub"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn file(source: Result<Source>) -> PathBuf {
        match source {
            Ok(Source::File(path)) => path,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_that_was_asked_for_is_used_or_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let (there, missing) = (directory.path().join("there"), directory.path().join("missing"));
        fs::write(&there, b"").unwrap();
        let set = |path: &Path| {
            let path = path.to_path_buf();
            move |name: &str| (name == "OCCLUDE_WEIGHTS").then(|| path.clone().into_os_string())
        };
        assert_eq!(file(find_with(Some(&there), &set(&missing))), there);
        assert_eq!(file(find_with(None, &set(&there))), there);
        assert!(find_with(Some(&missing), &set(&there)).unwrap_err().to_string().contains("no such file"));
        assert!(find_with(None, &set(&missing)).unwrap_err().to_string().contains("OCCLUDE_WEIGHTS"));
    }

    #[test]
    fn the_word_builtin_asks_for_the_built_in_network() {
        let nothing = |_: &str| None;
        let by_variable = |name: &str| (name == "OCCLUDE_WEIGHTS").then(|| BUILTIN_NAME.into());
        for found in [find_with(Some(Path::new(BUILTIN_NAME)), &nothing), find_with(None, &by_variable)] {
            #[cfg(feature = "builtin")]
            assert_eq!(found.unwrap(), Source::Builtin);
            #[cfg(not(feature = "builtin"))]
            assert!(found.unwrap_err().to_string().contains("feature `builtin` is off"));
        }
    }

    #[cfg(all(unix, not(target_os = "macos"), feature = "builtin", feature = "pth"))]
    #[test]
    fn caches_come_in_their_order_and_the_built_in_network_last() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let find = |variables: &[&str]| {
            let lookup = |name: &str| variables.contains(&name).then(|| root.join(name).into_os_string());
            find_with(None, &lookup).unwrap()
        };
        let put = |path: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, b"").unwrap();
            Source::File(path)
        };
        let all = ["HOME", "XDG_CACHE_HOME", "TORCH_HOME"];
        assert_eq!(find(&all), Source::Builtin);
        assert_eq!(find(&[]), Source::Builtin);
        // Each place wins over those before it here, which `find` looks at later.
        let hub = put("HOME/.cache/torch/hub/checkpoints/googlenet-1378be20.pth");
        assert_eq!(find(&["HOME"]), hub);
        assert_eq!(find(&["HOME", "XDG_CACHE_HOME"]), Source::Builtin);
        let hub = put("XDG_CACHE_HOME/torch/hub/checkpoints/googlenet-1378be20.pth");
        assert_eq!(find(&["HOME", "XDG_CACHE_HOME"]), hub);
        let hub = put("TORCH_HOME/hub/checkpoints/googlenet-1378be20.pth");
        assert_eq!(find(&all), hub);
        let cached = put("XDG_CACHE_HOME/occlude/bvlc_googlenet.safetensors");
        assert_eq!(find(&all), cached);
        let cached = put("HOME/.cache/occlude/bvlc_googlenet.safetensors");
        assert_eq!(find(&["HOME", "TORCH_HOME"]), cached);
    }
}
