//! Everything that leaves goes through here: written as it is, masked, or left out.

use weir_config::{ByteSize, Spanned};
use weir_mask::{Class, Counts, Field, Masker, Outcome};
use weir_otlp::{AnyValue, Error, Writer};

use crate::config::{KEPT, Volume};
use crate::process::value::{Parsed, Value};

/// An integer below this has fewer digits than anything that is looked for among digits: eight.
const DIGITS_NOT_LOOKED_AT: u64 = 100_000_000;

/// What stands for a value that was read out of a part of the body that is masked.
const HIDDEN: &str = "[REDACTED:body]";

/// Masks what is written; one for each partition.
#[derive(Debug)]
pub struct Masking<'m> {
    /// What is masked, and how.
    pub masker: &'m Masker,
    /// The class of what is being written.
    pub class: Class,
    /// What was masked.
    pub counts: &'m mut Counts,
    /// The masked text; empty between texts.
    pub buffer: &'m mut String,
    /// What became of the body, until that is written.
    pub body: Option<Body<'m>>,
    /// How long texts may be.
    pub max: Max,
    /// What was cut: `body`, or the name of an attribute, once for each.
    pub cut: &'m mut Vec<String>,
}

/// What became of a line's body, which is masked before anything that was read out of it is used.
#[derive(Debug, Clone, Copy)]
pub struct Body<'m> {
    pub outcome: Outcome,
    /// The masked text, where it changed.
    pub text: &'m str,
    pub counts: &'m Counts,
}

/// Takes back what was read out of parts of a body that are masked there, and would not be by itself: the value of a
/// cookie, a word of a password.
pub fn hide(parsed: &mut Parsed<'_>, body: &str, masked: &str, masker: &Masker, class: Class) {
    for (key, value) in &mut parsed.attributes {
        let text = match value {
            Value::Text(text) => text.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Double(number) => number.to_string(),
            _ => continue,
        };
        let field = masker.field(key);
        if field.says_something() || !is_hidden(&text, body, masked) {
            continue;
        }
        // What is known by itself goes by its own rule.
        let outcome = masker.text(class, field, &text, &mut String::new(), &mut Counts::default());
        if outcome == Outcome::Same {
            *value = HIDDEN.into();
        }
    }
}

/// Whether a text, or a part of it that was not written with escapes, is in the body and not in the masked one.
fn is_hidden(text: &str, body: &str, masked: &str) -> bool {
    let has = |text: &str, part: &str| memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some();
    let mut parts = text.split(|c: char| matches!(c, '"' | '\'' | '\\') || c.is_control());
    parts.any(|part| !part.is_empty() && !has(masked, part) && has(body, part))
}

/// How long texts may be once they are masked, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Max {
    body: usize,
    attribute: usize,
    /// Of the text at hand.
    text: usize,
    /// Whether it was cut.
    cut: bool,
}

impl Max {
    /// As long as they are.
    pub const NONE: Self = Self { body: usize::MAX, attribute: usize::MAX, text: usize::MAX, cut: false };

    /// What is configured for lines of a class.
    pub fn new(volume: &Volume, class: Class) -> Self {
        if KEPT.contains(&class) {
            return Self::NONE;
        }
        let of = |size: &Option<Spanned<ByteSize>>| size.as_ref().map_or(usize::MAX, |size| size.get_ref().get_usize());
        let (body, attribute) = (of(&volume.max_body), of(&volume.max_attribute));
        Self { body, attribute, text: attribute, cut: false }
    }
}

impl Masking<'_> {
    /// What becomes of a text that is as long as it is; a changed one is in the buffer.
    fn masked(&mut self, field: Field, text: &str) -> Outcome {
        self.buffer.clear();
        if let Some(body) = self.body.take() {
            self.buffer.push_str(body.text);
            self.counts.merge(body.counts);
            return body.outcome;
        }
        self.masker.text(self.class, field, text, self.buffer, self.counts)
    }

    /// What becomes of a text that may be cut; a changed one is in the buffer.
    fn text(&mut self, field: Field, text: &str) -> Outcome {
        let outcome = self.masked(field, text);
        // Masked first: of half a number nobody could tell that it is one.
        match outcome {
            Outcome::Same if text.len() > self.max.text => {
                self.buffer.push_str(text.get(..text.floor_char_boundary(self.max.text)).unwrap_or_default());
            }
            Outcome::Changed if self.buffer.len() > self.max.text => {
                self.buffer.truncate(self.buffer.floor_char_boundary(self.max.text));
            }
            outcome => return outcome,
        }
        self.max.cut = true;
        Outcome::Changed
    }

    /// Takes note of what was cut since the last time.
    fn note_cut(&mut self, name: &str) {
        if std::mem::take(&mut self.max.cut) {
            self.cut.push(name.to_owned());
        }
    }

    /// The masked text where it changed, uncut; nothing is left of one that is dropped.
    fn changed(&mut self, field: Field, text: &str) -> Option<&str> {
        match self.masked(field, text) {
            Outcome::Same => None,
            Outcome::Changed | Outcome::Dropped => Some(self.buffer),
        }
    }

    /// Writes a text field of a message: as it is, in `raw` where it is written already, or masked.
    pub fn text_field(&mut self, w: &mut Writer, number: u32, text: &str, raw: Option<&[u8]>) {
        match (self.changed(Field::BODY, text), raw) {
            (Some(masked), _) => w.bytes(number, masked.as_bytes()),
            (None, Some(raw)) => w.raw(raw),
            (None, None) => w.bytes(number, text.as_bytes()),
        }
    }

    /// Writes the field that holds a body: as it is in `raw`, or masked.
    ///
    /// # Errors
    /// A nested value is malformed.
    pub fn body(&mut self, w: &mut Writer, number: u32, body: AnyValue<'_>, raw: &[u8]) -> Result<(), Error> {
        self.max.text = self.max.body;
        let start = w.len();
        let kept = match body {
            // Most bodies are texts in which nothing is found: those are not written twice.
            AnyValue::String(text) if self.text(Field::BODY, text) == Outcome::Same => Kept::Same,
            AnyValue::String(_) => {
                w.message(number, |w| w.bytes(1, self.buffer.as_bytes()));
                Kept::Changed
            }
            body => w.message(number, |w| self.any(w, Field::BODY, body))?,
        };
        self.body = None;
        self.max.text = self.max.attribute;
        self.note_cut("body");
        if kept == Kept::Same {
            w.truncate(start);
            w.raw(raw);
        }
        Ok(())
    }

    /// Writes an attribute: as it is in `raw`, masked, or not at all.
    ///
    /// # Errors
    /// A nested value is malformed.
    pub fn attribute(
        &mut self,
        w: &mut Writer,
        number: u32,
        (key, value): (&str, AnyValue<'_>),
        raw: &[u8],
    ) -> Result<(), Error> {
        let field = self.masker.field(key);
        let masked_key = self.key(key);
        let name = masked_key.as_deref().unwrap_or(key);
        let start = w.len();
        let kept = match value {
            // Most attributes are texts in which nothing is found: those are not written twice.
            AnyValue::String(text) if masked_key.is_none() => match self.text(field, text) {
                Outcome::Same => Kept::Same,
                Outcome::Changed => {
                    w.text_attribute(number, key, self.buffer);
                    Kept::Changed
                }
                Outcome::Dropped => Kept::Dropped,
            },
            AnyValue::String(text) => self.text_attribute(w, number, (name, field), text),
            value => w.attribute(number, name, |w| self.any(w, field, value))?,
        };
        self.note_cut(name);
        match kept {
            Kept::Same if masked_key.is_none() => {
                w.truncate(start);
                w.raw(raw);
            }
            Kept::Dropped => w.truncate(start),
            Kept::Same | Kept::Changed => {}
        }
        Ok(())
    }

    /// Writes an attribute that a parser or an enricher made.
    pub fn made(&mut self, w: &mut Writer, number: u32, key: &str, value: &Value<'_>) {
        let field = self.masker.field(key);
        let masked_key = self.key(key);
        let name = masked_key.as_deref().unwrap_or(key);
        let start = w.len();
        let kept = match value {
            Value::Text(text) => self.text_attribute(w, number, (name, field), text),
            value => w.attribute(number, name, |w| self.value(w, field, value)),
        };
        self.note_cut(name);
        if kept == Kept::Dropped {
            w.truncate(start);
        }
    }

    fn text_attribute(&mut self, w: &mut Writer, number: u32, (name, field): (&str, Field), text: &str) -> Kept {
        match self.text(field, text) {
            Outcome::Same => {
                w.text_attribute(number, name, text);
                Kept::Same
            }
            Outcome::Changed => {
                w.text_attribute(number, name, self.buffer);
                Kept::Changed
            }
            Outcome::Dropped => Kept::Dropped,
        }
    }

    /// A name that holds something, masked: a map may have mail addresses for names.
    fn key(&mut self, key: &str) -> Option<String> {
        let plain = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'.' | b'_' | b'-');
        if key.bytes().all(plain) { None } else { self.changed(Field::BODY, key).map(str::to_owned) }
    }

    /// The field of a value below another one.
    fn below(&self, field: Field, key: &str) -> Field {
        if field.says_something() { field } else { self.masker.field(key) }
    }

    /// Writes what an `AnyValue` holds. Values nest no deeper than `weir_otlp::MAX_DEPTH`.
    fn any(&mut self, w: &mut Writer, field: Field, value: AnyValue<'_>) -> Result<Kept, Error> {
        Ok(match value {
            AnyValue::Empty => Kept::Same,
            AnyValue::String(text) => self.string(w, field, text),
            AnyValue::Bool(value) => self.plain(w, field, value, |w| w.varint(2, value.into())),
            AnyValue::Int(value) => self.integer(w, field, value),
            AnyValue::Double(value) => self.plain(w, field, value, |w| w.double(4, value)),
            AnyValue::Bytes(bytes) => self.bytes(w, field, bytes),
            AnyValue::Array(values) => w.message(5, |w| {
                let mut kept = Kept::Same;
                for value in values {
                    let start = w.len();
                    let one = w.message(1, |w| self.any(w, field, value?))?;
                    kept = kept.and(one, w, start);
                }
                Ok::<_, Error>(kept)
            })?,
            AnyValue::KvList(values) => w.message(6, |w| {
                let mut kept = Kept::Same;
                for pair in values {
                    let (key, value) = pair?;
                    let (start, below) = (w.len(), self.below(field, key));
                    let masked_key = self.key(key);
                    let name = masked_key.as_deref().unwrap_or(key);
                    let one = w.attribute(1, name, |w| self.any(w, below, value))?;
                    kept = kept.and(one, w, start);
                    if masked_key.is_some() {
                        kept = Kept::Changed;
                    }
                }
                Ok::<_, Error>(kept)
            })?,
        })
    }

    /// The same of a value that was made here.
    fn value(&mut self, w: &mut Writer, field: Field, value: &Value<'_>) -> Kept {
        match value {
            Value::Null => Kept::Same,
            Value::Text(text) => self.string(w, field, text),
            Value::Bool(value) => self.plain(w, field, value, |w| w.varint(2, (*value).into())),
            Value::Int(value) => self.integer(w, field, *value),
            Value::Double(value) => self.plain(w, field, value, |w| w.double(4, *value)),
            Value::List(values) => {
                w.message(5, |w| {
                    for value in values {
                        let start = w.len();
                        let one = w.message(1, |w| self.value(w, field, value));
                        Kept::Same.and(one, w, start);
                    }
                });
                Kept::Same
            }
            Value::Map(values) => {
                w.message(6, |w| {
                    for (key, value) in values {
                        let (start, below) = (w.len(), self.below(field, key));
                        let masked_key = self.key(key);
                        let name = masked_key.as_deref().unwrap_or(key);
                        let one = w.attribute(1, name, |w| self.value(w, below, value));
                        Kept::Same.and(one, w, start);
                    }
                });
                Kept::Same
            }
        }
    }

    fn string(&mut self, w: &mut Writer, field: Field, text: &str) -> Kept {
        match self.text(field, text) {
            Outcome::Same => {
                w.bytes(1, text.as_bytes());
                Kept::Same
            }
            Outcome::Changed => {
                w.bytes(1, self.buffer.as_bytes());
                Kept::Changed
            }
            Outcome::Dropped => Kept::Dropped,
        }
    }

    fn integer(&mut self, w: &mut Writer, field: Field, value: i64) -> Kept {
        if !field.says_something() && value.unsigned_abs() < DIGITS_NOT_LOOKED_AT {
            w.varint(3, value.cast_unsigned());
            return Kept::Same;
        }
        self.printed(w, field, value, |w| w.varint(3, value.cast_unsigned()))
    }

    /// A value in which nothing is looked for unless its name says something.
    fn plain(&mut self, w: &mut Writer, field: Field, value: impl ToString, write: impl FnOnce(&mut Writer)) -> Kept {
        if field.says_something() {
            return self.printed(w, field, value, write);
        }
        write(w);
        Kept::Same
    }

    /// Looks at a value as text; it becomes text where something is masked.
    fn printed(&mut self, w: &mut Writer, field: Field, value: impl ToString, write: impl FnOnce(&mut Writer)) -> Kept {
        match self.text(field, &value.to_string()) {
            Outcome::Same => {
                write(w);
                Kept::Same
            }
            Outcome::Changed => {
                w.bytes(1, self.buffer.as_bytes());
                Kept::Changed
            }
            Outcome::Dropped => Kept::Dropped,
        }
    }

    /// Bytes are looked at as text; those that are none, as what is left of them as text.
    fn bytes(&mut self, w: &mut Writer, field: Field, bytes: &[u8]) -> Kept {
        match self.text(field, &String::from_utf8_lossy(bytes)) {
            Outcome::Same => {
                w.bytes(7, bytes);
                Kept::Same
            }
            Outcome::Changed => {
                w.bytes(7, self.buffer.as_bytes());
                Kept::Changed
            }
            Outcome::Dropped => Kept::Dropped,
        }
    }
}

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It was written as it is.
    Same,
    /// It, or something in it, was written masked.
    Changed,
    /// It is to be left out.
    Dropped,
}

impl Kept {
    /// What became of a list with one value more, which was written from `start` on; left out where it is dropped.
    fn and(self, one: Self, w: &mut Writer, start: usize) -> Self {
        match one {
            Self::Same => self,
            Self::Changed => Self::Changed,
            Self::Dropped => {
                w.truncate(start);
                Self::Changed
            }
        }
    }
}
