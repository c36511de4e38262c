//! `occlude weights fetch`: downloads the published weights by the system's `curl`, checks and converts them. The only module
//! that starts another program or reaches a network.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use occlude::weights::{Source, cache_file};
use occlude::{Error, Result};
use sha1::Sha1;

use super::described::form;
use super::import::install;
use super::manifest::Manifest;
use crate::cli::args::Fetch;
use crate::cli::checksum::{checksum, load_and_hash};
use crate::cli::console;
use crate::cli::output;

/// No file of weights that can be read is larger.
const MAX_SIZE: &str = "268435456";

pub fn run(args: &Fetch) -> Result<ExitCode> {
    console::print(&fetch(args)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Downloads, checks, converts; returns what is to be said about it.
fn fetch(args: &Fetch) -> Result<String> {
    let manifest = Manifest::published();
    let out = args.out.clone().or_else(cache_file).ok_or_else(|| Error::Option {
        name: "--out",
        found: "in the user's cache directory".to_string(),
        expected: "a file, because the environment does not say where that directory is".to_string(),
    })?;
    output::check_apart(&out)?;
    if out.exists() && !args.force {
        if args.sha1.is_none() && checksum(&out, sha2::Sha256::default())? == manifest.sha256 {
            return Ok(format!("unchanged {}, which is the published file\n", out.display()));
        }
        return Err(Error::Weights {
            name: out.display().to_string(),
            problem: "holds something else already; --force replaces it, --out names another file"
                .to_string(),
        });
    }

    let url = args.url.as_deref().unwrap_or(&manifest.origin.url);
    let published = args.url.is_none().then_some(&manifest.origin.sha1);
    let download = Download::new(url, &out, args.sha1.as_ref().or(published).map(String::as_str));
    let text = download.run().and_then(|()| {
        let from = &download.partial;
        let source = (|| {
            let form = form(from)?;
            let (weights, sha256) = load_and_hash(&Source::File(from.clone()), None)?;
            let differing = manifest.differing(&weights);
            if args.sha1.is_none() && !differing.is_empty() {
                return Err(download.refuse(format!(
                    "is not the published network: tensors: {}; if it is what you want, name its checksum with --sha1",
                    manifest.compared(&differing)
                )));
            }
            Ok((weights, format!("{url}, {form}, sha256 {sha256}")))
        })();
        // What is not weights will not become any by going on.
        let (weights, source) = source.inspect_err(|_| drop(fs::remove_file(from)))?;
        let text = install(&weights, &source, &out, args.force)?;
        let _ = fs::remove_file(from);
        Ok(text)
    });
    text.inspect_err(|_| download.tidy())
}

struct Download<'a> {
    url: &'a str,
    /// What it must have.
    sha1: Option<&'a str>,
    /// Where what has come so far is kept.
    partial: PathBuf,
    /// Folders to be made for it, each before the one that it lies in.
    missing: Vec<PathBuf>,
}

impl<'a> Download<'a> {
    fn new(url: &'a str, out: &Path, sha1: Option<&'a str>) -> Download<'a> {
        let partial = out.with_file_name(format!("{}.partial", file_name(url)));
        let folders = partial.ancestors().skip(1);
        let missing = folders.filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        Download { url, sha1, missing: missing.map(Path::to_path_buf).collect(), partial }
    }

    /// Brings the whole file, from where an earlier download has ended, and checks it.
    fn run(&self) -> Result<()> {
        if let Some(folder) = self.missing.first() {
            let failed = |source| Error::Io { path: folder.clone(), action: "write to", source };
            fs::create_dir_all(folder).map_err(failed)?;
        }
        if self.is_resumed() && self.sha1.is_some() && self.check().is_ok() {
            return Ok(());
        }
        loop {
            let resumed = self.is_resumed();
            let finished = self.curl();
            match finished {
                Ok(()) => match self.check() {
                    Ok(()) => return Ok(()),
                    // It was the beginning of something else.
                    Err(_) if resumed => {}
                    Err(error) => {
                        let _ = fs::remove_file(&self.partial);
                        return Err(error);
                    }
                },
                // The server does not send parts, or has none after what is there.
                Err(Failure::Part) if resumed => {}
                Err(failure) => return Err(self.refuse(failure.explain(&self.partial))),
            }
            let failed = |source| Error::Io { path: self.partial.clone(), action: "remove", source };
            fs::remove_file(&self.partial).map_err(failed)?;
        }
    }

    fn is_resumed(&self) -> bool {
        self.partial.metadata().is_ok_and(|partial| partial.len() > 0)
    }

    fn curl(&self) -> std::result::Result<(), Failure> {
        let terminal = io::stderr().is_terminal();
        let mut curl = Command::new("curl");
        curl.args([
            "--fail",
            "--location",
            "--globoff",
            "--proto",
            "=http,https",
            "--proto-redir",
            "=http,https",
        ])
        .args(["--connect-timeout", "30", "--speed-time", "60", "--speed-limit", "1"])
        .args(["--max-filesize", MAX_SIZE, "--continue-at", "-", "--write-out", "%{http_code}", "--output"])
        .arg(&self.partial);
        match terminal {
            true => curl.arg("--progress-bar").stderr(Stdio::inherit()),
            false => curl.args(["--silent", "--show-error"]).stderr(Stdio::piped()),
        };
        curl.args(["--", self.url]).stdin(Stdio::null());
        let output = curl.output().map_err(Failure::NoCurl)?;
        if output.status.success() {
            return Ok(());
        }
        let http = String::from_utf8_lossy(&output.stdout).trim().to_string();
        match (output.status.code(), http.as_str()) {
            (Some(33 | 36), _) | (_, "416") => Err(Failure::Part),
            (Some(code), _) => {
                let words = String::from_utf8_lossy(&output.stderr).trim().to_string();
                Err(Failure::Curl { code, http, words })
            }
            (None, _) => Err(Failure::Killed),
        }
    }

    fn check(&self) -> Result<()> {
        let Some(expected) = self.sha1 else {
            return Ok(());
        };
        let found = checksum(&self.partial, Sha1::default())?;
        if found == expected {
            return Ok(());
        }
        Err(self.refuse(format!(
            "SHA-1 {found}, expected {expected}: damaged on its way, or another file; it was removed and nothing is \
             installed; try again, or another server with --url"
        )))
    }

    fn refuse(&self, problem: String) -> Error {
        Error::Weights { name: self.url.to_string(), problem }
    }

    /// Removes what a failed download leaves that is of no use to the next.
    fn tidy(&self) {
        if !self.is_resumed() {
            let _ = fs::remove_file(&self.partial);
        }
        for folder in &self.missing {
            // Only if empty.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Why `curl` has not brought the file.
enum Failure {
    NoCurl(io::Error),
    Killed,
    /// No part from where the earlier download has ended.
    Part,
    Curl {
        code: i32,
        /// The server's status, "000" if it has sent none.
        http: String,
        words: String,
    },
}

impl Failure {
    /// What happened and what to do.
    fn explain(self, partial: &Path) -> String {
        let by_hand = "or download it in another way and run: occlude weights import FILE";
        let kept = match partial.metadata() {
            Ok(partial) if partial.len() > 0 => {
                format!("{} bytes are kept, and the same command goes on from there", partial.len())
            }
            _ => "try again".to_string(),
        };
        match self {
            Failure::NoCurl(error) if error.kind() == io::ErrorKind::NotFound => {
                format!("the program curl, which downloads it, is not installed: install it, {by_hand}")
            }
            Failure::NoCurl(error) => {
                format!("the program curl cannot be run ({error}): repair it, {by_hand}")
            }
            Failure::Killed => format!("the download was interrupted; {kept}"),
            Failure::Part => format!("the server does not send it; try another with --url, {by_hand}"),
            Failure::Curl { code, http, words } => {
                let what = match code {
                    5 | 6 => format!("no address for the server: is there a network? Try again, {by_hand}"),
                    7 => format!(
                        "no connection to the server: try again, another server with --url, {by_hand}"
                    ),
                    22 => format!("the server answers {http}: try another with --url, {by_hand}"),
                    23 => format!("{} cannot be written: is the disk full? {kept}", partial.display()),
                    18 | 28 | 52 | 55 | 56 | 92 => format!("the connection was lost; {kept}"),
                    35 | 51 | 58 | 60 => {
                        format!("the server cannot prove who it is: try another with --url, {by_hand}")
                    }
                    63 => {
                        format!("larger than {MAX_SIZE} bytes, which no weights are: try another with --url")
                    }
                    code => format!("curl ended with exit code {code}; {kept}, {by_hand}"),
                };
                if words.is_empty() { what } else { format!("{what} ({words})") }
            }
        }
    }
}

/// The last part of an address, if it can be a file's name everywhere.
fn file_name(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.starts_with('.') || name.len() > 100 || !name.chars().all(plain) {
        return "weights";
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_file_is_named_after_the_address_where_that_is_a_name() {
        for (url, name) in [
            ("http://a.b/c/bvlc_googlenet.caffemodel", "bvlc_googlenet.caffemodel"),
            ("http://a.b/googlenet-9.onnx?download=1#x", "googlenet-9.onnx"),
            ("http://a.b/", "weights"),
            ("http://a.b/..", "weights"),
            ("http://a.b/a%2Fb", "weights"),
            ("", "weights"),
        ] {
            assert_eq!(file_name(url), name);
        }
    }
}
