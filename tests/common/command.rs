//! Runs the real binary for the tests, each time in a separate folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use occlude::Photograph;
use serde_json::Value;
use tempfile::TempDir;

use super::seeded_weights;

/// The command in its own folder, without weights from the environment.
pub fn occlude(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_occlude"));
    command.current_dir(folder.path()).args(arguments).env_remove("OCCLUDE_WEIGHTS");
    for cache in ["HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"] {
        command.env(cache, folder.path().join("cache"));
    }
    command
}

/// The option of `env` that gives the signals which end the command their default effect.
const DEFAULT_SIGNALS: &str = "--default-signal=HUP,INT,TERM";

/// Runs the command after a line of shell that changes its environment, such as `ulimit`. In that
/// line the command is `"$@"`.
pub fn under(shell: &str, command: &Command) -> Command {
    let mut line = Command::new("sh");
    line.args(["-c", shell, "sh"]).arg(command.get_program()).args(command.get_args());
    line.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => line.env(name, value),
            None => line.env_remove(name),
        };
    }
    line
}

/// The command with the default effect of the signals that end it. A process inherits ignored signals, and the
/// program respects them: a job in the background of a script ignores SIGINT, one of `nohup` SIGHUP.
pub fn with_default_signals(command: &Command) -> Command {
    static HAS_OPTION: LazyLock<bool> = LazyLock::new(|| {
        let env = Command::new("env").args([DEFAULT_SIGNALS, "true"]).output();
        env.is_ok_and(|output| output.status.success())
    });
    // Without this option of GNU's `env`, the tests pass where these signals are not ignored.
    let shell = if *HAS_OPTION { format!("exec env {DEFAULT_SIGNALS} \"$@\"") } else { "exec \"$@\"".into() };
    under(&shell, command)
}

/// The command with the seeded weights.
pub fn seeded(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = occlude(folder, arguments);
    command.env("OCCLUDE_WEIGHTS", seeded_weights());
    command
}

pub fn succeed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    assert_eq!(stderr(&output), "", "{command:?}: standard error is not a terminal here");
    String::from_utf8(output.stdout).unwrap()
}

/// Asserts the exit code, the message, an empty standard output, and unchanged contents of the
/// folder.
pub fn refuse(folder: &TempDir, mut command: Command, code: i32, messages: &[&str]) {
    let before = listing(folder.path());
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {text}");
    for message in messages {
        assert!(text.contains(message), "{command:?}: expected \"{message}\" in: {text}");
    }
    assert!(text.starts_with("error: ") && !text.contains("panicked"), "{command:?}: {text}");
    assert_eq!(output.stdout, b"", "{command:?}");
    assert_eq!(listing(folder.path()), before, "{command:?} left something behind");
}

/// Standard error without the line that names the network.
pub fn stderr(output: &Output) -> String {
    without_network(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A text without the line that names the network.
pub fn without_network(text: String) -> String {
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("network: ") => rest.to_string(),
        _ => text,
    }
}

/// All files and folders below a folder.
pub fn listing(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(listing(&path));
        }
        all.push(path);
    }
    all.sort();
    all
}

/// A folder with `picture.png`, which is colourful, is not square and does not have the network's
/// input size.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let wave = |phase: u32| (f64::from(phase) / 9.0).sin().mul_add(120.0, 128.0) as u8;
    let picture = image::RgbImage::from_fn(120, 80, |x, y| image::Rgb([wave(x), wave(y * 2), wave(x + y)]));
    write_png(&folder.path().join("picture.png"), &picture);
    folder
}

/// Writes a PNG file. `image`'s functions that detect the format from the name add the code of all
/// formats to each test program, which then takes long to compile. This function and the next one
/// avoid them.
pub fn write_png(path: &Path, picture: &image::RgbImage) {
    let mut bytes = Vec::new();
    picture.write_with_encoder(image::codecs::png::PngEncoder::new(&mut bytes)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The pixels of a picture of any format.
pub fn read_picture(path: &Path) -> image::RgbImage {
    let picture = Photograph::open(path).unwrap();
    let (height, width) = (picture.height() as u32, picture.width() as u32);
    image::RgbImage::from_raw(width, height, picture.rgb().to_vec()).unwrap()
}

/// Flattens nested lists of numbers to f32 values.
pub fn floats(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(floats).collect(),
        number => vec![number.as_f64().expect("a number") as f32],
    }
}

/// The lengths of nested lists.
pub fn shape(value: &Value) -> Vec<usize> {
    match value {
        Value::Array(items) => {
            let inner = items.first().map(shape).unwrap_or_default();
            assert!(items.iter().all(|item| shape(item) == inner), "ragged");
            [vec![items.len()], inner].concat()
        }
        _ => Vec::new(),
    }
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
