//! One download by the system's `curl`, which writes to a pipe. What comes through it is counted, timed, hashed, and kept in a
//! partial file from which a later download can go on. The only module that starts another program or reaches a network.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use occlude::{Error, Result};

use crate::cli::args::FetchLimits;
use crate::cli::checksum::{Checksum, Hasher};
use crate::cli::terminal::interrupt;
use crate::cli::terminal::progress::BytesBar;

/// Seconds for a connection, from the look-up of the address to the end of the TLS handshake.
const CONNECT: u64 = 8;

/// A source that sends fewer bytes a second is given up.
const SLOWEST: f64 = 1000.0;

/// Longest time for which a signal or the end of the time limit goes unnoticed.
const TICK: Duration = Duration::from_millis(50);

/// Bytes taken from the pipe at once.
const CHUNK: usize = 1 << 16;

/// No server's headers are longer, those of all redirects together.
const MAX_HEADERS: usize = 1 << 16;

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

/// The place of one file, in the hands of this process alone. Dropped, it is as it was: no lock file, and no folder that was
/// made for a file that has not come.
pub struct Place {
    lock: PathBuf,
    /// Closed, and with that unlocked, after the file is removed.
    _locked: File,
    _made: MadeFolders,
}

/// Folders made, each before the one that it lies in.
struct MadeFolders(Vec<PathBuf>);

impl Drop for MadeFolders {
    fn drop(&mut self) {
        for folder in &self.0 {
            // Only if empty.
            let _ = fs::remove_dir(folder);
        }
    }
}

impl Place {
    /// Makes the folder for `out` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Weights`] when another process has the place.
    pub fn take(out: &Path) -> Result<Place> {
        let folders = out.ancestors().skip(1);
        let missing = folders.filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let made = MadeFolders(missing.map(Path::to_path_buf).collect());
        if let Some(folder) = made.0.first() {
            fs::create_dir_all(folder).map_err(failed("write to", folder))?;
        }
        let lock = beside(out, "lock");
        loop {
            let file = open_own(&lock)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Weights {
                        name: out.display().to_string(),
                        problem: "another `occlude weights fetch` is downloading it: wait until that has ended, or \
                                  name another file with --out"
                            .to_string(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed("lock", &lock)(source)),
            }
            // Another process may have removed the file between the two, and then holds none.
            let lies = fs::symlink_metadata(&lock);
            if lies.is_ok_and(|lies| file.metadata().is_ok_and(|opened| is_same(&lies, &opened))) {
                return Ok(Place { lock, _locked: file, _made: made });
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.lock);
    }
}

/// The part of a file that has been downloaded, in a file beside its final place.
pub struct Partial<'a> {
    path: PathBuf,
    /// The name for messages: the partial file may be gone by then.
    place: PathBuf,
    file: File,
    length: u64,
    /// Its first bytes.
    head: Vec<u8>,
    checksum: Option<&'a Checksum>,
    hasher: Option<Hasher>,
    /// True if a later download may continue from here.
    kept: bool,
}

impl<'a> Partial<'a> {
    /// Opens what an earlier download left of a file with this checksum, or an empty file. Without a checksum nobody could tell
    /// whether the parts belong together, so it begins anew and is not kept. The checksum is part of the name: no other file's
    /// bytes are taken for this one's.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(out: &Path, checksum: Option<&'a Checksum>) -> Result<Partial<'a>> {
        let path = partial_path(out, checksum);
        let file = open_own(&path)?;
        let mut partial = Partial {
            path,
            place: out.to_path_buf(),
            file,
            length: 0,
            head: Vec::new(),
            checksum,
            hasher: None,
            kept: checksum.is_some(),
        };
        if partial.kept {
            partial.hasher = checksum.map(Checksum::hasher);
            partial.read_again().map_err(failed("read", &partial.place))?;
        } else {
            partial.clear()?;
        }
        Ok(partial)
    }

    fn read_again(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = self.file.read(&mut chunk)?;
            if count == 0 {
                return Ok(());
            }
            self.count(&chunk[..count]);
        }
    }

    fn count(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.head.extend(&bytes[..bytes.len().min(64 - self.head.len())]);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(failed("write to", &self.place))?;
        self.count(bytes);
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cleared.map_err(failed("write to", &self.place))?;
        self.length = 0;
        self.head.clear();
        self.hasher = self.checksum.map(Checksum::hasher);
        Ok(())
    }

    /// Compares its checksum, if one is known, with what has come.
    fn check(&self) -> std::result::Result<(), Failure> {
        let (Some(expected), Some(hasher)) = (self.checksum, &self.hasher) else { return Ok(()) };
        let found = hasher.clone().finish();
        if found.starts_with(expected.digits()) {
            return Ok(());
        }
        Err(blame(format!(
            "its checksum is {found}, expected {expected}: damaged on its way, or another file"
        )))
    }

    /// It is of no use to a later download: it has been used, or is not what it should be.
    pub fn discard(&mut self) {
        self.kept = false;
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// The file from its start.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn rewound(&mut self) -> Result<&mut File> {
        self.file.seek(SeekFrom::Start(0)).map_err(failed("read", &self.place))?;
        Ok(&mut self.file)
    }

    /// Tells after a failure whether the part is kept.
    fn in_words(&self) -> String {
        match self.length {
            0 => String::new(),
            _ if !self.kept => String::new(),
            length => format!("; {length} bytes are kept, and the same command goes on from there"),
        }
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if !self.kept || self.length == 0 {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn partial_path(out: &Path, checksum: Option<&Checksum>) -> PathBuf {
    match checksum {
        Some(checksum) => beside(out, &format!("{:.8}.partial", checksum.digits())),
        None => beside(out, "partial"),
    }
}

/// Removes what an earlier download has brought of a file that is no longer needed.
pub fn forget(out: &Path, checksum: &Checksum) {
    let _ = fs::remove_file(partial_path(out, Some(checksum)));
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
        if partial.length > 0 {
            if partial.check().is_ok() {
                return Ok(());
            }
            if partial.length >= self.size.unwrap_or(self.limits.bytes) {
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
        let offset = partial.length;
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
                    let total = head.length.map(|length| partial.length + length).or(self.size);
                    bar = Some(BytesBar::new(partial.length, total));
                    body
                }
            };
            self.keep(&body, partial)?;
            if let Some(bar) = &bar {
                bar.show(partial.length);
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
        if self.size.is_some_and(|size| size != partial.length) || partial.length == 0 {
            partial.discard();
            let expected = self.size.map_or(String::new(), |size| format!(", expected {size}"));
            return Err(blame(format!("it has {} bytes{expected}: another file", partial.length)));
        }
        Ok(transfer)
    }

    /// Judges the server's answer before anything is written.
    fn begin(&self, head: &Head, offset: u64) -> std::result::Result<Transfer, Failure> {
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
        let length = partial.length + body.len() as u64;
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

/// `curl` at work. It ends when this is dropped.
struct Curl {
    child: Child,
    /// Its standard output: the headers of the answers, then the file.
    chunks: Receiver<Vec<u8>>,
    words: Option<JoinHandle<Vec<u8>>>,
    /// For messages.
    userinfo: Option<String>,
}

impl Curl {
    fn start(url: &str, offset: u64, limits: &FetchLimits) -> Result<Curl> {
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
    fn end(&mut self) -> io::Result<Ended> {
        let code = self.child.wait()?.code();
        let words = self.words.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let mut words = String::from_utf8_lossy(&words).trim().to_string();
        if let Some(userinfo) = &self.userinfo {
            words = words.replace(userinfo, "***");
        }
        Ok(Ended { code, words })
    }
}

impl Drop for Curl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The exit of `curl`.
struct Ended {
    /// None after a signal.
    code: Option<i32>,
    words: String,
}

impl Ended {
    fn explain(self) -> Failure {
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

/// The head of an answer, as far as it is used.
#[derive(Clone, Debug, Default, PartialEq)]
struct Head {
    status: u16,
    /// Of what follows.
    length: Option<u64>,
    /// Where the part begins that follows.
    start: Option<u64>,
    location: Option<String>,
}

impl Head {
    fn parse(text: &str) -> Head {
        let mut lines = text.lines();
        let status = lines.next().and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        let mut head = Head { status: status.unwrap_or(0), ..Head::default() };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.to_lowercase().as_str() {
                "content-length" => head.length = value.parse().ok(),
                "content-range" => {
                    let range = value.strip_prefix("bytes").map(str::trim);
                    head.start = range.and_then(|range| range.split_once('-')?.0.parse().ok());
                }
                "location" => head.location = Some(value.to_string()),
                _ => {}
            }
        }
        head
    }
}

/// Takes the heads of the answers off what curl writes. Before the last there are those of redirects, which curl follows, and
/// interim ones.
struct HeadReader {
    bytes: Vec<u8>,
    /// Of heads that are done with.
    passed: usize,
    /// True if every redirect so far came over https.
    is_https: bool,
    is_done: bool,
}

impl HeadReader {
    fn new(url: &str) -> HeadReader {
        HeadReader { bytes: Vec::new(), passed: 0, is_https: is_https(url), is_done: false }
    }

    /// The last head and what has come after it, when it is whole.
    ///
    /// # Errors
    /// When a redirect must not be followed, in words.
    fn read(&mut self, chunk: Vec<u8>) -> std::result::Result<Option<(Head, Vec<u8>)>, String> {
        self.bytes.extend(chunk);
        while let Some(end) = head_end(&self.bytes) {
            let rest = self.bytes.split_off(end);
            let head = Head::parse(&String::from_utf8_lossy(&self.bytes));
            self.passed += end;
            self.bytes = rest;
            match (head.status, &head.location) {
                (100..200, _) => {}
                (300..400, Some(location)) => self.is_https = follow(self.is_https, location)?,
                _ => {
                    self.is_done = true;
                    return Ok(Some((head, std::mem::take(&mut self.bytes))));
                }
            }
        }
        if self.passed + self.bytes.len() > MAX_HEADERS {
            return Err("the server's answer has no end of its headers".to_string());
        }
        Ok(None)
    }
}

/// Where the empty line ends that ends a head.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let ends = [&b"\n\r\n"[..], b"\n\n"];
    (0..bytes.len())
        .find_map(|at| ends.iter().find(|end| bytes[at..].starts_with(end)).map(|end| at + end.len()))
}

/// True if the transfer stays on https after a redirect.
///
/// # Errors
/// When it must not be followed, in words.
fn follow(is_https: bool, location: &str) -> std::result::Result<bool, String> {
    // Without one it is relative, and stays with the same.
    let Some(scheme) = scheme(location) else { return Ok(is_https) };
    let address = redacted(location.split(['?', '#']).next().unwrap_or_default());
    match scheme.as_str() {
        "https" => Ok(true),
        "http" if !is_https => Ok(false),
        "http" => Err(format!("a redirect from https down to {address} is refused")),
        scheme => Err(format!(
            "a redirect to another scheme ({scheme}) is refused: {address}, expected http or https"
        )),
    }
}

/// # Errors
/// When it is no address of a web server, in words.
pub fn check_scheme(url: &str) -> std::result::Result<(), String> {
    match scheme(url).as_deref() {
        Some("http" | "https") if url.contains("://") => Ok(()),
        _ => Err("expected an address that begins with http:// or https://".to_string()),
    }
}

fn is_https(url: &str) -> bool {
    scheme(url).as_deref() == Some("https")
}

/// The scheme of an address in lower case: the part before the first colon, if it can be one.
fn scheme(url: &str) -> Option<String> {
    let (scheme, _) = url.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain);
    is_scheme.then(|| scheme.to_lowercase())
}

/// Server and port, with what may stand before them.
fn authority(url: &str) -> &str {
    let after = url.split_once("//").map_or(url, |(_, after)| after);
    after.split(['/', '?', '#', '\\']).next().unwrap_or_default()
}

/// Name and password in an address.
fn userinfo(url: &str) -> Option<&str> {
    authority(url).rsplit_once('@').map(|(userinfo, _)| userinfo).filter(|userinfo| !userinfo.is_empty())
}

/// Server and port of an address.
pub fn server(url: &str) -> &str {
    let authority = authority(url);
    authority.rsplit_once('@').map_or(authority, |(_, server)| server)
}

/// An address to be shown: without name and password.
pub fn redacted(url: &str) -> String {
    match userinfo(url) {
        Some(userinfo) => url.replacen(&format!("{userinfo}@"), "***@", 1),
        None => url.to_string(),
    }
}

/// True if the bytes begin like a web page.
fn is_page(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_lowercase();
    text.starts_with("<!doctype") || text.starts_with("<html")
}

/// A file named after another one, in the same folder.
fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{ending}"));
    out.with_file_name(name)
}

/// Opens a file to read and write, and makes it if it is not there. Never what a symbolic link leads to.
fn open_own(path: &Path) -> Result<File> {
    let failed = |source| failed("write to", path)(source);
    let mut options = File::options();
    options.read(true).write(true);
    // Again if someone puts another file there between the steps.
    for _ in 0..100 {
        match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.map_err(failed),
        }
        let lies = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            lies => lies.map_err(failed)?,
        };
        if !lies.is_file() {
            let what = if lies.is_symlink() { "a symbolic link" } else { "no ordinary file" };
            let problem = format!("it is {what}, which is not followed; remove it");
            return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, problem)));
        }
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(file) if !is_same(&lies, &file.metadata().map_err(failed)?) => {}
            opened => return opened.map_err(failed),
        }
    }
    Err(failed(io::Error::other("it is another file each time")))
}

/// True if both are the same file, as far as the system tells.
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (a.dev(), a.ino()) == (b.dev(), b.ino())
    }
    #[cfg(not(unix))]
    {
        a.file_type() == b.file_type()
    }
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io { path: path.to_path_buf(), action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        for (url, shown, name) in [
            ("https://a.b/c@d?e@f", "https://a.b/c@d?e@f", "a.b"),
            ("https://me:secret@a.b:1/c", "https://***@a.b:1/c", "a.b:1"),
            ("http://me:p@ss@a.b?c", "http://***@a.b?c", "a.b"),
            ("//me:secret@a.b/c", "//***@a.b/c", "a.b"),
            ("me:secret@a.b/c", "***@a.b/c", "a.b"),
            ("openvino", "openvino", "openvino"),
        ] {
            assert_eq!((redacted(url).as_str(), server(url)), (shown, name), "{url}");
        }
    }

    /// Over TLS it cannot be tried without a certificate, so the rule is tried alone.
    #[test]
    fn redirects_lead_to_the_web_and_never_down_from_https() {
        assert_eq!(follow(true, "/a:b"), Ok(true));
        assert_eq!(follow(false, "b?c=http://d"), Ok(false));
        assert_eq!(follow(false, "//a.b/c"), Ok(false));
        assert_eq!(follow(false, "HTTPS://a.b"), Ok(true));
        assert_eq!(follow(false, "http://a.b"), Ok(false));
        let refused = follow(true, "http://me:secret@a.b/c?token=d").unwrap_err();
        assert_eq!(refused, "a redirect from https down to http://***@a.b/c is refused");
        for location in ["file:///etc/passwd", "ftp://a.b/c", "javascript:0"] {
            let refused = follow(false, location).unwrap_err();
            assert!(refused.contains("another scheme") && refused.contains(location), "{refused}");
        }
        assert!(check_scheme("http://a").is_ok() && check_scheme("HTTPS://a").is_ok());
        for url in ["file:///a", "ftp://a", "a.b/c", "", "http:a", "-o"] {
            assert!(check_scheme(url).is_err(), "{url}");
        }
        // In a chain, what counts is how the redirect itself came.
        let mut reader = HeadReader::new("http://a.b");
        let chain =
            "HTTP/1.1 302 x\r\nLocation: https://c.d\r\n\r\nHTTP/2 301\r\nlocation: http://a.b\r\n\r\n";
        assert!(reader.read(chain.into()).unwrap_err().contains("from https down"));
    }

    #[test]
    fn heads_are_read_in_any_pieces() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 9\r\n\r\n\
                    HTTP/2 206 \r\ncontent-range: bytes 5-9/10\r\ncontent-length: 5\r\n\r\nH\n\nTT";
        let expected = Head { status: 206, length: Some(5), start: Some(5), location: None };
        for size in [1, 2, 7, text.len()] {
            let mut reader = HeadReader::new("http://a.b");
            let mut pieces = text.as_bytes().chunks(size);
            let found = pieces.find_map(|piece| reader.read(piece.to_vec()).unwrap());
            let (head, mut body) = found.expect("a whole head");
            body.extend(pieces.flatten());
            assert_eq!((head, body.as_slice()), (expected.clone(), &b"H\n\nTT"[..]), "{size}");
        }
        let mut reader = HeadReader::new("http://a.b");
        let endless = (0..10).find_map(|_| reader.read(vec![b'x'; MAX_HEADERS / 8]).err());
        assert!(endless.is_some_and(|problem| problem.contains("no end")));
    }

    #[test]
    fn a_place_is_taken_once_and_given_back() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("a/b/w.st");
        let place = Place::take(&out).unwrap();
        let second = Place::take(&out).err().expect("refused").to_string();
        assert!(second.contains("another `occlude weights fetch`"), "{second}");
        drop(place);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        // What a killed process has left locks nobody out.
        let out = root.path().join("w.st");
        fs::write(beside(&out, "lock"), b"").unwrap();
        drop(Place::take(&out).unwrap());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn parts_of_different_files_do_not_meet() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("w.st");
        let sums = ["a", "b"].map(|digit| Checksum::parse(&digit.repeat(40)).unwrap());
        let mut first = Partial::open(&out, Some(&sums[0])).unwrap();
        first.write(b"one").unwrap();
        drop(first);
        assert_eq!(Partial::open(&out, Some(&sums[1])).unwrap().length(), 0);
        let mut first = Partial::open(&out, Some(&sums[0])).unwrap();
        assert_eq!(first.length(), 3);
        first.write(b"two").unwrap();
        first.discard();
        drop(first);
        // Without a checksum nothing is kept.
        Partial::open(&out, None).unwrap().write(b"three").unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
