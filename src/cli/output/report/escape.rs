//! The escaping of what is put into a page, and the page's content security policy.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use occlude::text::escaped;
use sha2::{Digest, Sha256};

/// The content security policy: only this style, this script and the images in the file.
pub fn policy(style: &str, script: &str) -> String {
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src {}; script-src {}",
        hash(style),
        hash(script)
    )
}

/// Escapes text for an HTML element or a quoted attribute.
pub fn text(text: &str) -> String {
    let text = escaped(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Escapes JSON for a script element: `</script>` or `<!--` in a string must not end the element.
pub fn script_data(json: &str) -> String {
    json.trim_end().replace('<', r"\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_rfc_4648s() {
        let texts =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| BASE64_STANDARD.encode(text));
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
        assert_eq!(BASE64_STANDARD.encode([0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn inserted_text_is_escaped() {
        assert_eq!(text("<b a=\"1\">&\n\u{202e}"), r"&lt;b a=&quot;1&quot;&gt;&amp;\n\u{202e}");
        assert_eq!(script_data("{\"a\":\"</script>\"}\n"), r#"{"a":"\u003c/script>"}"#);
    }
}
