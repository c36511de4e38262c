//! `occlude serve` for tests: the program, and calls of its functions without a browser.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common::command::{occlude, with_default_signals, without_network};

/// Longer than any step here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program with its page. It ends with this value.
pub struct Served {
    pub child: Child,
    pub url: String,
    pub folder: TempDir,
}

/// A part of an answer.
pub struct Part {
    pub kind: u32,
    pub progress: [u32; 2],
    pub numbers: Vec<f32>,
    pub bytes: Vec<u8>,
}

impl Served {
    /// Starts the program with the built-in network.
    pub fn start(folder: TempDir, arguments: &[&str]) -> Served {
        let arguments = [&["serve", "--weights", "builtin"], arguments].concat();
        let command = with_default_signals(&occlude(&folder, &arguments));
        Served::run(folder, command)
    }

    pub fn run(folder: TempDir, mut command: Command) -> Served {
        let errors = File::create(folder.path().join("errors")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        // An address for all networks is not one to connect to.
        let url = url.trim_end().replace("http://0.0.0.0:", "http://127.0.0.1:");
        let served = Served { child, url, folder };
        assert!(served.url.starts_with("http://127.0.0.1:"), "{}: {}", served.url, served.errors());
        served
    }

    /// The host with the port, and the token.
    fn parts(&self) -> [&str; 2] {
        let (host, token) = self.url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        [host, token.strip_suffix('/').unwrap()]
    }

    pub fn errors(&self) -> String {
        without_network(fs::read_to_string(self.folder.path().join("errors")).unwrap())
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.parts()[0]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes, in which HOST and TOKEN have their values, and returns the answer.
    pub fn send(&self, request: &str) -> Vec<u8> {
        let [host, token] = self.parts();
        let request = request.replace("HOST", host).replace("TOKEN", token);
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        received(stream)
    }

    /// The head of a call of a function of the page. HTTP/1.0 has no parts in its bodies.
    pub fn head(&self, name: &str, id: u64, numbers: &str, length: usize) -> String {
        let [host, token] = self.parts();
        format!(
            "POST /{token}/{name}?id={id}&numbers={numbers} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n"
        )
    }

    /// Sends a call, and returns the connection.
    pub fn begin(&self, name: &str, id: u64, numbers: &str, data: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(self.head(name, id, numbers, data.len()).as_bytes()).unwrap();
        stream.write_all(data).unwrap();
        stream
    }

    /// Calls a function of the page: the parts of its answer, or the status and the text of an error.
    pub fn call(&self, name: &str, id: u64, numbers: &str, data: &[u8]) -> Result<Vec<Part>, (u16, String)> {
        parsed(&received(self.begin(name, id, numbers, data)))
    }

    pub fn open(&self, id: u64, data: &[u8]) {
        assert!(self.call("photograph", id, "0,0,0", data).is_ok());
    }

    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    pub fn end(&mut self) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the program did not end");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything that comes until the server closes the connection.
pub fn received(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        // The server closes a connection with bytes that it has not read.
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => bytes,
    }
}

pub fn status(answer: &[u8]) -> u16 {
    let answer = String::from_utf8_lossy(answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// The parts of an answer, or the status and the text of an error.
pub fn parsed(answer: &[u8]) -> Result<Vec<Part>, (u16, String)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let (head, mut rest) = answer.split_at(end);
    if status(head) != 200 {
        return Err((status(head), String::from_utf8(rest.to_vec()).unwrap()));
    }
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let words: Vec<u32> = rest[..20].as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let (numbers, bytes) = rest[20..].split_at(4 * words[3] as usize);
        let (bytes, after) = bytes.split_at(words[4] as usize);
        let numbers = numbers.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect();
        parts.push(Part { kind: words[0], progress: [words[1], words[2]], numbers, bytes: bytes.to_vec() });
        rest = after;
    }
    Ok(parts)
}

pub fn refused(answer: Result<Vec<Part>, (u16, String)>) -> (u16, String) {
    answer.err().expect("an error")
}
