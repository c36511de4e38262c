//! The requests that the server accepts: those that know its token, and that no other site has made.

use std::io;
use std::net::SocketAddr;

use hyper::StatusCode;
use hyper::header::{HOST, HeaderMap, ORIGIN};
use occlude::{Error, Result};

/// An answer other than success, with its text.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub text: String,
}

impl Refusal {
    pub fn new(status: StatusCode, text: impl Into<String>) -> Refusal {
        Refusal { status, text: text.into() }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

pub struct Access {
    address: SocketAddr,
    /// 128 random bits in hexadecimal.
    token: String,
}

impl Access {
    /// The access to a server at this address, with a new token.
    ///
    /// # Errors
    /// [`Error::Io`] if the system gives no random numbers.
    pub fn new(address: SocketAddr) -> Result<Access> {
        let mut token = [0; 16];
        getrandom::fill(&mut token).map_err(|error| Error::Io {
            path: "the random numbers of the system".into(),
            action: "read",
            source: io::Error::other(error),
        })?;
        Ok(Access { address, token: token.iter().map(|byte| format!("{byte:02x}")).collect() })
    }

    /// The address of the page.
    pub fn url(&self) -> String {
        format!("http://{}/{}/", self.address, self.token)
    }

    /// The part of a request's path after the token.
    ///
    /// # Errors
    /// If the request does not have the token or comes from another site.
    pub fn check<'p>(&self, path: &'p str, headers: &HeaderMap) -> std::result::Result<&'p str, Refusal> {
        let refuse = |status, text: &str| Err(Refusal::new(status, text));
        let mut hosts = headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) if self.is_host(host) => host,
            _ => return refuse(StatusCode::FORBIDDEN, "the header Host is not the address of this server"),
        };
        let token_and_name = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        let Some((token, name)) = token_and_name else {
            return refuse(
                StatusCode::NOT_FOUND,
                "nothing is here: open the address that the program has printed",
            );
        };
        if !is_equal(token.as_bytes(), self.token.as_bytes()) {
            return refuse(
                StatusCode::NOT_FOUND,
                "nothing is here: open the address that the program has printed",
            );
        }
        let ours = format!("http://{host}");
        if headers
            .get_all(ORIGIN)
            .iter()
            .any(|origin| !origin.as_bytes().eq_ignore_ascii_case(ours.as_bytes()))
        {
            return refuse(StatusCode::FORBIDDEN, "another site has made this request");
        }
        Ok(name)
    }

    /// True if a browser that has opened the address of this server sends this header. A site whose name
    /// leads to this machine has another name. A server for other machines has any name.
    fn is_host(&self, host: &str) -> bool {
        let port = self.address.port();
        let numeric = self.address.to_string();
        let names = [numeric.as_str(), &format!("localhost:{port}")].map(str::to_string);
        let is_name = |name: &String| {
            let without_port = name.strip_suffix(":80").filter(|_| port == 80);
            host.eq_ignore_ascii_case(name)
                || without_port.is_some_and(|name| host.eq_ignore_ascii_case(name))
        };
        !self.address.ip().is_loopback() || names.iter().any(is_name)
    }
}

/// Compares in a time that does not depend on the first difference.
fn is_equal(given: &[u8], expected: &[u8]) -> bool {
    let differences = given.iter().zip(expected).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == expected.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Access {
        Access { address: address.parse().unwrap(), token: "00ff".to_string() }
    }

    fn status(access: &Access, path: &str, headers: &[(hyper::header::HeaderName, &str)]) -> u16 {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        access.check(path, &headers).map_or_else(|refusal| refusal.status.as_u16(), |_| 200)
    }

    #[test]
    fn only_our_own_hosts_and_origins_pass() {
        let access = at("127.0.0.1:8080");
        for (host, expected) in [
            ("127.0.0.1:8080", 200),
            ("LocalHost:8080", 200),
            ("127.0.0.1", 403),
            ("127.0.0.1:80", 403),
            ("127.0.0.1:8080.evil.example", 403),
            ("evil.example:8080", 403),
            ("", 403),
        ] {
            assert_eq!(status(&access, "/00ff/", &[(HOST, host)]), expected, "{host}");
        }
        assert_eq!(status(&access, "/00ff/", &[]), 403);
        for (origin, expected) in [
            ("http://127.0.0.1:8080", 200),
            ("http://localhost:8080", 403),
            ("https://127.0.0.1:8080", 403),
            ("http://127.0.0.1", 403),
            ("null", 403),
        ] {
            let headers = [(HOST, "127.0.0.1:8080"), (ORIGIN, origin)];
            assert_eq!(status(&access, "/00ff/", &headers), expected, "{origin}");
        }
        assert_eq!(status(&at("[::1]:80"), "/00ff/", &[(HOST, "[::1]")]), 200);
        assert_eq!(status(&at("[::1]:80"), "/00ff/", &[(HOST, "localhost")]), 200);
        assert_eq!(status(&at("192.0.2.1:80"), "/00ff/", &[(HOST, "box.example")]), 200);
    }

    #[test]
    fn only_the_whole_token_passes() {
        let access = at("127.0.0.1:8080");
        for (path, expected) in [
            ("/00ff/", 200),
            ("/00ff/photograph", 200),
            ("/00ff", 404),
            ("/", 404),
            ("", 404),
            ("//", 404),
            ("/00f/", 404),
            ("/00ff0/", 404),
            ("/00FF/", 404),
            ("/01ff/", 404),
            ("/x/00ff/", 404),
        ] {
            assert_eq!(status(&access, path, &[(HOST, "127.0.0.1:8080")]), expected, "{path}");
        }
    }

    #[test]
    fn each_token_is_new() {
        let [first, second] = [(); 2].map(|()| Access::new("127.0.0.1:1".parse().unwrap()).unwrap().token);
        assert_eq!((first.len(), second.len()), (32, 32));
        assert_ne!(first, second);
    }
}
