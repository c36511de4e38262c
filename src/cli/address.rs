//! Addresses: schemes, servers, redirects and credentials.

/// Checks a redirect. Returns true if its target uses https.
///
/// # Errors
/// A message if the redirect must not be followed.
pub fn follow(is_https: bool, location: &str) -> std::result::Result<bool, String> {
    // A relative address keeps the scheme.
    let Some(scheme) = scheme(location) else { return Ok(is_https) };
    let address = redacted(location);
    match scheme.as_str() {
        "https" => Ok(true),
        "http" if !is_https => Ok(false),
        "http" => Err(format!("the redirect from https to {address} is not followed: expected https")),
        scheme => Err(format!(
            "the redirect to {address} is not followed: it has the scheme {scheme}, expected http or https"
        )),
    }
}

/// Checks that an address has the scheme http or https.
///
/// # Errors
/// A message with the expected schemes.
pub fn check_scheme(url: &str) -> std::result::Result<(), String> {
    match scheme(url).as_deref() {
        Some("http" | "https") if url.contains("://") => Ok(()),
        _ => Err("expected an address that begins with http:// or https://".to_string()),
    }
}

pub fn is_https(url: &str) -> bool {
    scheme(url).as_deref() == Some("https")
}

/// The scheme of an address in lower case.
pub fn scheme(url: &str) -> Option<String> {
    let (scheme, _) = url.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain);
    is_scheme.then(|| scheme.to_lowercase())
}

/// Server and port of an address, with name and password.
fn authority(url: &str) -> &str {
    let after = url.split_once("//").map_or(url, |(_, after)| after);
    after.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Name and password in an address. If they contain a character that ends them, such as a slash, the
/// address is not valid, but its message must not show them either.
pub fn userinfo(url: &str) -> Option<&str> {
    let authority = authority(url);
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let userinfo = match authority.rsplit_once('@') {
        Some((userinfo, _)) => userinfo,
        None if port.is_none_or(is_port) => return None,
        None => url.split_once("//").map_or(url, |(_, after)| after).rsplit_once('@')?.0,
    };
    Some(userinfo).filter(|userinfo| !userinfo.is_empty())
}

/// Server and port of an address.
pub fn server(url: &str) -> &str {
    let authority = authority(url);
    authority.rsplit_once('@').map_or(authority, |(_, server)| server)
}

/// The address for messages: without name, password and query, which may give access.
pub fn redacted(url: &str) -> String {
    let public = match userinfo(url) {
        Some(userinfo) => url.replacen(&format!("{userinfo}@"), "***@", 1),
        None => url.to_string(),
    };
    public.split(['?', '#']).next().unwrap_or_default().to_string()
}

/// The text of another program without the secrets of an address.
pub fn without_secrets(text: &str, url: &str) -> String {
    let query = url.split_once('?').map(|(_, query)| query).filter(|query| !query.is_empty());
    let secrets = [userinfo(url), query].into_iter().flatten();
    secrets.fold(text.to_string(), |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        for (url, shown, name) in [
            ("https://a.b/c@d?e@f", "https://a.b/c@d", "a.b"),
            ("https://me:secret@a.b:1/c", "https://***@a.b:1/c", "a.b:1"),
            ("http://me:p@ss@a.b?c", "http://***@a.b", "a.b"),
            ("//me:secret@a.b/c", "//***@a.b/c", "a.b"),
            ("me:secret@a.b/c", "***@a.b/c", "a.b"),
            ("https://me:secret@a.b/c?token=d#e", "https://***@a.b/c", "a.b"),
            ("openvino", "openvino", "openvino"),
        ] {
            assert_eq!((redacted(url).as_str(), server(url)), (shown, name), "{url}");
        }
        let url = "https://me:secret@a.b/c?token=d";
        assert_eq!(without_secrets("no me:secret, no token=d", url), "no ***, no ***");
        // Passwords that are not encoded, and addresses that are not valid.
        for (url, shown) in [
            ("https://me:se/cret@a.b/c", "https://***@a.b/c"),
            ("https://me:se#cret?@a.b/c@d", "https://***@d"),
            ("http://me:se\\cret@a.b/c", "http://***@a.b/c"),
            ("http:\\\\me:secret@a.b/c", "***@a.b/c"),
            ("http:/me:secret@a.b/c", "***@a.b/c"),
            ("http://a.b:8080/c@d", "http://a.b:8080/c@d"),
            ("http://a.b/c:d@e", "http://a.b/c:d@e"),
        ] {
            assert_eq!(redacted(url), shown, "{url}");
        }
    }

    /// A test over TLS would need a certificate, so only the rule is tested.
    #[test]
    fn redirects_keep_to_http_and_https_and_never_leave_https() {
        assert_eq!(follow(true, "/a:b"), Ok(true));
        assert_eq!(follow(false, "b?c=http://d"), Ok(false));
        assert_eq!(follow(false, "//a.b/c"), Ok(false));
        assert_eq!(follow(false, "HTTPS://a.b"), Ok(true));
        assert_eq!(follow(false, "http://a.b"), Ok(false));
        let refused = follow(true, "http://me:secret@a.b/c?token=d").unwrap_err();
        assert_eq!(refused, "the redirect from https to http://***@a.b/c is not followed: expected https");
        for location in ["file:///etc/passwd", "ftp://a.b/c", "javascript:0"] {
            let refused = follow(false, location).unwrap_err();
            assert!(refused.contains("has the scheme") && refused.contains(location), "{refused}");
        }
        assert!(check_scheme("http://a").is_ok() && check_scheme("HTTPS://a").is_ok());
        for url in ["file:///a", "ftp://a", "a.b/c", "", "http:a", "-o"] {
            assert!(check_scheme(url).is_err(), "{url}");
        }
    }
}
