//! Snappy's block format, written by someone who knows what repeats what.
//!
//! An encoder of bytes looks for what was there before. Whoever puts a request together knows that without looking:
//! a label is the same as the last time it was written, and so are times and metadata. So a request is written
//! compressed from the beginning, and what repeats is never read or copied.
//! The format: <https://github.com/google/snappy/blob/main/format_description.txt>

use crate::snappy::{Compressor, SnappyError};
use crate::wire::put_varint;

/// The longest copy that an element can say.
const COPY_MAX: usize = 64;
/// A copy of fewer bytes takes no less than they do.
const COPY_MIN: usize = 4;

/// A part of a block: elements that repeat nothing from outside.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    elements: Vec<u8>,
    /// What the elements that are complete stand for, in bytes.
    len: usize,
    /// Where the tag of the literal is that is being written.
    literal: Option<usize>,
    /// The copy that is being written: how far back, and how many bytes.
    copy: Option<(usize, usize)>,
}

/// Something that often is as it was the last time.
#[derive(Debug, Default)]
pub(crate) struct Last {
    bytes: Vec<u8>,
    at: usize,
}

impl Last {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}

impl Pieces {
    /// What was written so far stands for so many bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        let literal = self.literal.map_or(0, |tag| self.elements.len() - tag - 1);
        self.len + literal + self.copy.map_or(0, |(_, bytes)| bytes)
    }

    /// A buffer for bytes that are written as they are.
    #[inline]
    pub(crate) fn literal(&mut self) -> &mut Vec<u8> {
        self.end_copy();
        if self.literal.is_none() {
            self.literal = Some(self.elements.len());
            self.elements.push(0);
        }
        &mut self.elements
    }

    /// Writes what stands at `at` once more, so many bytes of it.
    #[inline]
    pub(crate) fn copy(&mut self, at: usize, bytes: usize) {
        self.end_literal();
        let back = self.len() - at;
        match &mut self.copy {
            Some((before, all)) if *before == back => *all += bytes,
            _ => {
                self.end_copy();
                self.copy = Some((back, bytes));
            }
        }
    }

    /// Writes something that often is as it was the last time.
    #[inline]
    pub(crate) fn repeat(&mut self, bytes: &[u8], last: &mut Last) {
        if bytes.is_empty() {
            return;
        }
        let at = self.len();
        let goes_on = || self.copy.is_some_and(|(back, _)| back == at - last.at);
        if last.bytes == bytes && (bytes.len() >= COPY_MIN || goes_on()) {
            self.copy(last.at, bytes.len());
        } else {
            self.literal().extend_from_slice(bytes);
            last.bytes.clear();
            last.bytes.extend_from_slice(bytes);
        }
        last.at = at;
    }

    /// Ends the element at hand.
    pub(crate) fn end(&mut self) {
        self.end_copy();
        self.end_literal();
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.elements.capacity()
    }

    /// Begins anew, keeping the buffer.
    pub(crate) fn clear(&mut self) {
        self.elements.clear();
        (self.len, self.literal, self.copy) = (0, None, None);
    }

    #[inline]
    fn end_literal(&mut self) {
        let Some(tag) = self.literal.take() else { return };
        let bytes = self.elements.len() - tag - 1;
        self.len += bytes;
        match (bytes, self.elements.get_mut(tag)) {
            (1..=60, Some(place)) => *place = small(bytes - 1) << 2,
            (0, _) | (_, None) => self.elements.truncate(tag),
            _ => self.end_long_literal(tag, bytes),
        }
    }

    /// The length of a long literal stands behind its tag, in as few bytes as it takes.
    #[cold]
    fn end_long_literal(&mut self, tag: usize, bytes: usize) {
        let length = (bytes - 1).to_le_bytes();
        let taken = (usize::BITS - (bytes - 1).leading_zeros()).div_ceil(8) as usize;
        if let Some(place) = self.elements.get_mut(tag) {
            *place = small(59 + taken) << 2;
        }
        self.elements.splice(tag + 1..tag + 1, length.into_iter().take(taken));
    }

    #[inline]
    fn end_copy(&mut self) {
        let Some((back, bytes)) = self.copy.take() else { return };
        self.len += bytes;
        let [low, high, higher, highest, ..] = back.to_le_bytes();
        let mut left = bytes;
        while left > 0 {
            let taken = left.min(COPY_MAX);
            let length = small(taken - 1) << 2;
            match (back, taken) {
                (..2048, 4..=11) => self.elements.extend_from_slice(&[high << 5 | small(taken - 4) << 2 | 1, low]),
                (..65536, _) => self.elements.extend_from_slice(&[length | 2, low, high]),
                _ => self.elements.extend_from_slice(&[length | 3, low, high, higher, highest]),
            }
            left -= taken;
        }
    }
}

/// A number of at most six bits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the upper bits are masked")]
const fn small(number: usize) -> u8 {
    (number & 0x3f) as u8
}

/// Puts a block together of parts, each written on its own, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Block {
    compressor: Compressor,
    compressed: Vec<u8>,
}

impl Block {
    /// A block of bytes that are compressed here before or behind what was written compressed. What is in `pieces` is
    /// left there.
    ///
    /// # Errors
    /// It is longer than 4 GiB.
    pub(crate) fn put(&mut self, before: &[u8], pieces: &mut Pieces, behind: &[u8]) -> Result<Vec<u8>, SnappyError> {
        pieces.end();
        let mut block = Vec::with_capacity(pieces.elements.len() + (before.len() + behind.len()) / 2 + 16);
        put_varint(&mut block, (before.len() + pieces.len() + behind.len()) as u64);
        self.append(&mut block, before)?;
        block.extend_from_slice(&pieces.elements);
        self.append(&mut block, behind)?;
        Ok(block)
    }

    /// Appends bytes compressed, without the length in front: how far back a copy reaches does not depend on where
    /// they stand.
    fn append(&mut self, block: &mut Vec<u8>, bytes: &[u8]) -> Result<(), SnappyError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.compressor.compress(bytes, &mut self.compressed)?;
        let length = crate::wire::varint_len(bytes.len() as u64);
        block.extend_from_slice(self.compressed.get(length..).unwrap_or_default());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decompress;

    /// What is written: bytes as they are, a part of what is there already, or one of a few things as the last time.
    #[derive(Debug, Clone)]
    enum Step {
        Literal(Vec<u8>),
        Copy(prop::sample::Index, usize),
        Repeat(Vec<u8>),
    }

    fn step() -> impl Strategy<Value = Step> {
        let long = (0_usize..70_000, any::<u8>()).prop_map(|(bytes, seed)| {
            (0..bytes).map(|place| (place.wrapping_mul(31) >> 3).to_le_bytes()[0] ^ seed).collect::<Vec<_>>()
        });
        let literal = prop_oneof![6 => prop::collection::vec(any::<u8>(), 0..80), 1 => long];
        prop_oneof![
            3 => literal.prop_map(Step::Literal),
            3 => (any::<prop::sample::Index>(), 1_usize..200).prop_map(|(at, bytes)| Step::Copy(at, bytes)),
            2 => prop::collection::vec(0_u8..2, 0..6).prop_map(Step::Repeat),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            blocks in prop::collection::vec(prop::collection::vec(step(), 0..40), 1..3),
            before in prop::collection::vec(any::<u8>(), 0..100),
            behind in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let (mut pieces, mut last, mut block) = (Pieces::default(), Last::default(), Block::default());
            for steps in blocks {
                pieces.clear();
                last.clear();
                let mut want = Vec::new();
                for step in steps {
                    match step {
                        Step::Literal(bytes) => {
                            pieces.literal().extend_from_slice(&bytes);
                            want.extend(bytes);
                        }
                        Step::Copy(at, bytes) if !want.is_empty() => {
                            let at = at.index(want.len());
                            pieces.copy(at, bytes);
                            (at..at + bytes).for_each(|place| want.push(want[place]));
                        }
                        Step::Copy(..) => {}
                        Step::Repeat(bytes) => {
                            pieces.repeat(&bytes, &mut last);
                            want.extend(bytes);
                        }
                    }
                    prop_assert_eq!(pieces.len(), want.len());
                }
                let body = block.put(&before, &mut pieces, &behind).unwrap();
                prop_assert_eq!(decompress(&body, 1 << 30).unwrap(), [&before[..], &want, &behind].concat());
            }
        }
    }

    /// Copies that go on at the same distance are one, and a copy is as short as its distance allows.
    #[test]
    fn copies_are_joined_and_short() {
        let mut pieces = Pieces::default();
        pieces.literal().extend_from_slice(&[7; 60]);
        assert_eq!(pieces.elements.len(), 61);
        pieces.copy(0, 5);
        pieces.copy(5, 5);
        pieces.end();
        assert_eq!(pieces.elements.len(), 61 + 2, "one near and short copy");
        pieces.copy(0, 12);
        pieces.end();
        assert_eq!(pieces.elements.len(), 63 + 3, "one that is too long for that");
        pieces.literal().extend_from_slice(&[8; 70_000]);
        pieces.copy(0, 64);
        pieces.end();
        assert_eq!(pieces.elements.len(), 66 + 1 + 3 + 70_000 + 5, "one from far away");
    }
}
