//! Writes protobuf's wire format.
//!
//! Specification: <https://protobuf.dev/programming-guides/encoding>.

use crate::wire::{I32, I64, LEN, VARINT};

/// A protobuf message under construction.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

/// A message within a message whose end is still to come.
#[must_use]
pub(crate) struct Open {
    start: usize,
}

impl Writer {
    /// An empty message.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty message that may grow to so many bytes before it moves.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    /// The bytes so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes there are so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes back what was written since there were so many bytes, within the message that is under construction.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Begins again with an empty message, in the same memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The message's bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn tag(&mut self, number: u32, wire: u8) {
        self.raw_varint((u64::from(number) << 3) | u64::from(wire));
    }

    #[expect(clippy::cast_possible_truncation, reason = "seven bits are taken at a time")]
    pub(crate) fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// Writes fields that are encoded already, with their tags.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a field of type `uint32`, `uint64`, `bool` or an enum.
    pub fn varint(&mut self, number: u32, value: u64) {
        self.tag(number, VARINT);
        self.raw_varint(value);
    }

    /// Writes a field of type `fixed32`.
    pub fn fixed32(&mut self, number: u32, value: u32) {
        self.tag(number, I32);
        self.raw(&value.to_le_bytes());
    }

    /// Writes a field of type `fixed64`.
    pub fn fixed64(&mut self, number: u32, value: u64) {
        self.tag(number, I64);
        self.raw(&value.to_le_bytes());
    }

    /// Writes a field of type `double`.
    pub fn double(&mut self, number: u32, value: f64) {
        self.fixed64(number, value.to_bits());
    }

    /// Writes a field of type `string` or `bytes`, or a message that is encoded already.
    pub fn bytes(&mut self, number: u32, value: &[u8]) {
        self.tag(number, LEN);
        self.raw_varint(value.len() as u64);
        self.raw(value);
    }

    /// Writes a message field, or a packed run.
    pub fn message<R>(&mut self, number: u32, fill: impl FnOnce(&mut Self) -> R) -> R {
        let open = self.begin(number);
        let filled = fill(self);
        self.end(open);
        filled
    }

    /// Writes an attribute of text: a `KeyValue` whose value is a string.
    pub fn text_attribute(&mut self, number: u32, key: &str, text: &str) {
        let value = 1 + varint_bytes(text.len()) + text.len();
        self.tag(number, LEN);
        self.raw_varint((1 + varint_bytes(key.len()) + key.len() + 1 + varint_bytes(value) + value) as u64);
        self.bytes(1, key.as_bytes());
        self.tag(2, LEN);
        self.raw_varint(value as u64);
        self.bytes(1, text.as_bytes());
    }

    /// Writes an attribute: a `KeyValue` whose `AnyValue` is what `fill` writes.
    pub fn attribute<R>(&mut self, number: u32, key: &str, fill: impl FnOnce(&mut Self) -> R) -> R {
        self.message(number, |w| {
            w.bytes(1, key.as_bytes());
            w.message(2, fill)
        })
    }

    /// Starts a message field; leaves one byte for its length.
    pub(crate) fn begin(&mut self, number: u32) -> Open {
        self.tag(number, LEN);
        self.bytes.push(0);
        Open { start: self.bytes.len() }
    }

    /// Ends a message field: writes its length, making room for it where one
    /// byte is not enough.
    pub(crate) fn end(&mut self, open: Open) {
        let mut len = self.bytes.len().saturating_sub(open.start) as u64;
        let mut buffer = [0_u8; 10];
        let mut used = 0;
        for slot in &mut buffer {
            used += 1;
            // Seven bits are taken at a time.
            let low = (len & 0x7f).to_le_bytes()[0];
            len >>= 7;
            *slot = if len == 0 { low } else { low | 0x80 };
            if len == 0 {
                break;
            }
        }
        match (used, self.bytes.get_mut(open.start - 1)) {
            (1, Some(slot)) => *slot = buffer[0],
            _ => drop(self.bytes.splice(open.start - 1..open.start, buffer.into_iter().take(used))),
        }
    }
}

/// How many bytes a length takes.
fn varint_bytes(len: usize) -> usize {
    let bits = usize::BITS - (len | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnyValue, view};

    #[test]
    fn lengths_of_every_width_are_written_as_they_are_read() {
        for len in [0, 1, 127, 128, 129, 16_383, 16_384, 70_000, 2_097_151, 2_097_152] {
            let text = "x".repeat(len);
            let mut short = Writer::new();
            short.text_attribute(6, "k", &text);
            let mut long = Writer::new();
            long.attribute(6, "k", |w| w.bytes(1, text.as_bytes()));
            assert_eq!(short.as_bytes(), long.as_bytes(), "{len}");
            let field = crate::Fields::new(short.as_bytes()).next().unwrap().unwrap();
            let (key, value): (&str, AnyValue<'_>) = view(field.value.unwrap()).unwrap();
            assert!(key == "k" && matches!(value, AnyValue::String(read) if read == text), "{len}");
        }
    }
}
