//! The program `curl`: how it is started, what comes from it, and what its end means.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use occlude::{Error, Result};

use super::url::{is_https, redacted, userinfo};
use super::{CHUNK, Failure, blame};
use crate::cli::args::FetchLimits;

/// Seconds for a connection, from the look-up of the address to the end of the TLS handshake.
const CONNECT: u64 = 8;

/// `curl` at work. It ends when this is dropped.
pub struct Curl {
    child: Child,
    /// Its standard output: the headers of the answers, then the file.
    pub chunks: Receiver<Vec<u8>>,
    words: Option<JoinHandle<Vec<u8>>>,
    /// For messages.
    userinfo: Option<String>,
}

impl Curl {
    pub fn start(url: &str, offset: u64, limits: &FetchLimits) -> Result<Curl> {
        let mut curl = Command::new("curl");
        // First, so that no file of the user's adds options: ~/.curlrc could undo every bound. Proxies come from the environment.
        curl.arg("--disable");
        curl.args(["--silent", "--show-error", "--no-buffer", "--include", "--suppress-connect-headers"])
            .args([
                "--globoff",
                "--location",
                "--max-redirs",
                "10",
                "--proto",
                "=http,https",
                "--proto-redir",
            ])
            .arg(if is_https(url) { "=https" } else { "=http,https" })
            .args(["--connect-timeout", &CONNECT.to_string()])
            // It is this program's clock that counts. These end curl when this program has been killed.
            .args(["--speed-limit", "1", "--speed-time", &(limits.stall.as_secs() + 15).to_string()])
            .args(["--max-time", &(limits.total.as_secs() + 15).to_string()]);
        if offset > 0 {
            curl.args(["--range", &format!("{offset}-")]);
        }
        curl.args(["--output", "-", "--", url]);
        curl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C reaches this program alone, which ends curl. Else it would look as if the connection had been lost.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut curl, 0);
        let mut child = curl.spawn().map_err(|error| Error::Weights {
            name: redacted(url),
            problem: match error.kind() {
                io::ErrorKind::NotFound => {
                    "the program curl, which downloads it, is not installed".to_string()
                }
                _ => format!("the program curl, which downloads it, cannot be run ({error})"),
            } + ": install it, or download the file in another way and run: occlude weights import FILE",
        })?;
        let mut stdout = child.stdout.take().expect("a pipe");
        let stderr = child.stderr.take().expect("a pipe");
        let (sender, chunks) = sync_channel(4);
        thread::spawn(move || {
            let mut chunk = vec![0; CHUNK];
            while let Ok(count @ 1..) = stdout.read(&mut chunk) {
                // Nobody takes it any more when the download has been given up.
                if sender.send(chunk[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let words = thread::spawn(move || {
            let mut words = Vec::new();
            let _ = stderr.take(1000).read_to_end(&mut words);
            words
        });
        Ok(Curl { child, chunks, words: Some(words), userinfo: userinfo(url).map(str::to_string) })
    }

    /// Waits for its end, after it has closed the pipe.
    pub fn end(&mut self) -> io::Result<CurlExit> {
        let code = self.child.wait()?.code();
        let words = self.words.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let mut words = String::from_utf8_lossy(&words).trim().to_string();
        if let Some(userinfo) = &self.userinfo {
            words = words.replace(userinfo, "***");
        }
        Ok(CurlExit { code, words })
    }
}

impl Drop for Curl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The exit of `curl`.
pub struct CurlExit {
    /// None after a signal.
    pub code: Option<i32>,
    words: String,
}

impl CurlExit {
    pub fn explain(self) -> Failure {
        let Some(code) = self.code else { return blame("curl was killed") };
        let (reason, unreachable) = match code {
            5 | 6 => ("no address for the server: is there a network?".to_string(), true),
            7 => ("no connection to the server".to_string(), true),
            // Sooner than any of its other limits.
            28 => (format!("no connection to the server within {CONNECT} seconds"), true),
            18 | 52 | 55 | 56 | 92 => ("the connection was lost".to_string(), false),
            35 | 51 | 58 | 60 | 77 => ("the server cannot prove who it is".to_string(), true),
            47 => ("the server redirects more than 10 times".to_string(), false),
            code => (format!("curl ended with exit code {code}"), false),
        };
        let reason = if self.words.is_empty() { reason } else { format!("{reason} ({})", self.words) };
        Failure::Source { reason, unreachable }
    }
}
