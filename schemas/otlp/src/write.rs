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

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
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
    pub fn message(&mut self, number: u32, fill: impl FnOnce(&mut Self)) {
        let open = self.begin(number);
        fill(self);
        self.end(open);
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
        let mut len = Self::new();
        len.raw_varint(self.bytes.len().saturating_sub(open.start) as u64);
        self.bytes.splice(open.start - 1..open.start, len.bytes);
    }
}
