//! Addresses: their schemes, their servers, where a redirect may lead, and which part of them is not shown.

/// True if the transfer stays on https after a redirect.
///
/// # Errors
/// When it must not be followed, in words.
pub fn follow(is_https: bool, location: &str) -> std::result::Result<bool, String> {
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

pub fn is_https(url: &str) -> bool {
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
pub fn userinfo(url: &str) -> Option<&str> {
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
    }
}
