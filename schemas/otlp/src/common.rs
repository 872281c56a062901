//! What all signals share: attributes, resources and scopes.

use crate::error::{Error, ErrorKind};
use crate::repeated::{Message, Repeated, singular};
use crate::wire::{I64, LEN, Reader, VARINT};

/// Keys and values, in the order they were written; a key may occur twice.
pub type Attributes<'a> = Repeated<'a, (&'a str, AnyValue<'a>)>;

/// A list of values.
pub type ArrayValue<'a> = Repeated<'a, AnyValue<'a>>;

/// The value of an attribute or the body of a log record.
#[derive(Clone, Copy)]
pub enum AnyValue<'a> {
    /// No value.
    Empty,
    /// Text.
    String(&'a str),
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// A list.
    Array(ArrayValue<'a>),
    /// A map.
    KvList(Attributes<'a>),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> Message<'a> for AnyValue<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut value = Self::Empty;
        while let Some(f) = r.field()? {
            value = match (f.number, f.wire) {
                (1, LEN) => Self::String(r.string()?),
                (2, VARINT) => Self::Bool(r.bool()?),
                (3, VARINT) => Self::Int(r.varint()?.cast_signed()),
                (4, I64) => Self::Double(r.double()?),
                (5, LEN) if matches!(value, Self::Array(_)) => {
                    return Err(r.fail(ErrorKind::Repeated, f.at));
                }
                (5, LEN) => Self::Array(list(r.nested()?)?),
                (6, LEN) if matches!(value, Self::KvList(_)) => {
                    return Err(r.fail(ErrorKind::Repeated, f.at));
                }
                (6, LEN) => Self::KvList(list(r.nested()?)?),
                (7, LEN) => Self::Bytes(r.bytes()?),
                // An index into the string table of profiles, which no other signal has.
                (8, VARINT) => {
                    r.varint()?;
                    Self::Empty
                }
                (1..=8, _) => return Err(r.bad_wire_type(f)),
                _ => {
                    r.skip(f)?;
                    value
                }
            };
        }
        Ok(value)
    }
}

/// Reads `ArrayValue` and `KeyValueList`: both hold their items in field 1.
#[inline]
fn list<'a, T>(mut r: Reader<'a>) -> Result<Repeated<'a, T>, Error> {
    let mut items = Repeated::new(&r, 1);
    while let Some(f) = r.field()? {
        match (f.number, f.wire) {
            (1, LEN) => items.push(&mut r, f)?,
            (1, _) => return Err(r.bad_wire_type(f)),
            _ => r.skip(f)?,
        }
    }
    Ok(items)
}

impl<'a> Message<'a> for (&'a str, AnyValue<'a>) {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let mut key = "";
        let mut value = None;
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (1, LEN) => key = r.string()?,
                (2, LEN) => singular(&mut value, &mut r, f)?,
                (1 | 2, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok((key, value.unwrap_or(AnyValue::Empty)))
    }
}

/// What produced the telemetry.
#[derive(Clone, Copy)]
pub struct Resource<'a> {
    /// What identifies and describes it.
    pub attributes: Attributes<'a>,
    /// How many attributes were dropped at the source.
    pub dropped_attributes_count: u32,
    /// The message's own bytes, for passing it on.
    pub raw: &'a [u8],
}

impl<'a> Message<'a> for Resource<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let raw = r.rest();
        let mut attributes = Repeated::new(&r, 1);
        let mut dropped_attributes_count = 0;
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (1, LEN) => attributes.push(&mut r, f)?,
                (2, VARINT) => dropped_attributes_count = r.varint_u32()?,
                (1 | 2, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok(Self { attributes, dropped_attributes_count, raw })
    }
}

/// The instrumentation that produced the telemetry.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Its name; empty if unknown.
    pub name: &'a str,
    /// Its version; empty if unknown.
    pub version: &'a str,
    /// What describes it further.
    pub attributes: Attributes<'a>,
    /// How many attributes were dropped at the source.
    pub dropped_attributes_count: u32,
    /// The message's own bytes, for passing it on.
    pub raw: &'a [u8],
}

impl<'a> Message<'a> for Scope<'a> {
    #[inline]
    fn parse(mut r: Reader<'a>) -> Result<Self, Error> {
        let raw = r.rest();
        let (mut name, mut version) = ("", "");
        let mut attributes = Repeated::new(&r, 3);
        let mut dropped_attributes_count = 0;
        while let Some(f) = r.field()? {
            match (f.number, f.wire) {
                (1, LEN) => name = r.string()?,
                (2, LEN) => version = r.string()?,
                (3, LEN) => attributes.push(&mut r, f)?,
                (4, VARINT) => dropped_attributes_count = r.varint_u32()?,
                (1..=4, _) => return Err(r.bad_wire_type(f)),
                _ => r.skip(f)?,
            }
        }
        Ok(Self { name, version, attributes, dropped_attributes_count, raw })
    }
}

/// Defines one of the two envelopes that every signal has: what the items
/// share, the items, and where the conventions of the names are described.
macro_rules! envelope {
    ($(#[$doc:meta])* $name:ident { $shared:ident: $Shared:ident, $items:ident: $Item:ident }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a> {
            #[doc = concat!("The ", stringify!($shared), " of all items; empty if absent.")]
            pub $shared: $crate::common::$Shared<'a>,
            /// Where the conventions that the names follow are described.
            pub schema_url: &'a str,
            items: $crate::repeated::Repeated<'a, $Item<'a>>,
        }

        impl<'a> $name<'a> {
            /// The items in order; ends after the first error.
            #[inline]
            pub fn $items(&self) -> $crate::repeated::Iter<'a, $Item<'a>> {
                self.items.iter()
            }
        }

        impl<'a> $crate::repeated::Message<'a> for $name<'a> {
            #[inline]
            fn parse(mut r: $crate::wire::Reader<'a>) -> Result<Self, $crate::error::Error> {
                let mut shared = None;
                let mut items = $crate::repeated::Repeated::new(&r, 2);
                let mut schema_url = "";
                while let Some(f) = r.field()? {
                    match (f.number, f.wire) {
                        (1, $crate::wire::LEN) => {
                            $crate::repeated::singular(&mut shared, &mut r, f)?;
                        }
                        (2, $crate::wire::LEN) => items.push(&mut r, f)?,
                        (3, $crate::wire::LEN) => schema_url = r.string()?,
                        (1..=3, _) => return Err(r.bad_wire_type(f)),
                        _ => r.skip(f)?,
                    }
                }
                let $shared = $crate::repeated::or_empty(shared, &r)?;
                Ok(Self { $shared, schema_url, items })
            }
        }
    };
}

/// Defines the view of a whole payload, whose field 1 holds everything.
macro_rules! request {
    ($(#[$doc:meta])* $name:ident($signal:ident) { $items:ident: $Item:ident }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a>($crate::wire::Reader<'a>);

        impl<'a> $name<'a> {
            /// Views a payload; nothing of it is checked yet.
            #[inline]
            pub fn new(payload: &'a [u8]) -> Self {
                Self($crate::wire::Reader::new($crate::schema::Signal::$signal, payload))
            }

            /// The items in order; ends after the first error.
            #[inline]
            pub fn $items(&self) -> $crate::repeated::Iter<'a, $Item<'a>> {
                $crate::repeated::Iter::over(self.0, 1)
            }
        }
    };
}

pub(crate) use {envelope, request};
