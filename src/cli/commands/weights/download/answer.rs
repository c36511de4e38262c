//! The head of the server's answer in the output of curl.

use crate::cli::address::{follow, is_https};

/// The largest total size of the headers of all answers, including redirects, in bytes.
const MAX_HEADERS: usize = 1 << 16;

/// The fields of the head of an answer that are used here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerHead {
    pub status: u16,
    /// The number of bytes that follow.
    pub length: Option<u64>,
    /// The position of the following part in the file.
    pub start: Option<u64>,
    location: Option<String>,
}

impl AnswerHead {
    fn parse(text: &str) -> AnswerHead {
        let mut lines = text.lines();
        let status = lines.next().and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        let mut head = AnswerHead { status: status.unwrap_or(0), ..AnswerHead::default() };
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

/// Removes the heads of the answers from the output of curl. Before the last head, there are heads
/// of redirects, which curl follows, and of interim answers.
pub struct HeadReader {
    bytes: Vec<u8>,
    /// The number of bytes of the heads that have been read.
    passed: usize,
    /// True if the current address uses https.
    is_https: bool,
    pub is_done: bool,
}

impl HeadReader {
    pub fn new(url: &str) -> HeadReader {
        HeadReader { bytes: Vec::new(), passed: 0, is_https: is_https(url), is_done: false }
    }

    /// Returns the last head and the bytes after it when the head is complete.
    ///
    /// # Errors
    /// A message if a redirect must not be followed.
    pub fn read(&mut self, chunk: Vec<u8>) -> std::result::Result<Option<(AnswerHead, Vec<u8>)>, String> {
        self.bytes.extend(chunk);
        while let Some(end) = head_end(&self.bytes) {
            let rest = self.bytes.split_off(end);
            let head = AnswerHead::parse(&String::from_utf8_lossy(&self.bytes));
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
            return Err("the headers of the server's answer do not end".to_string());
        }
        Ok(None)
    }
}

/// The position after the empty line at the end of a head.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let ends = [&b"\n\r\n"[..], b"\n\n"];
    (0..bytes.len())
        .find_map(|at| ends.iter().find(|end| bytes[at..].starts_with(end)).map(|end| at + end.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The scheme of the redirecting answer decides, not that of the first address.
    #[test]
    fn a_chain_of_redirects_does_not_leave_https() {
        let mut reader = HeadReader::new("http://a.b");
        let chain =
            "HTTP/1.1 302 x\r\nLocation: https://c.d\r\n\r\nHTTP/2 301\r\nlocation: http://a.b\r\n\r\n";
        assert!(reader.read(chain.into()).unwrap_err().contains("from https to"));
    }

    #[test]
    fn heads_are_read_in_any_pieces() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 9\r\n\r\n\
                    HTTP/2 206 \r\ncontent-range: bytes 5-9/10\r\ncontent-length: 5\r\n\r\nH\n\nTT";
        let expected = AnswerHead { status: 206, length: Some(5), start: Some(5), location: None };
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
        assert!(endless.is_some_and(|problem| problem.contains("do not end")));
    }
}
