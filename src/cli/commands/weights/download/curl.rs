//! The program `curl`: its options, its output and its exit codes.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use occlude::text::shown;
use occlude::{Error, Result};

use super::{CHUNK, Failure, blame};
use crate::cli::address::{is_https, redacted, without_secrets};
use crate::cli::args::FetchLimits;

/// The time limit of a connection in seconds, including address lookup and TLS handshake.
const CONNECT: u64 = 8;

/// The time in seconds after which curl checks the limits too.
const AFTER: u64 = 5;

/// A running `curl`. It is killed when this value is dropped.
pub struct Curl {
    child: Child,
    /// The standard output of curl: the headers of the answers, then the file.
    pub chunks: Receiver<Vec<u8>>,
    words: Option<JoinHandle<Vec<u8>>>,
    /// The address, whose secrets messages do not show.
    url: String,
}

impl Curl {
    pub fn start(url: &str, offset: u64, limits: &FetchLimits) -> Result<Curl> {
        let mut curl = Command::new("curl");
        // The first option: it ignores ~/.curlrc, which could remove all limits. Proxies are taken
        // from the environment.
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
            // This program checks the time limits. If it is killed, a write to the pipe ends curl, or,
            // if the server sends nothing, one of these options.
            .args(["--speed-limit", "1", "--speed-time", &(limits.stall.as_secs() + AFTER).to_string()])
            .args(["--max-time", &(limits.total.as_secs() + AFTER).to_string()]);
        if offset > 0 {
            curl.args(["--range", &format!("{offset}-")]);
        }
        // Other users of the machine can read arguments, so the address is not one of them.
        curl.args(["--output", "-", "--config", "-"]);
        curl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // With its own process group, curl does not receive Ctrl-C. This program ends it; otherwise
        // the end of curl would look like a lost connection.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut curl, 0);
        let mut child = curl.spawn().map_err(|error| Error::Weights {
            name: redacted(url),
            problem: match error.kind() {
                io::ErrorKind::NotFound => {
                    "the program curl, which is required for the download, is not installed".to_string()
                }
                _ => format!("the program curl, which is required for the download, cannot be started ({error})"),
            } + ": install it, or download the file with another program and run: occlude weights import FILE",
        })?;
        // If curl has ended, its exit code tells why.
        let _ = child.stdin.take().expect("a pipe").write_all(config(url).as_bytes());
        let mut stdout = child.stdout.take().expect("a pipe");
        let stderr = child.stderr.take().expect("a pipe");
        let (sender, chunks) = sync_channel(4);
        thread::spawn(move || {
            let mut chunk = vec![0; CHUNK];
            while let Ok(count @ 1..) = stdout.read(&mut chunk) {
                // The receiver is gone after the download has been abandoned.
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
        Ok(Curl { child, chunks, words: Some(words), url: url.to_string() })
    }

    /// Waits until curl ends. Call it after curl has closed the pipe.
    pub fn end(&mut self) -> io::Result<CurlExit> {
        let code = self.child.wait()?.code();
        let words = self.words.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let words = without_secrets(String::from_utf8_lossy(&words).trim(), &self.url);
        Ok(CurlExit { code, words: shown(&words).into_owned() })
    }
}

impl Drop for Curl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address as a line of a configuration file for curl.
fn config(url: &str) -> String {
    let mut quoted = String::new();
    for character in url.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted += "\\n",
            '\r' => quoted += "\\r",
            _ => quoted.push(character),
        }
    }
    format!("url = \"{quoted}\"\n")
}

/// The result of `curl`.
pub struct CurlExit {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    words: String,
}

impl CurlExit {
    pub fn explain(self) -> Failure {
        let Some(code) = self.code else { return blame("curl was killed") };
        let (reason, unreachable) = match code {
            5 | 6 => (
                "the address of the server cannot be resolved; check the network connection".to_string(),
                true,
            ),
            7 => ("the connection to the server failed".to_string(), true),
            28 if self.words.contains("too slow") => ("the server sent no more data".to_string(), false),
            // The limit for the connection. This program checks the total time.
            28 => (format!("no connection to the server within {CONNECT} seconds"), true),
            18 | 52 | 55 | 56 | 92 => ("the connection was lost".to_string(), false),
            35 | 51 | 58 | 60 | 77 => {
                ("the TLS certificate of the server cannot be verified".to_string(), true)
            }
            47 => ("the server redirects more than 10 times".to_string(), false),
            code => (format!("curl ended with exit code {code}"), false),
        };
        let reason = if self.words.is_empty() { reason } else { format!("{reason} ({})", self.words) };
        Failure::Source { reason, unreachable }
    }
}

#[cfg(test)]
mod tests {
    use super::config;

    #[test]
    fn an_address_stays_one_line_of_the_configuration() {
        assert_eq!(config("http://a/b"), "url = \"http://a/b\"\n");
        assert_eq!(config("http://a/\"\\\n"), "url = \"http://a/\\\"\\\\\\n\"\n");
    }
}
