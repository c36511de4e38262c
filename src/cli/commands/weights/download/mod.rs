//! A download with the program `curl`, which writes to a pipe. The data is counted, timed, hashed
//! and kept in a partial file, from which a later download can continue.
//!
//! No other module of the command starts a program or uses the network.

mod answer;
mod curl;
mod partial;

use std::io;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use occlude::Error;

use crate::cli::address::check_scheme;
use crate::cli::args::FetchLimits;
use crate::cli::terminal::interrupt;
use crate::cli::terminal::progress::BytesBar;
use answer::{AnswerHead, HeadReader};
use curl::Curl;
pub use partial::{Partial, lock_target, remove_partial};

/// The minimum speed in bytes per second. A slower source is abandoned.
const SLOWEST: f64 = 1000.0;

/// The interval at which signals and time limits are checked.
const TICK: Duration = Duration::from_millis(50);

/// The largest number of bytes in one read from the pipe.
const CHUNK: usize = 1 << 16;

/// The reason why a download failed.
#[derive(Debug)]
pub enum Failure {
    /// The source failed; another source may succeed.
    Source {
        reason: String,
        /// True if the server cannot be reached, which also concerns its other files.
        unreachable: bool,
    },
    /// A failure of this machine, or an interruption by the user. Another source would not help.
    Here(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Here(error)
    }
}

/// Makes a failure of the source.
pub fn blame(reason: impl Into<String>) -> Failure {
    Failure::Source { reason: reason.into(), unreachable: false }
}

/// One download: its address, size and limits.
pub struct Download<'a> {
    pub url: &'a str,
    /// The size in bytes, if it is known.
    pub size: Option<u64>,
    pub limits: FetchLimits,
}

impl Download<'_> {
    /// Downloads the file, continuing an earlier download, and checks it. If the continued file is
    /// not the expected one, it is downloaded again from the start.
    ///
    /// # Errors
    /// [`Failure`]. The partial file is then kept if it can be the beginning of the expected file.
    pub fn run(&self, partial: &mut Partial) -> std::result::Result<(), Failure> {
        check_scheme(self.url).map_err(blame)?;
        if self.size.is_some_and(|size| size > self.limits.bytes) {
            return Err(blame(self.too_large()));
        }
        if partial.length() > 0 {
            if partial.check().is_ok() {
                return Ok(());
            }
            if partial.length() >= self.size.unwrap_or(self.limits.bytes) {
                partial.clear()?;
            }
        }
        let mut clock = Clock::new(self.limits);
        loop {
            match self.transfer(partial, &mut clock) {
                Ok(Transfer::Whole) => return partial.check().inspect_err(|_| partial.discard()),
                Ok(Transfer::Continued) if partial.check().is_ok() => return Ok(()),
                // The partial file belongs to another file, or the server does not send parts.
                Ok(Transfer::Continued | Transfer::NoPart) => partial.clear()?,
                Err(Failure::Source { reason, unreachable }) => {
                    return Err(Failure::Source { reason: reason + &partial.in_words(), unreachable });
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn transfer(&self, partial: &mut Partial, clock: &mut Clock) -> std::result::Result<Transfer, Failure> {
        let offset = partial.length();
        let mut curl = Curl::start(self.url, offset, &self.limits)?;
        let mut reader = HeadReader::new(self.url);
        let mut bar = None;
        let mut transfer = Transfer::Whole;
        loop {
            interrupt::check()?;
            let chunk = match curl.chunks.recv_timeout(TICK) {
                Ok(chunk) => chunk,
                Err(RecvTimeoutError::Timeout) => {
                    clock.check().map_err(blame)?;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            clock.count(chunk.len());
            clock.check().map_err(blame)?;
            let body = match &bar {
                Some(_) => chunk,
                None => {
                    let Some((head, body)) = reader.read(chunk).map_err(blame)? else { continue };
                    clock.wait_anew();
                    match self.begin(&head, partial)? {
                        Transfer::NoPart => return Ok(Transfer::NoPart),
                        Transfer::Whole => partial.clear()?,
                        Transfer::Continued => transfer = Transfer::Continued,
                    }
                    let total = head.length.map(|length| partial.length() + length).or(self.size);
                    bar = Some(BytesBar::new(partial.length(), total));
                    body
                }
            };
            self.keep(&body, partial)?;
            if let Some(bar) = &bar {
                bar.show(partial.length());
            }
        }
        drop(bar);
        let ended = curl.end().map_err(failed("wait for", Path::new("curl")))?;
        // After Ctrl-C, the signal may have ended curl.
        interrupt::check()?;
        if ended.code != Some(0) {
            return Err(ended.explain());
        }
        if !reader.is_done {
            return Err(blame("the headers of the server's answer do not end"));
        }
        if self.size.is_some_and(|size| size != partial.length()) || partial.length() == 0 {
            partial.discard();
            let expected = self.size.map_or(String::new(), |size| format!(", expected {size}"));
            return Err(blame(format!(
                "the file has {} bytes{expected}: it is another file",
                partial.length()
            )));
        }
        Ok(transfer)
    }

    /// Checks the head of the server's answer before anything is written.
    fn begin(&self, head: &AnswerHead, partial: &mut Partial) -> std::result::Result<Transfer, Failure> {
        let offset = partial.length();
        let transfer = match head.status {
            200 => Transfer::Whole,
            206 if offset > 0 && head.start == Some(offset) => Transfer::Continued,
            206 | 416 if offset > 0 => return Ok(Transfer::NoPart),
            status => return Err(blame(format!("the server answers with status {status}"))),
        };
        let before = if transfer == Transfer::Continued { offset } else { 0 };
        let Some(total) = head.length.map(|length| length.saturating_add(before)) else {
            return Ok(transfer);
        };
        let problem = match self.size {
            Some(size) if size != total => {
                format!("the file has {total} bytes, expected {size}: it is another file")
            }
            None if total > self.limits.bytes => self.too_large(),
            _ => return Ok(transfer),
        };
        // Otherwise every later download would continue a file that the server does not have.
        partial.discard();
        Err(blame(problem))
    }

    fn keep(&self, body: &[u8], partial: &mut Partial) -> std::result::Result<(), Failure> {
        let length = partial.length() + body.len() as u64;
        let too_much = match self.size {
            Some(size) if length > size => {
                format!("the file has more than the expected {size} bytes: it is another file")
            }
            None if length > self.limits.bytes => self.too_large(),
            _ => {
                partial.write(body)?;
                if !is_page(&partial.head) {
                    return Ok(());
                }
                "the server sent a web page instead of the file".to_string()
            }
        };
        partial.discard();
        Err(blame(too_much))
    }

    fn too_large(&self) -> String {
        format!("the file is larger than {} bytes, the limit for weights files", self.limits.bytes)
    }
}

/// The outcome of a finished transfer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Transfer {
    Whole,
    /// The rest of a file, after an earlier transfer.
    Continued,
    /// Nothing: the server does not send parts of files, or has no data after the partial file.
    NoPart,
}

/// Checks the time limits of a download.
struct Clock {
    limits: FetchLimits,
    begun: Instant,
    /// The start of the current interval; `bytes` arrived since then.
    since: Instant,
    bytes: usize,
}

impl Clock {
    fn new(limits: FetchLimits) -> Clock {
        Clock { limits, begun: Instant::now(), since: Instant::now(), bytes: 0 }
    }

    fn count(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    fn wait_anew(&mut self) {
        (self.since, self.bytes) = (Instant::now(), 0);
    }

    /// Returns an error message if the transfer is too slow or takes too long.
    fn check(&mut self) -> std::result::Result<(), String> {
        let FetchLimits { stall, total, .. } = self.limits;
        if self.begun.elapsed() >= total {
            return Err(format!("the download is not complete after {} seconds", total.as_secs_f64()));
        }
        if self.since.elapsed() >= stall {
            if (self.bytes as f64) < SLOWEST * stall.as_secs_f64() {
                return Err(format!(
                    "the server sent fewer than {SLOWEST} bytes per second for {} seconds",
                    stall.as_secs_f64()
                ));
            }
            self.wait_anew();
        }
        Ok(())
    }
}

/// True if the bytes are the beginning of a web page.
fn is_page(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_lowercase();
    text.starts_with("<!doctype") || text.starts_with("<html")
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io { path: path.to_path_buf(), action, source }
}
