//! XML: each element's text and attributes under the path of names that leads to them.
//!
//! Nothing is expanded but the five entities that XML itself has and references to characters; a document with a type
//! declaration, the place where others come from, is not taken. Specification: <https://www.w3.org/TR/xml>.

use std::borrow::Cow;

use super::Clock;
use super::scan::Scan;
use crate::process::value::{Parsed, Text, Value};

/// How deep elements may nest.
const DEPTH_MAX: usize = 32;
/// How long a path may grow, in bytes.
const PATH_BYTES_MAX: usize = 512;
/// How often an element may be repeated in one list; what is over it is counted as dropped.
const LIST_MAX: usize = 1_024;

/// Reads a line that is one document.
pub fn parse<'a>(line: &'a str, clock: Clock, out: &mut Parsed<'a>) -> bool {
    let mut reader = Reader { rest: Scan(line.trim_ascii()), path: String::new(), open: Vec::new(), out };
    if reader.read().is_none() {
        return false;
    }
    super::lift(out, clock);
    true
}

struct Reader<'p, 'a> {
    rest: Scan<'a>,
    /// The names of the open elements, joined by points.
    path: String,
    open: Vec<Element<'a>>,
    out: &'p mut Parsed<'a>,
}

/// An element that has begun.
struct Element<'a> {
    name: &'a str,
    /// The path's length without it.
    path_bytes: usize,
    /// Its own text so far.
    text: Text<'a>,
}

impl<'a> Reader<'_, 'a> {
    fn read(&mut self) -> Option<()> {
        let mut elements = 0;
        loop {
            if self.open.is_empty() {
                self.rest.0 = self.rest.0.trim_ascii_start();
                if self.rest.0.is_empty() {
                    // One element, and all of it.
                    return (elements == 1).then_some(());
                }
            } else {
                self.text()?;
            }
            self.rest.eat("<").then_some(())?;
            if self.rest.eat("?") {
                self.pass("?>")?;
            } else if self.rest.eat("!--") {
                self.pass("-->")?;
            } else if self.rest.eat("![CDATA[") {
                let text = self.pass("]]>")?;
                push(&mut self.open.last_mut()?.text, Cow::Borrowed(text));
            } else if self.rest.eat("/") {
                self.end()?;
            } else {
                elements += usize::from(self.open.is_empty());
                self.start()?;
            }
        }
    }

    /// Passes over what comes before `end`, and that.
    fn pass(&mut self, end: &str) -> Option<&'a str> {
        let at = memchr::memmem::find(self.rest.0.as_bytes(), end.as_bytes())?;
        let passed = self.rest.take(at)?;
        self.rest.eat(end);
        Some(passed)
    }

    fn text(&mut self) -> Option<()> {
        let at = memchr::memchr(b'<', self.rest.0.as_bytes())?;
        let text = unescaped(self.rest.take(at)?);
        if !text.trim_ascii().is_empty() {
            push(&mut self.open.last_mut()?.text, text);
        }
        Some(())
    }

    fn start(&mut self) -> Option<()> {
        let name = self.rest.take_while(is_name);
        let first = name.as_bytes().first()?;
        if !(first.is_ascii_alphabetic() || *first == b'_' || *first >= 0x80) {
            return None;
        }
        let path_bytes = self.path.len();
        if self.open.len() >= DEPTH_MAX || path_bytes + name.len() > PATH_BYTES_MAX {
            return None;
        }
        self.descend(name);
        self.open.push(Element { name, path_bytes, text: Cow::Borrowed("") });
        loop {
            let before = self.rest.0.len();
            self.rest.0 = self.rest.0.trim_ascii_start();
            if self.rest.eat("/>") {
                self.path.truncate(path_bytes);
                self.open.pop();
                return Some(());
            }
            if self.rest.eat(">") {
                return Some(());
            }
            // Attributes are parted by white space.
            (self.rest.0.len() < before).then_some(())?;
            self.attribute(name, path_bytes)?;
        }
    }

    fn attribute(&mut self, element: &str, path_bytes: usize) -> Option<()> {
        let name = self.rest.take_while(is_name);
        if name.is_empty() || self.path.len() + name.len() > PATH_BYTES_MAX {
            return None;
        }
        self.rest.0 = self.rest.0.trim_ascii_start();
        self.rest.eat("=").then_some(())?;
        self.rest.0 = self.rest.0.trim_ascii_start();
        let quote = self.rest.peek().filter(|quote| matches!(quote, b'"' | b'\''))?;
        self.rest.take(1);
        let value = unescaped(self.rest.until(quote)?);
        if name == "xmlns" || name.starts_with("xmlns:") || value.is_empty() {
            return Some(());
        }
        if element == "Data" && name == "Name" && value.len() <= PATH_BYTES_MAX {
            // Windows events say `<Data Name="SubjectUserName">` for what is an element of that name.
            self.path.truncate(path_bytes);
            self.descend(&value);
            return Some(());
        }
        let at = self.path.len();
        self.descend(name);
        put(self.out, &self.path, value);
        self.path.truncate(at);
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        let name = self.rest.take_while(is_name);
        self.rest.0 = self.rest.0.trim_ascii_start();
        self.rest.eat(">").then_some(())?;
        let element = self.open.pop().filter(|element| element.name == name)?;
        if !element.text.is_empty() {
            put(self.out, &self.path, trimmed(element.text));
        }
        self.path.truncate(element.path_bytes);
        Some(())
    }

    fn descend(&mut self, name: &str) {
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
    }
}

/// Adds a value; one path twice makes a list.
fn put<'a>(out: &mut Parsed<'a>, path: &str, value: Text<'a>) {
    let value = match value {
        Cow::Borrowed(text) => crate::process::value::bare(text),
        owned @ Cow::Owned(_) => owned.into(),
    };
    match out.attributes.iter_mut().find(|(have, _)| have == path) {
        Some((_, Value::List(values))) if values.len() < LIST_MAX => values.push(value),
        Some((_, Value::List(_))) => out.dropped = out.dropped.saturating_add(1),
        Some((_, first)) => {
            let before = std::mem::replace(first, Value::Null);
            *first = Value::List(vec![before, value]);
        }
        None => out.put(path.to_owned(), value),
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':') || byte >= 0x80
}

fn push<'a>(text: &mut Text<'a>, more: Text<'a>) {
    if text.is_empty() {
        *text = more;
    } else {
        text.to_mut().push_str(&more);
    }
}

fn trimmed(text: Text<'_>) -> Text<'_> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii()),
        Cow::Owned(text) => Cow::Owned(text.trim_ascii().to_owned()),
    }
}

/// Replaces the five entities and references to characters; others stay as they are written.
fn unescaped(text: &str) -> Text<'_> {
    let Some((front, mut rest)) = text.split_once('&') else { return Cow::Borrowed(text) };
    let mut owned = front.to_owned();
    loop {
        // No reference is longer: `&#x10FFFF;`.
        let end = rest.bytes().take(9).position(|byte| byte == b';');
        let name = end.and_then(|end| rest.split_at_checked(end)).map(|(name, rest)| (name, rest.get(1..)));
        match name.and_then(|(name, rest)| Some((referred(name)?, rest?))) {
            Some((c, after)) => {
                owned.push(c);
                rest = after;
            }
            None => owned.push('&'),
        }
        let Some((front, after)) = rest.split_once('&') else {
            owned.push_str(rest);
            return Cow::Owned(owned);
        };
        owned.push_str(front);
        rest = after;
    }
}

fn referred(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?).filter(|c| *c != '\0')
        }
    }
}
