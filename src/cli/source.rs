//! The inputs that a user names: files, `-` for standard input, and addresses, which are refused with
//! advice.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use occlude::{Error, Photograph, Result};

use crate::cli::address;
use crate::cli::terminal::interrupt;

/// The name of standard input on the command line. A file of this name can be given as `./-`.
const STANDARD_INPUT: &str = "-";

/// The name of standard input in messages and results.
const IN_WORDS: &str = "standard input";

/// The interval between two checks for a signal while a pipe is read.
const INTERVAL: Duration = Duration::from_millis(20);

pub fn is_standard_input(path: &Path) -> bool {
    path == Path::new(STANDARD_INPUT)
}

/// True if the input can be read several times and reading it does not wait for another program.
pub fn is_regular(path: &Path) -> bool {
    !is_standard_input(path) && path.is_file()
}

/// True for standard input, a pipe or a device, which can be read once only.
pub fn is_stream(path: &Path) -> bool {
    is_standard_input(path) || path.metadata().is_ok_and(|file| !file.is_file() && !file.is_dir())
}

/// The input in messages and results.
pub fn shown(path: &Path) -> String {
    if is_standard_input(path) { IN_WORDS.to_string() } else { path.to_string_lossy().into_owned() }
}

/// Reads a text: a file or standard input, at most `limit` bytes of it.
///
/// # Errors
/// [`Error::Io`], also for an address.
pub fn read_text(path: &Path, limit: u64) -> Result<Vec<u8>> {
    refuse_address(path)?;
    let open = || -> io::Result<Box<dyn Read>> {
        if is_standard_input(path) {
            Ok(Box::new(io::stdin().lock()))
        } else {
            Ok(Box::new(File::open(path)?))
        }
    };
    let mut bytes = Vec::new();
    let read = open().and_then(|source| source.take(limit).read_to_end(&mut bytes));
    read.map_err(|source| Error::Io { path: shown(path).into(), action: "read", source })?;
    Ok(bytes)
}

/// Reads the bytes of a photograph. The source may be a pipe whose other end never writes; a signal
/// ends the wait.
///
/// # Errors
/// As [`Photograph::read`]; [`Error::Io`] for an address; [`Error::Cancelled`] after a signal.
pub fn read_photograph(path: &Path) -> Result<Vec<u8>> {
    refuse_address(path)?;
    let (sender, receiver) = channel();
    let named = path.to_path_buf();
    // A read that waits cannot be ended, but it can be left behind.
    let reads = || thread::Builder::new().spawn(move || sender.send(read(&named)));
    if is_regular(path) || reads().is_err() {
        return read(path);
    }
    loop {
        interrupt::check()?;
        match receiver.recv_timeout(INTERVAL) {
            Err(RecvTimeoutError::Timeout) => {}
            read => return read.expect("the thread sends what it has read"),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    if is_standard_input(path) {
        Photograph::read_from(IN_WORDS, io::stdin().lock())
    } else {
        Photograph::read(path)
    }
}

/// # Errors
/// [`Error::Io`] for an address, with advice.
pub fn refuse_address(path: &Path) -> Result<()> {
    let Some((address, advice)) = address(path) else { return Ok(()) };
    let source = io::Error::other(format!("it is an address, expected a file: {advice}"));
    Err(Error::Io { path: address.into(), action: "read", source })
}

/// For an address that is not also an existing file: the address without passwords, and the way from
/// it to a file.
pub fn address(path: &Path) -> Option<(String, String)> {
    let text = path.to_str()?;
    let scheme = address::scheme(text)?;
    if !text[scheme.len()..].starts_with("://") || path.exists() {
        return None;
    }
    let shown = address::redacted(text);
    let advice = match scheme.as_str() {
        "file" => format!("name it as /{}", shown.splitn(4, '/').nth(3).unwrap_or_default()),
        "s3" => "download it first, for example with `aws s3 cp ADDRESS .`".to_string(),
        "gs" => "download it first, for example with `gcloud storage cp ADDRESS .`".to_string(),
        _ => "download it first, for example with `curl -LO ADDRESS`".to_string(),
    };
    Some((shown, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_no_file_and_its_passwords_are_not_repeated() {
        let found = |text: &str| address(Path::new(text));
        for (text, name, advice) in [
            ("https://example.org/a/cat.jpg", "https://example.org/a/cat.jpg", "curl -LO"),
            ("HTTP://me:secret@example.org/cat.jpg?key=1", "HTTP://***@example.org/cat.jpg", "curl -LO"),
            ("file:///home/me/cat.jpg", "file:///home/me/cat.jpg", "name it as /home/me/cat.jpg"),
            ("s3://bucket/cat.jpg", "s3://bucket/cat.jpg", "aws s3 cp"),
        ] {
            let (shown, told) = found(text).unwrap();
            assert!(shown == name && told.contains(advice), "{text}: {shown}, {told}");
        }
        for file in ["cat.jpg", "-", "a/b://c", "://x", "C:\\cat.jpg", "https:/cat.jpg"] {
            assert_eq!(found(file), None, "{file}");
        }
    }
}
