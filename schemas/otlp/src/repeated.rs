//! Repeated fields, read in place.

use std::borrow::Cow;
use std::hash::Hasher;
use std::marker::PhantomData;

use crate::error::{Error, ErrorKind};
use crate::wire::{Field, I64, LEN, Reader, VARINT};

/// What a view is made from: one forward scan over its message.
///
/// Public in a private module, so that nobody else implements it.
pub trait Message<'a>: Sized {
    fn parse(reader: Reader<'a>) -> Result<Self, Error>;
}

/// Reads a singular message field.
#[inline]
pub(crate) fn singular<'a, T: Message<'a>>(
    slot: &mut Option<T>,
    reader: &mut Reader<'a>,
    field: Field,
) -> Result<(), Error> {
    if slot.is_some() {
        return Err(reader.fail(ErrorKind::Repeated, field.at));
    }
    *slot = Some(T::parse(reader.message()?)?);
    Ok(())
}

/// A singular message field that may be absent, which reads as empty.
#[inline]
pub(crate) fn or_empty<'a, T: Message<'a>>(slot: Option<T>, reader: &Reader<'a>) -> Result<T, Error> {
    match slot {
        Some(value) => Ok(value),
        None => T::parse(reader.empty()),
    }
}

/// The occurrences of one field in one message: from the first to the last,
/// with whatever stands between.
#[derive(Clone, Copy)]
struct Occurrences<'a> {
    reader: Reader<'a>,
    number: u32,
    /// Whether something else stands between.
    gaps: bool,
}

impl<'a> Occurrences<'a> {
    #[inline]
    fn new(reader: &Reader<'a>, number: u32) -> Self {
        Self { reader: reader.empty(), number, gaps: false }
    }

    /// Takes the field that starts at `at` and ends at `reader`'s position.
    #[inline]
    fn push(&mut self, value: Reader<'a>, at: usize) {
        let start = if self.reader.end() == 0 {
            at
        } else {
            self.gaps |= self.reader.end() != at;
            self.reader.pos()
        };
        self.reader = Reader::spanning(start, value);
    }
}

/// A repeated message field.
#[derive(Clone, Copy)]
pub struct Repeated<'a, T> {
    all: Occurrences<'a>,
    item: PhantomData<T>,
}

impl<'a, T> Repeated<'a, T> {
    #[inline]
    pub(crate) fn new(reader: &Reader<'a>, number: u32) -> Self {
        Self { all: Occurrences::new(reader, number), item: PhantomData }
    }

    /// Takes one occurrence, without looking into it.
    #[inline]
    pub(crate) fn push(&mut self, reader: &mut Reader<'a>, field: Field) -> Result<(), Error> {
        let value = reader.message()?;
        self.all.push(value, field.at);
        Ok(())
    }

    /// Whether the field does not occur.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.all.reader.is_done()
    }

    /// The field's bytes in order, tags and lengths included.
    ///
    /// Borrowed as long as nothing else stands between the occurrences, which
    /// is what encoders write. Equal bytes are equal items; equal items may
    /// have other bytes if another encoder or another kind of message wrote them.
    #[inline]
    pub fn raw(&self) -> Cow<'a, [u8]> {
        if self.all.gaps { Cow::Owned(self.joined()) } else { Cow::Borrowed(self.all.reader.rest()) }
    }

    #[cold]
    fn joined(&self) -> Vec<u8> {
        let mut reader = self.all.reader;
        let mut joined = Vec::new();
        // These bytes were read once already: no step fails.
        while let Ok(Some(field)) = reader.field() {
            let tag = Reader::spanning(field.at, reader);
            if reader.skip(field).is_err() {
                break;
            }
            if field.number == self.all.number {
                let len = reader.pos() - field.at;
                joined.extend_from_slice(tag.rest().get(..len).unwrap_or_default());
            }
        }
        joined
    }

    /// Feeds [`Self::raw`] to `state`, in one write.
    #[inline]
    pub fn hash_into(&self, state: &mut impl Hasher) {
        state.write(&self.raw());
    }
}

impl<'a, T: Message<'a>> Repeated<'a, T> {
    /// Reads the items in order; ends after the first error.
    #[inline]
    pub fn iter(&self) -> Iter<'a, T> {
        Iter { reader: self.all.reader, number: self.all.number, item: PhantomData }
    }
}

impl<'a, T: Message<'a>> IntoIterator for Repeated<'a, T> {
    type Item = Result<T, Error>;
    type IntoIter = Iter<'a, T>;

    #[inline]
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Message<'a>> IntoIterator for &Repeated<'a, T> {
    type Item = Result<T, Error>;
    type IntoIter = Iter<'a, T>;

    #[inline]
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Reads the items of a repeated field in order; ends after the first error.
#[derive(Clone, Copy)]
pub struct Iter<'a, T> {
    reader: Reader<'a>,
    number: u32,
    item: PhantomData<T>,
}

impl<'a, T: Message<'a>> Iter<'a, T> {
    /// Reads a field of a whole message.
    #[inline]
    pub(crate) fn over(reader: Reader<'a>, number: u32) -> Self {
        Self { reader, number, item: PhantomData }
    }

    #[inline]
    fn advance(&mut self) -> Result<Option<T>, Error> {
        while let Some(field) = self.reader.field()? {
            if field.number != self.number {
                self.reader.skip(field)?;
            } else if field.wire == LEN {
                return T::parse(self.reader.message()?).map(Some);
            } else {
                return Err(self.reader.bad_wire_type(field));
            }
        }
        Ok(None)
    }
}

impl<'a, T: Message<'a>> Iterator for Iter<'a, T> {
    type Item = Result<T, Error>;

    #[inline]
    fn next(&mut self) -> Option<Result<T, Error>> {
        let item = self.advance();
        if item.is_err() {
            self.reader.finish();
        }
        item.transpose()
    }
}

/// How one element of a repeated scalar field is written.
///
/// Public in a private module, so that nobody else implements it.
pub trait Scalar {
    type Value;
    const WIRE: u8;
    fn read(reader: &mut Reader<'_>) -> Result<Self::Value, Error>;
}

/// Eight bytes, little end first.
#[derive(Clone, Copy)]
pub struct Fixed64;

impl Scalar for Fixed64 {
    type Value = u64;
    const WIRE: u8 = I64;

    #[inline]
    fn read(reader: &mut Reader<'_>) -> Result<u64, Error> {
        reader.fixed64()
    }
}

/// Eight bytes of a floating-point number.
#[derive(Clone, Copy)]
pub struct Double;

impl Scalar for Double {
    type Value = f64;
    const WIRE: u8 = I64;

    #[inline]
    fn read(reader: &mut Reader<'_>) -> Result<f64, Error> {
        reader.double()
    }
}

/// Seven bits a byte.
#[derive(Clone, Copy)]
pub struct Varint;

impl Scalar for Varint {
    type Value = u64;
    const WIRE: u8 = VARINT;

    #[inline]
    fn read(reader: &mut Reader<'_>) -> Result<u64, Error> {
        reader.varint()
    }
}

/// A repeated scalar field, packed or not; checked when its message was read.
#[derive(Clone, Copy)]
pub struct Scalars<'a, S> {
    all: Occurrences<'a>,
    scalar: PhantomData<S>,
}

/// A repeated `fixed64` field.
pub type U64s<'a> = Scalars<'a, Fixed64>;
/// A repeated `double` field.
pub type F64s<'a> = Scalars<'a, Double>;
/// A repeated `uint64` field.
pub type VarintU64s<'a> = Scalars<'a, Varint>;

impl<'a, S: Scalar> Scalars<'a, S> {
    #[inline]
    pub(crate) fn new(reader: &Reader<'a>, number: u32) -> Self {
        Self { all: Occurrences::new(reader, number), scalar: PhantomData }
    }

    /// Takes one occurrence, a single element or a packed run of them.
    #[inline]
    pub(crate) fn push(&mut self, reader: &mut Reader<'a>, field: Field) -> Result<(), Error> {
        if field.wire == LEN {
            let mut run = reader.message()?;
            self.all.push(run, field.at);
            while !run.is_done() {
                S::read(&mut run)?;
            }
            return Ok(());
        }
        if field.wire != S::WIRE {
            return Err(reader.bad_wire_type(field));
        }
        S::read(reader)?;
        self.all.push(reader.passed(), field.at);
        Ok(())
    }

    /// Whether the field does not occur.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The elements in order.
    #[inline]
    pub fn iter(&self) -> ScalarIter<'a, S> {
        let run = self.all.reader.empty();
        ScalarIter { reader: self.all.reader, run, number: self.all.number, scalar: PhantomData }
    }
}

impl<'a, S: Scalar> IntoIterator for Scalars<'a, S> {
    type Item = S::Value;
    type IntoIter = ScalarIter<'a, S>;

    #[inline]
    fn into_iter(self) -> ScalarIter<'a, S> {
        self.iter()
    }
}

/// The elements of a repeated scalar field in order.
#[derive(Clone, Copy)]
pub struct ScalarIter<'a, S> {
    reader: Reader<'a>,
    /// What is left of a packed run.
    run: Reader<'a>,
    number: u32,
    scalar: PhantomData<S>,
}

impl<S: Scalar> Iterator for ScalarIter<'_, S> {
    type Item = S::Value;

    // Every error was met by `Scalars::push` already.
    #[inline]
    fn next(&mut self) -> Option<S::Value> {
        loop {
            if !self.run.is_done() {
                return S::read(&mut self.run).ok();
            }
            let field = self.reader.field().ok()??;
            if field.number != self.number {
                self.reader.skip(field).ok()?;
            } else if field.wire == LEN {
                self.run = self.reader.message().ok()?;
            } else {
                return S::read(&mut self.reader).ok();
            }
        }
    }
}
