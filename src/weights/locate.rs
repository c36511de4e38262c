//! The search for a weights file in the usual directories, with the built-in network as the last
//! choice.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Name of the published network's file in the directories that [`find`] searches.
pub const FILE_NAME: &str = "bvlc_googlenet.safetensors";

/// The name of the built-in network where a weights file can be given. A file of this name can be
/// given as `./builtin`.
pub const BUILTIN_NAME: &str = "builtin";

/// File name of torchvision's `googlenet` in PyTorch's hub cache.
const HUB_FILE: &str = "googlenet-1378be20.pth";

/// The source of the weights: a file or the built-in network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A weights file of any [`Form`](crate::weights::Form).
    File(PathBuf),
    /// [`Weights::builtin`](crate::weights::Weights::builtin).
    #[cfg(feature = "builtin")]
    Builtin,
}

/// Finds the weights to use: `explicit` if it is given, else the file named by `$OCCLUDE_WEIGHTS`,
/// else the first existing file of
///
/// 1. `weights/bvlc_googlenet.safetensors` in the current directory,
/// 2. `occlude/bvlc_googlenet.safetensors` in the user's cache directory ([`cache_file`]),
/// 3. with the feature `pth`, torchvision's `googlenet-1378be20.pth` in PyTorch's hub cache
///    (`$TORCH_HOME/hub/checkpoints`, by default in `~/.cache/torch`),
///
/// else the built-in network if this build has one (feature `builtin`). The name "builtin" in place
/// of a file selects the built-in network. No file is opened.
///
/// # Errors
/// [`Error::Weights`] if the requested file does not exist; no other is used instead.
/// [`Error::WeightsNotFound`], with the searched paths, if there is no file and no built-in
/// network.
pub fn find(explicit: Option<&Path>) -> Result<Source> {
    find_with(explicit, &variable)
}

/// The path of the published network in the user's cache directory, or `None` if the environment
/// does not define that directory.
pub fn cache_file() -> Option<PathBuf> {
    cache_directory(&variable).map(|cache| cache.join("occlude").join(FILE_NAME))
}

/// The value of an environment variable, or `None` if it is empty.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// [`find`] with the environment as an argument, for tests.
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

/// The requested source, without fallback; `by` names the origin of the request.
fn demanded(path: PathBuf, by: &str) -> Result<Source> {
    if path.as_os_str() == BUILTIN_NAME {
        #[cfg(feature = "builtin")]
        return Ok(Source::Builtin);
        #[cfg(not(feature = "builtin"))]
        return Err(Error::weights(
            BUILTIN_NAME,
            "this build has no built-in network: its feature `builtin` is off",
        ));
    }
    if path.exists() {
        return Ok(Source::File(path));
    }
    let problem = format!("no such file, although it was requested{by}");
    Err(Error::Io { path, action: "read", source: io::Error::new(io::ErrorKind::NotFound, problem) })
}

/// The user's cache directory on this platform.
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

/// The directory of PyTorch's hub, determined as by `torch.hub.get_dir`, which does so in the same
/// way on every platform.
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
        // Each of these files has precedence over those created before it.
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
