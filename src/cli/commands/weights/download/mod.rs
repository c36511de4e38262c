//! One download by the system's `curl`, which writes to a pipe. What comes through it is counted, timed, hashed, and kept in a
//! partial file from which a later download can go on. The only module that starts another program or reaches a network.

mod answer;
mod curl;
mod partial;
mod url;

use std::io;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use occlude::Error;

use crate::cli::args::FetchLimits;
use crate::cli::terminal::interrupt;
use crate::cli::terminal::progress::BytesBar;
use answer::{AnswerHead, HeadReader};
use curl::Curl;
pub use partial::{Partial, TargetLock, remove_partial};
pub use url::{check_scheme, redacted, server};

/// A source that sends fewer bytes a second is given up.
const SLOWEST: f64 = 1000.0;

/// Longest time for which a signal or the end of the time limit goes unnoticed.
const TICK: Duration = Duration::from_millis(50);

/// Bytes taken from the pipe at once.
const CHUNK: usize = 1 << 16;

/// Why a download has not brought its file.
#[derive(Debug)]
pub enum Failure {
    /// The source's fault: another one may do.
    Source {
        reason: String,
        /// There is no connection to its server, so there will be none for another file, either.
        unreachable: bool,
    },
    /// The fault of this machine, or the user's wish: no other source would help.
    Here(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Here(error)
    }
}

/// The source's fault, in words.
pub fn blame(reason: impl Into<String>) -> Failure {
    Failure::Source { reason: reason.into(), unreachable: false }
}

/// One download: its address, size and limits.
pub struct Download<'a> {
    pub url: &'a str,
    /// In bytes, where it is known.
    pub size: Option<u64>,
    pub limits: FetchLimits,
}

impl Download<'_> {
    /// Brings the whole file, from where an earlier download has ended, and checks it. What does not become the right file when
    /// it is continued is downloaded once more from the start.
    ///
    /// # Errors
    /// [`Failure`]; then the partial file is either the beginning of the right file, as far as is known, or discarded.
    pub fn run(&self, partial: &mut Partial) -> std::result::Result<(), Failure> {
        check_scheme(self.url).map_err(blame)?;
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
                // It was the beginning of something else, or the server has no part from there.
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
                    match self.begin(&head, offset)? {
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
        // After Ctrl-C in a terminal, it may be the signal that has ended it.
        interrupt::check()?;
        if ended.code != Some(0) {
            return Err(ended.explain());
        }
        if !reader.is_done {
            return Err(blame("the server's answer has no end of its headers"));
        }
        if self.size.is_some_and(|size| size != partial.length()) || partial.length() == 0 {
            partial.discard();
            let expected = self.size.map_or(String::new(), |size| format!(", expected {size}"));
            return Err(blame(format!("it has {} bytes{expected}: another file", partial.length())));
        }
        Ok(transfer)
    }

    /// Judges the server's answer before anything is written.
    fn begin(&self, head: &AnswerHead, offset: u64) -> std::result::Result<Transfer, Failure> {
        let transfer = match head.status {
            200 => Transfer::Whole,
            206 if offset > 0 && head.start == Some(offset) => Transfer::Continued,
            206 | 416 if offset > 0 => return Ok(Transfer::NoPart),
            status => return Err(blame(format!("the server answers {status}"))),
        };
        let before = if transfer == Transfer::Continued { offset } else { 0 };
        let Some(total) = head.length.map(|length| length.saturating_add(before)) else {
            return Ok(transfer);
        };
        match self.size {
            Some(size) if size != total => {
                Err(blame(format!("it has {total} bytes, expected {size}: another file")))
            }
            None if total > self.limits.bytes => Err(blame(self.too_large())),
            _ => Ok(transfer),
        }
    }

    fn keep(&self, body: &[u8], partial: &mut Partial) -> std::result::Result<(), Failure> {
        let length = partial.length() + body.len() as u64;
        let too_much = match self.size {
            Some(size) if length > size => {
                format!("it has more than the {size} bytes expected: another file")
            }
            None if length > self.limits.bytes => self.too_large(),
            _ => {
                partial.write(body)?;
                if !is_page(&partial.head) {
                    return Ok(());
                }
                "a web page came instead of the file".to_string()
            }
        };
        partial.discard();
        Err(blame(too_much))
    }

    fn too_large(&self) -> String {
        format!("it is larger than {} bytes, which no weights are", self.limits.bytes)
    }
}

/// The outcome of a finished transfer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Transfer {
    Whole,
    /// From where an earlier one has ended.
    Continued,
    /// Nothing: the server does not send parts, or has none after what is there.
    NoPart,
}

/// The times within which something must happen.
struct Clock {
    limits: FetchLimits,
    begun: Instant,
    /// Since when bytes are counted, and how many there were.
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

    /// Says in words that the transfer is too slow or too long, if it is.
    fn check(&mut self) -> std::result::Result<(), String> {
        let FetchLimits { stall, total, .. } = self.limits;
        if self.begun.elapsed() >= total {
            return Err(format!("not done after {} seconds", total.as_secs_f64()));
        }
        if self.since.elapsed() >= stall {
            if (self.bytes as f64) < SLOWEST * stall.as_secs_f64() {
                return Err(format!(
                    "fewer than {SLOWEST} bytes a second came for {} seconds",
                    stall.as_secs_f64()
                ));
            }
            self.wait_anew();
        }
        Ok(())
    }
}

/// True if the bytes begin like a web page.
fn is_page(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_lowercase();
    text.starts_with("<!doctype") || text.starts_with("<html")
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io { path: path.to_path_buf(), action, source }
}
