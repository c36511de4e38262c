//! A strict reader of XML: elements, text, comments. It refuses what is not well-formed, and documents
//! with type declarations; it ignores the values of attributes.

use occlude::text::shown;

/// The largest depth of elements.
const DEEPEST: usize = 40;

/// An element.
#[derive(Debug)]
pub struct Element {
    pub name: String,
    /// The text directly inside it, without that of its children.
    pub text: String,
    pub children: Vec<Element>,
    /// The line on which it begins.
    pub line: usize,
}

/// The root element of a document.
///
/// # Errors
/// The problem and its line.
pub fn parse(text: &str) -> Result<Element, String> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_between()?;
    if !reader.rest().starts_with('<') {
        return Err(format!("line {}: expected an element of XML", reader.line()));
    }
    let root = reader.element(0)?;
    reader.skip_between()?;
    if !reader.rest().is_empty() {
        return Err(format!("line {}: has something after <{}>", reader.line(), shown(&root.name)));
    }
    Ok(root)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn line(&self) -> usize {
        1 + self.text[..self.at].matches('\n').count()
    }

    fn problem<T>(&self, problem: &str) -> Result<T, String> {
        Err(format!("line {}: {problem}", self.line()))
    }

    /// Takes the text before `end`, and `end`.
    fn take_until(&mut self, end: &str, what: &str) -> Result<&'t str, String> {
        match self.rest().split_once(end) {
            Some((before, _)) => {
                self.at += before.len() + end.len();
                Ok(before)
            }
            None => self.problem(&format!("the file ends inside {what}")),
        }
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes a text if it is next.
    fn takes(&mut self, text: &str) -> bool {
        let is_next = self.rest().starts_with(text);
        self.at += if is_next { text.len() } else { 0 };
        is_next
    }

    /// Skips white space, comments and processing instructions outside of the root element.
    fn skip_between(&mut self) -> Result<(), String> {
        loop {
            self.skip_spaces();
            if self.takes("<?") {
                self.take_until("?>", "an instruction")?;
            } else if self.takes("<!--") {
                self.take_until("-->", "a comment")?;
            } else if self.rest().starts_with("<!") {
                return self.problem("<! begins neither a comment nor a section of text");
            } else {
                return Ok(());
            }
        }
    }

    fn name(&mut self) -> Result<&'t str, String> {
        let is_part = |c: char| c.is_alphanumeric() || "_-.:".contains(c);
        let rest = self.rest();
        let name = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        if name.is_empty() {
            return self.problem("expected the name of an element after <");
        }
        self.at += name.len();
        Ok(name)
    }

    /// Takes an element, which begins here.
    fn element(&mut self, depth: usize) -> Result<Element, String> {
        let line = self.line();
        if depth >= DEEPEST {
            return self.problem(&format!("more than {DEEPEST} elements inside each other"));
        }
        self.at += 1;
        let name = self.name()?;
        let mut element = Element { name: name.to_string(), text: String::new(), children: Vec::new(), line };
        loop {
            self.skip_spaces();
            if self.takes("/>") {
                return Ok(element);
            }
            if self.takes(">") {
                break;
            }
            self.attribute(name)?;
        }
        loop {
            let Some((text, _)) = self.rest().split_once('<') else {
                return Err(format!("ends inside <{}>, which begins on line {line}", shown(name)));
            };
            element.text += &self.decoded(text)?;
            self.at += text.len();
            if self.takes("</") {
                let end = self.name()?;
                if end != name {
                    let problem = format!("</{}> does not close <{}>", shown(end), shown(name));
                    return self.problem(&problem);
                }
                self.skip_spaces();
                return if self.takes(">") { Ok(element) } else { self.problem("expected > after the name") };
            } else if self.takes("<!--") {
                self.take_until("-->", "a comment")?;
            } else if self.takes("<![CDATA[") {
                element.text += self.take_until("]]>", "a section of text")?;
            } else if self.takes("<?") {
                self.take_until("?>", "an instruction")?;
            } else if self.rest().starts_with("<!") {
                return self.problem("<! begins neither a comment nor a section of text");
            } else {
                element.children.push(self.element(depth + 1)?);
            }
        }
    }

    fn attribute(&mut self, of: &str) -> Result<(), String> {
        let refused =
            |reader: &Self| reader.problem(&format!("an attribute of <{}> is not name=\"value\"", shown(of)));
        if self.name().is_err() {
            return refused(self);
        }
        self.skip_spaces();
        if !self.takes("=") {
            return refused(self);
        }
        self.skip_spaces();
        for quote in ["\"", "'"] {
            if self.takes(quote) {
                self.take_until(quote, "an attribute")?;
                return Ok(());
            }
        }
        refused(self)
    }

    /// The text with its characters in place of their names.
    fn decoded(&self, text: &str) -> Result<String, String> {
        let mut pieces = text.split('&');
        let mut decoded = pieces.next().unwrap_or_default().to_string();
        for piece in pieces {
            let Some((character, after)) =
                piece.split_once(';').and_then(|(name, after)| Some((character(name)?, after)))
            else {
                return self.problem(&format!("\"&{}\" names no character", shown(piece)));
            };
            decoded.push(character);
            decoded += after;
        }
        Ok(decoded)
    }
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}
