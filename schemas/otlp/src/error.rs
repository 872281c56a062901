//! What can be wrong with protobuf bytes, and where.

use std::fmt;

use crate::schema::{Kind, Signal};
use crate::wire::{Field, LEN, Reader};

/// What is wrong; the closed list of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value goes on behind the end of its message.
    Truncated,
    /// A variable-length integer has more than 64 bits.
    BadVarint,
    /// A field's number or wire type does not exist, or groups do not match.
    BadTag,
    /// A known field has a wire type other than its declaration's.
    BadWireType,
    /// Text is not UTF-8.
    InvalidUtf8,
    /// Values nest deeper than [`MAX_DEPTH`](crate::MAX_DEPTH).
    TooDeep,
    /// A field that holds one message occurs twice.
    Repeated,
}

impl ErrorKind {
    /// The reason as a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::BadVarint => "bad_varint",
            Self::BadTag => "bad_tag",
            Self::BadWireType => "bad_wire_type",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::TooDeep => "too_deep",
            Self::Repeated => "repeated",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Protobuf bytes that are not an OTLP request.
///
/// Names the field by closed names and indexes; holds nothing of the payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {} at byte {}", .0.path, .0.kind, .0.offset)]
pub struct Error(Box<Place>);

// Behind a box so that a result of the hot path stays one word wider than its value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    kind: ErrorKind,
    path: String,
    offset: usize,
}

impl Error {
    /// Locates `offset` in a payload of which `front` is all up to the end of
    /// the message at fault.
    ///
    /// Without a signal the path stays empty.
    pub(crate) fn new(kind: ErrorKind, signal: Option<Signal>, front: &[u8], offset: usize) -> Self {
        let path = signal.map_or_else(String::new, |signal| path(signal, front, offset));
        Self(Box::new(Place { kind, path, offset }))
    }

    /// What is wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The field at fault, as `resource_metrics[0].scope_metrics[2].metrics[5].name`.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Where in the payload, in bytes.
    pub fn offset(&self) -> usize {
        self.0.offset
    }
}

/// Walks from the front of the payload to `offset`, naming each field on the way.
///
/// Enclosing messages end behind `front`: a length that leads out of it is one
/// to follow.
fn path(signal: Signal, front: &[u8], offset: usize) -> String {
    let mut schema = signal.schema();
    let mut reader = Reader::locating(front);
    let mut path = String::new();
    while let Some((field, index, mut value)) = covering(reader, offset) {
        if !path.is_empty() {
            path.push('.');
        }
        let Some(known) = schema.fields.iter().find(|known| known.number == field.number) else {
            path.push_str("unknown");
            break;
        };
        path.push_str(known.name);
        if known.repeated {
            path.push_str(&format!("[{index}]"));
        }
        let Kind::Message(inner) = known.kind else { break };
        // A copy, since a length that leads out of `front` still has to be passed.
        let whole = { value }.message();
        if field.wire != LEN || value.varint().is_err() || value.pos() > offset {
            break;
        }
        schema = inner;
        reader = whole.unwrap_or(value);
    }
    if path.is_empty() { "request".to_owned() } else { path }
}

/// The field that covers `offset`, how many of its number came before it in
/// its message, and a reader at its value.
fn covering(mut reader: Reader<'_>, offset: usize) -> Option<(Field, usize, Reader<'_>)> {
    // OTLP's field numbers end at 16; all others have no name anyway.
    let mut before = [0; 32];
    loop {
        let field = reader.field().ok().flatten()?;
        let value = reader;
        let mut unknown = 0;
        let number = usize::try_from(field.number).ok();
        let count = number.and_then(|number| before.get_mut(number)).unwrap_or(&mut unknown);
        if reader.skip(field).is_err() || reader.pos() > offset {
            return Some((field, *count, value));
        }
        *count += 1;
    }
}
