//! Records that nobody should be able to read.

use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::config::{Encoding, Error};
use crate::encode::Payload;
use crate::mix::Dice;

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Malformation {
    /// No bytes at all.
    Empty,
    /// Bytes that no encoding begins with, then random ones; never compressed.
    RandomBytes,
    /// The message ends too early (inside an intact compressed stream, where it is compressed).
    Truncated,
    /// A message of another signal. As JSON it reads as a message without anything in it.
    WrongSignal,
    /// Text that is not UTF-8.
    InvalidUtf8,
    /// A resource attribute that is an array in an array, 10,000 deep.
    DeepNesting,
}

/// Deeper than any decoder should follow: prost stops at 100.
const DEPTH: usize = 10_000;

impl Malformation {
    /// Every kind.
    #[must_use]
    pub const fn all() -> &'static [Self] {
        &[Self::Empty, Self::RandomBytes, Self::Truncated, Self::WrongSignal, Self::InvalidUtf8, Self::DeepNesting]
    }

    /// The uncompressed value: a good message, spoiled. (Of the wrong signal it already is.)
    pub(crate) fn spoil(self, good: &Payload, encoding: Encoding, dice: &mut Dice) -> Result<Vec<u8>, Error> {
        match self {
            Self::Empty => Ok(Vec::new()),
            Self::RandomBytes => {
                let rest = std::iter::repeat_with(|| dice.roll().to_le_bytes()).take(32).flatten();
                // Field 1 of wire type 7, which does not exist; nor does any magic number begin so.
                Ok([0x0f].into_iter().chain(rest).collect())
            }
            Self::Truncated => {
                let mut value = good.encode(encoding)?;
                let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
                // Something stays and something is missing.
                let kept = 1 + dice.below(length.saturating_sub(1).max(1));
                value.truncate(usize::try_from(kept).unwrap_or(1));
                Ok(value)
            }
            Self::WrongSignal => good.encode(encoding),
            Self::InvalidUtf8 => {
                let mut value = good.encode(encoding)?;
                let name = b"service.name";
                let at = value.windows(name.len()).position(|window| window == name);
                if let Some(byte) = at.and_then(|at| value.get_mut(at)) {
                    *byte = 0xff;
                }
                Ok(value)
            }
            Self::DeepNesting => match encoding {
                Encoding::Protobuf => Ok(deep_protobuf(good)),
                Encoding::Json => Ok(deep_json(good)),
            },
        }
    }
}

/// The message with its resource replaced. By hand: a message this deep overflows the stack that prost
/// encodes it on.
fn deep_protobuf(good: &Payload) -> Vec<u8> {
    let scopes = without_resource(good);
    // Message from the inside out, backwards: an AnyValue's array_value (5) of an ArrayValue's values (1).
    let mut value = Vec::new();
    for _ in 0..DEPTH {
        wrap_backwards(1, &mut value);
        wrap_backwards(5, &mut value);
    }
    value.reverse();
    let mut attribute = field(1, b"nested");
    attribute.extend(field(2, &value));
    let mut group = field(1, &field(1, &attribute));
    group.extend(scopes);
    field(1, &group)
}

/// The first resource's group without its resource.
fn without_resource(good: &Payload) -> Vec<u8> {
    match good {
        Payload::Metrics(request) => request
            .resource_metrics
            .first()
            .map(|group| ResourceMetrics { resource: None, ..group.clone() }.encode_to_vec()),
        Payload::Logs(request) => {
            request.resource_logs.first().map(|group| ResourceLogs { resource: None, ..group.clone() }.encode_to_vec())
        }
        Payload::Traces(request) => request
            .resource_spans
            .first()
            .map(|group| ResourceSpans { resource: None, ..group.clone() }.encode_to_vec()),
    }
    .unwrap_or_default()
}

/// A length-delimited field.
fn field(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut field = Vec::with_capacity(content.len() + 8);
    encode_key(tag, WireType::LengthDelimited, &mut field);
    encode_varint(length(content), &mut field);
    field.extend_from_slice(content);
    field
}

/// Makes `backwards`, a message written from its end, the content of a field.
fn wrap_backwards(tag: u32, backwards: &mut Vec<u8>) {
    let mut header = Vec::with_capacity(6);
    encode_key(tag, WireType::LengthDelimited, &mut header);
    encode_varint(length(backwards), &mut header);
    backwards.extend(header.iter().rev());
}

fn length(content: &[u8]) -> u64 {
    u64::try_from(content.len()).unwrap_or(u64::MAX)
}

fn deep_json(good: &Payload) -> Vec<u8> {
    let groups = match good {
        Payload::Metrics(_) => "resourceMetrics",
        Payload::Logs(_) => "resourceLogs",
        Payload::Traces(_) => "resourceSpans",
    };
    let open = r#"{"arrayValue":{"values":["#.repeat(DEPTH);
    let close = "]}}".repeat(DEPTH);
    let attribute = format!(r#"{{"key":"nested","value":{open}{close}}}"#);
    format!(r#"{{"{groups}":[{{"resource":{{"attributes":[{attribute}]}}}}]}}"#).into_bytes()
}
