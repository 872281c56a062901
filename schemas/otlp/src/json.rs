//! OTLP JSON to OTLP protobuf.
//!
//! Protobuf's JSON mapping with what OTLP changes: identities of traces and
//! spans are hexadecimal. Read generously: names of fields in `lowerCamelCase`
//! or as declared, integers as numbers or strings, enums as numbers or names,
//! `NaN` and infinities as strings, unknown fields ignored, `null` as absent.
//! Specification: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::schema::{Kind, Known, Schema, Signal};
use crate::wire::{I32, I64, VARINT};
use crate::write::Writer;

/// How deep objects and lists may nest; the JSON reader itself ends at 128.
const MAX_JSON_DEPTH: usize = 120;

/// What is wrong; the closed list of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// The text is not JSON.
    Syntax,
    /// A value has another type than its field.
    WrongType,
    /// An integer has a fraction or does not fit its field.
    OutOfRange,
    /// An enum has no value of that name.
    UnknownName,
    /// The identity of a trace or span is not hexadecimal.
    BadHex,
    /// Bytes are not Base64.
    BadBase64,
    /// Objects and lists nest too deep.
    TooDeep,
}

impl JsonErrorKind {
    /// The reason as a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "json_syntax",
            Self::WrongType => "json_wrong_type",
            Self::OutOfRange => "json_out_of_range",
            Self::UnknownName => "json_unknown_name",
            Self::BadHex => "json_bad_hex",
            Self::BadBase64 => "json_bad_base64",
            Self::TooDeep => "json_too_deep",
        }
    }
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// JSON that is not an OTLP request.
///
/// Names the field by closed names and indexes; holds nothing of the payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {kind} at line {line}, column {column}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// The field at fault, as `resource_metrics[0].scope_metrics[2]`; `request` for the whole.
    pub path: String,
    /// Where in the text, from 1.
    pub line: usize,
    /// Where in the line, in bytes from 1.
    pub column: usize,
}

/// Turns OTLP JSON into protobuf bytes for the views.
///
/// The result is at most four times as long as the text.
///
/// # Errors
/// The first value that is not what its field holds.
pub fn json_to_protobuf(signal: Signal, text: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut to = Conversion { out: Writer::new(), path: Vec::new(), fault: None };
    let mut json = serde_json::Deserializer::from_slice(text);
    let done = Request { to: &mut to, schema: signal.schema() }.deserialize(&mut json).and_then(|()| json.end());
    match done {
        Ok(()) => Ok(to.out.into_bytes()),
        Err(error) => {
            let kind = match to.fault {
                Some(fault) => fault,
                None if error.is_data() => JsonErrorKind::WrongType,
                None => JsonErrorKind::Syntax,
            };
            Err(JsonError { kind, path: to.path(), line: error.line(), column: error.column() })
        }
    }
}

/// What is under way: the protobuf so far, and where the reader stands.
struct Conversion {
    out: Writer,
    /// Left as it is when an error comes up, to say where.
    path: Vec<Step>,
    fault: Option<JsonErrorKind>,
}

enum Step {
    Field(&'static str),
    Index(usize),
}

impl Conversion {
    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.push_str(&format!(".{name}")),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        if path.is_empty() { "request".to_owned() } else { path }
    }

    /// Notes what is wrong: the reader's own errors could quote the payload.
    fn fault<E: serde::de::Error>(&mut self, kind: JsonErrorKind) -> E {
        self.fault = Some(kind);
        E::custom(kind)
    }

    fn enter<E: serde::de::Error>(&mut self, step: Step) -> Result<(), E> {
        self.path.push(step);
        if self.path.len() > MAX_JSON_DEPTH {
            return Err(self.fault(JsonErrorKind::TooDeep));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.path.pop();
    }

    /// Reads an object's members into the message that is being written.
    fn members<'de, A: MapAccess<'de>>(&mut self, schema: &'static Schema, mut object: A) -> Result<(), A::Error> {
        while let Some(field) = object.next_key_seed(Name { schema })? {
            match field {
                Some(field) => {
                    self.enter(Step::Field(field.name))?;
                    object.next_value_seed(Value { to: self, field, place: Place::Field })?;
                    self.leave();
                }
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The whole text.
struct Request<'c> {
    to: &'c mut Conversion,
    schema: &'static Schema,
}

impl<'de> DeserializeSeed<'de> for Request<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Request<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        self.to.members(self.schema, object)
    }
}

/// The name of an object's member: the field it stands for, if known.
struct Name {
    schema: &'static Schema,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static Known>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static Known>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.schema.fields.iter().find(|field| field.name == name || is_camel(name, field.name)))
    }
}

/// Whether `camel` is the `lowerCamelCase` of `snake`.
fn is_camel(camel: &str, snake: &str) -> bool {
    let mut camel = camel.bytes();
    let mut upper = false;
    for byte in snake.bytes() {
        if byte == b'_' {
            upper = true;
        } else {
            let want = if upper { byte.to_ascii_uppercase() } else { byte };
            upper = false;
            if camel.next() != Some(want) {
                return false;
            }
        }
    }
    camel.next().is_none()
}

/// Where a value stands, which decides what goes before it.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// The member of an object; a list if the field is repeated.
    Field,
    /// An item of a list, each with its field's tag.
    Item,
    /// An item of a packed list, without tags.
    Packed,
}

/// A value of a field.
struct Value<'c> {
    to: &'c mut Conversion,
    field: &'static Known,
    place: Place,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the field's type")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        if self.place == Place::Field { Ok(()) } else { Err(self.wrong_type()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if !self.field.repeated || self.place != Place::Field {
            return Err(self.wrong_type());
        }
        let Self { to, field, .. } = self;
        let packed = !matches!(field.kind, Kind::Message(_) | Kind::String);
        let place = if packed { Place::Packed } else { Place::Item };
        let open = packed.then(|| to.out.begin(field.number));
        for index in 0.. {
            to.enter(Step::Index(index))?;
            let item = list.next_element_seed(Value { to: &mut *to, field, place })?;
            to.leave();
            if item.is_none() {
                break;
            }
        }
        if let Some(open) = open {
            to.out.end(open);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, object: A) -> Result<(), A::Error> {
        let Kind::Message(schema) = self.field.kind else { return Err(self.wrong_type()) };
        self.not_a_list()?;
        let Self { to, field, .. } = self;
        let open = to.out.begin(field.number);
        to.members(schema, object)?;
        to.out.end(open);
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(mut self, value: bool) -> Result<(), E> {
        if !matches!(self.field.kind, Kind::Bool) {
            return Err(self.wrong_type());
        }
        self.varint(value.into())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        if matches!(self.field.kind, Kind::Double) { self.double(value) } else { self.whole(value) }
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<(), E> {
        match self.field.kind {
            Kind::String => self.bytes(text.as_bytes()),
            Kind::Id => match hex(text) {
                Some(bytes) => self.bytes(&bytes),
                None => Err(self.to.fault(JsonErrorKind::BadHex)),
            },
            Kind::Bytes => match base64(text) {
                Some(bytes) => self.bytes(&bytes),
                None => Err(self.to.fault(JsonErrorKind::BadBase64)),
            },
            Kind::Enum(names) => match names.iter().find(|(name, _)| *name == text) {
                Some(&(_, number)) => self.integer(number.into()),
                None => Err(self.to.fault(JsonErrorKind::UnknownName)),
            },
            Kind::Double => match double(text) {
                Some(value) => self.double(value),
                None => Err(self.wrong_type()),
            },
            Kind::Message(_) | Kind::Bool => Err(self.wrong_type()),
            _ => match (text.parse(), double(text)) {
                (Ok(value), _) => self.integer(value),
                (Err(_), Some(value)) => self.whole(value),
                (Err(_), None) => Err(self.wrong_type()),
            },
        }
    }
}

/// What each type of field is written as.
impl Value<'_> {
    fn wrong_type<E: serde::de::Error>(self) -> E {
        self.to.fault(JsonErrorKind::WrongType)
    }

    /// A repeated field needs a list around its values.
    fn not_a_list<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.field.repeated && self.place == Place::Field {
            return Err(self.to.fault(JsonErrorKind::WrongType));
        }
        Ok(())
    }

    fn tag<E: serde::de::Error>(&mut self, wire: u8) -> Result<(), E> {
        self.not_a_list()?;
        if self.place != Place::Packed {
            self.to.out.tag(self.field.number, wire);
        }
        Ok(())
    }

    fn varint<E: serde::de::Error>(&mut self, value: u64) -> Result<(), E> {
        self.tag(VARINT)?;
        self.to.out.raw_varint(value);
        Ok(())
    }

    fn fixed64<E: serde::de::Error>(&mut self, value: u64) -> Result<(), E> {
        self.tag(I64)?;
        self.to.out.raw(&value.to_le_bytes());
        Ok(())
    }

    fn double<E: serde::de::Error>(mut self, value: f64) -> Result<(), E> {
        self.fixed64(value.to_bits())
    }

    fn bytes<E: serde::de::Error>(&mut self, value: &[u8]) -> Result<(), E> {
        self.not_a_list()?;
        self.to.out.bytes(self.field.number, value);
        Ok(())
    }

    /// An integer that was written with a point or an exponent, as `1e3`.
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^64 by the check")]
    fn whole<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        if value.fract() == 0.0 && value.abs() <= 2_f64.powi(64) {
            return self.integer(value as i128);
        }
        Err(self.to.fault(JsonErrorKind::OutOfRange))
    }

    #[expect(clippy::cast_precision_loss, reason = "a double holds the nearest value")]
    fn integer<E: serde::de::Error>(mut self, value: i128) -> Result<(), E> {
        let written = match self.field.kind {
            Kind::Enum(_) => i32::try_from(value).map(|v| self.varint(i64::from(v).cast_unsigned())),
            Kind::Uint32 => u32::try_from(value).map(|v| self.varint(v.into())),
            Kind::Sint32 => i32::try_from(value).map(|v| self.varint(((v << 1) ^ (v >> 31)).cast_unsigned().into())),
            Kind::Int64 => i64::try_from(value).map(|v| self.varint(v.cast_unsigned())),
            Kind::Uint64 => u64::try_from(value).map(|v| self.varint(v)),
            Kind::Fixed32 => u32::try_from(value).map(|v| {
                self.tag(I32)?;
                self.to.out.raw(&v.to_le_bytes());
                Ok(())
            }),
            Kind::Fixed64 => u64::try_from(value).map(|v| self.fixed64(v)),
            Kind::Sfixed64 => i64::try_from(value).map(|v| self.fixed64(v.cast_unsigned())),
            Kind::Double => return self.double(value as f64),
            Kind::Message(_) | Kind::String | Kind::Bytes | Kind::Id | Kind::Bool => {
                return Err(self.wrong_type());
            }
        };
        written.unwrap_or_else(|_| Err(self.to.fault(JsonErrorKind::OutOfRange)))
    }
}

fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        // Rust also reads `inf` and `nan`, which JSON does not have.
        _ => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs.iter().map(|&[high, low]| u8::try_from((digit(high)? << 4) | digit(low)?).ok()).collect()
}

/// Reads both alphabets, with padding or without, as protobuf's JSON does.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let padding = text.len() - digits.len();
    if digits.len() % 4 == 1 || padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for index in 0..4 {
            let digit = group.get(index).map_or(Some(0), |&digit| sextet(digit))?;
            bits = (bits << 6) | u32::from(digit);
        }
        bytes.extend_from_slice(bits.to_be_bytes().get(1..group.len())?);
    }
    Some(bytes)
}

fn sextet(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
