//! Reads protobuf's wire format from a borrowed payload.
//!
//! Specification: <https://protobuf.dev/programming-guides/encoding>.

use crate::error::{Error, ErrorKind};
use crate::schema::Signal;

/// How deep lists and maps of attribute values may nest.
///
/// Far above what instrumentation writes; a generated decoder gives up
/// earlier, at a hundred messages of any kind.
pub const MAX_DEPTH: u8 = 64;

/// How deep unknown groups may nest, as in generated decoders.
const MAX_GROUP_DEPTH: usize = 100;

/// The bytes of the longest variable-length integer, ten groups of seven bits.
const MAX_VARINT_BYTES: u32 = 10;

pub(crate) const VARINT: u8 = 0;
pub(crate) const I64: u8 = 1;
pub(crate) const LEN: u8 = 2;
pub(crate) const START_GROUP: u8 = 3;
pub(crate) const END_GROUP: u8 = 4;
pub(crate) const I32: u8 = 5;

/// What precedes a value: its field's number, its wire type, where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) wire: u8,
    /// Offset of the field in the payload, in bytes.
    pub(crate) at: usize,
}

/// One message of a payload, read front to back.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The payload from its first byte to this message's end, so that `pos` is
    /// an offset in the payload and an error can be located from its front.
    buf: &'a [u8],
    pos: usize,
    /// How many lists and maps of values enclose this message.
    depth: u8,
    /// What the payload is; none while an error is being located.
    signal: Option<Signal>,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(signal: Signal, payload: &'a [u8]) -> Self {
        Self { buf: payload, pos: 0, depth: 0, signal: Some(signal) }
    }

    /// Reads bytes that are known to be wrong, to find out where.
    pub(crate) fn locating(front: &'a [u8]) -> Self {
        Self { buf: front, pos: 0, depth: 0, signal: None }
    }

    /// A message without fields.
    #[inline]
    pub(crate) fn empty(&self) -> Self {
        Self { buf: &[], pos: 0, ..*self }
    }

    /// The same payload from `start` to the end of `last`.
    #[inline]
    pub(crate) fn spanning(start: usize, last: Self) -> Self {
        Self { pos: start, ..last }
    }

    /// The same payload from its start to here.
    #[inline]
    pub(crate) fn passed(&self) -> Self {
        Self { buf: self.buf.get(..self.pos).unwrap_or_default(), ..*self }
    }

    /// Bytes not yet read.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.buf.get(self.pos..).unwrap_or_default()
    }

    /// Where the message ends in the payload.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.buf.len()
    }

    #[inline]
    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.pos >= self.buf.len()
    }

    /// Gives up the rest of the message.
    #[inline]
    pub(crate) fn finish(&mut self) {
        self.pos = self.buf.len();
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn fail(&self, kind: ErrorKind, at: usize) -> Error {
        Error::new(kind, self.signal, self.buf, at)
    }

    /// Reads what precedes the next value, or nothing at the message's end.
    ///
    /// Numbers and wire types that cannot be are refused by [`Self::skip`],
    /// which is where they end up.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<Option<Field>, Error> {
        let at = self.pos;
        let Some(&first) = self.buf.get(at) else { return Ok(None) };
        if first < 0x80 {
            self.pos = at + 1;
            return Ok(Some(Field { number: u32::from(first >> 3), wire: first & 7, at }));
        }
        self.long_field().map(Some)
    }

    fn long_field(&mut self) -> Result<Field, Error> {
        let at = self.pos;
        let key = self.varint()?;
        let key = u32::try_from(key).map_err(|_| self.fail(ErrorKind::BadTag, at))?;
        // Three bits always fit.
        Ok(Field { number: key >> 3, wire: (key & 7).to_le_bytes()[0], at })
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Error> {
        match self.buf.get(self.pos) {
            Some(&byte) if byte < 0x80 => {
                self.pos += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Error> {
        let at = self.pos;
        let mut value = 0;
        for (index, &byte) in (0..MAX_VARINT_BYTES).zip(self.rest()) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                // The tenth byte has room for the last of 64 bits only.
                if index + 1 == MAX_VARINT_BYTES && byte > 1 {
                    return Err(self.fail(ErrorKind::BadVarint, at));
                }
                self.pos = at + 1 + index as usize;
                return Ok(value);
            }
        }
        let whole = self.rest().len() >= MAX_VARINT_BYTES as usize;
        let kind = if whole { ErrorKind::BadVarint } else { ErrorKind::Truncated };
        Err(self.fail(kind, at))
    }

    /// Reads an integer of up to 32 bits; higher bits are dropped, as protobuf
    /// demands.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "protobuf drops the higher bits")]
    pub(crate) fn varint_u32(&mut self) -> Result<u32, Error> {
        Ok(self.varint()? as u32)
    }

    #[inline]
    pub(crate) fn varint_i32(&mut self) -> Result<i32, Error> {
        Ok(self.varint_u32()?.cast_signed())
    }

    #[inline]
    pub(crate) fn zigzag_i32(&mut self) -> Result<i32, Error> {
        let value = self.varint_u32()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    #[inline]
    pub(crate) fn bool(&mut self) -> Result<bool, Error> {
        Ok(self.varint()? != 0)
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let at = self.pos;
        match self.rest().first_chunk() {
            Some(bytes) => {
                self.pos = at + N;
                Ok(*bytes)
            }
            None => Err(self.fail(ErrorKind::Truncated, at)),
        }
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, Error> {
        self.fixed().map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, Error> {
        self.fixed().map(u64::from_le_bytes)
    }

    #[inline]
    pub(crate) fn double(&mut self) -> Result<f64, Error> {
        self.fixed().map(f64::from_le_bytes)
    }

    /// Reads a length and steps over what it covers: the message within.
    #[inline]
    pub(crate) fn message(&mut self) -> Result<Self, Error> {
        let at = self.pos;
        let len = self.varint()?;
        let end = usize::try_from(len).ok().and_then(|len| self.pos.checked_add(len));
        match end.and_then(|end| self.buf.get(..end)) {
            Some(buf) => {
                let inner = Self { buf, ..*self };
                self.pos = buf.len();
                Ok(inner)
            }
            None => Err(self.fail(ErrorKind::Truncated, at)),
        }
    }

    /// Like [`Self::message`], for a list or map of values, which may nest.
    #[inline]
    pub(crate) fn nested(&mut self) -> Result<Self, Error> {
        let at = self.pos;
        if self.depth >= MAX_DEPTH {
            return Err(self.fail(ErrorKind::TooDeep, at));
        }
        let inner = self.message()?;
        Ok(Self { depth: self.depth + 1, ..inner })
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Error> {
        Ok(self.message()?.rest())
    }

    #[inline]
    pub(crate) fn string(&mut self) -> Result<&'a str, Error> {
        let at = self.pos;
        match std::str::from_utf8(self.bytes()?) {
            Ok(text) => Ok(text),
            Err(_) => Err(self.fail(ErrorKind::InvalidUtf8, at)),
        }
    }

    /// A known field came with a wire type that its declaration does not allow.
    #[cold]
    pub(crate) fn bad_wire_type(&self, field: Field) -> Error {
        self.fail(ErrorKind::BadWireType, field.at)
    }

    /// Steps over the value of a field that the view does not know.
    #[cold]
    pub(crate) fn skip(&mut self, field: Field) -> Result<(), Error> {
        if field.number == 0 {
            return Err(self.fail(ErrorKind::BadTag, field.at));
        }
        match field.wire {
            VARINT => self.varint().map(drop),
            I64 => self.fixed::<8>().map(drop),
            LEN => self.message().map(drop),
            START_GROUP => self.skip_group(field),
            I32 => self.fixed::<4>().map(drop),
            // The end of a group that was never started, and the two types
            // that do not exist.
            _ => Err(self.fail(ErrorKind::BadTag, field.at)),
        }
    }

    fn skip_group(&mut self, field: Field) -> Result<(), Error> {
        let mut open = [0; MAX_GROUP_DEPTH];
        let mut depth = 0;
        let mut next = field;
        loop {
            match next.wire {
                START_GROUP => {
                    match open.get_mut(depth) {
                        Some(slot) => *slot = next.number,
                        None => return Err(self.fail(ErrorKind::TooDeep, next.at)),
                    }
                    depth += 1;
                }
                END_GROUP => {
                    depth -= 1;
                    if open.get(depth) != Some(&next.number) {
                        return Err(self.fail(ErrorKind::BadTag, next.at));
                    }
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.skip(next)?,
            }
            let at = self.pos;
            next = self.field()?.ok_or_else(|| self.fail(ErrorKind::Truncated, at))?;
            if next.number == 0 {
                return Err(self.fail(ErrorKind::BadTag, next.at));
            }
        }
    }
}
