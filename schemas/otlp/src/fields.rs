//! A message field by field, each with its own bytes: for passing on what is not changed, unknown fields too.

use crate::error::{Error, ErrorKind};
use crate::repeated::Message;
use crate::wire::{LEN, Reader};

/// Views the bytes of one message, such as a [`Field::value`] or a `raw`.
///
/// # Errors
/// It is not that message. The error's offset counts from the message's start, and names no path.
#[inline]
pub fn view<'a, M: Message<'a>>(message: &'a [u8]) -> Result<M, Error> {
    M::parse(Reader::locating(message))
}

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its number.
    pub number: u32,
    /// All of it, tag and length included.
    pub raw: &'a [u8],
    /// What a message, a text or bytes hold; none for numbers and groups.
    pub value: Option<&'a [u8]>,
}

/// The fields of a message in order; ends after the first error.
#[derive(Clone, Copy)]
pub struct Fields<'a>(Reader<'a>);

impl<'a> Fields<'a> {
    /// The fields of the message that has these bytes.
    #[inline]
    pub fn new(message: &'a [u8]) -> Self {
        Self(Reader::locating(message))
    }

    #[inline]
    fn read(&mut self) -> Result<Option<Field<'a>>, Error> {
        let rest = self.0.rest();
        let Some(field) = self.0.field()? else { return Ok(None) };
        let value = if field.wire == LEN {
            if field.number == 0 {
                return Err(self.0.fail(ErrorKind::BadTag, field.at));
            }
            Some(self.0.bytes()?)
        } else {
            self.0.skip(field)?;
            None
        };
        let raw = rest.get(..self.0.pos() - field.at).unwrap_or_default();
        Ok(Some(Field { number: field.number, raw, value }))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            self.0.finish();
        }
        read.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LogRecord, Writer};

    #[test]
    fn fields_copied_one_by_one_are_the_message_again_with_those_that_nobody_knows() {
        let mut w = Writer::new();
        w.fixed64(1, 5);
        w.varint(99, 300);
        w.bytes(3, b"INFO");
        w.bytes(1000, b"unknown");
        w.fixed32(8, 1);
        let message = w.into_bytes();
        let copied: Vec<u8> = Fields::new(&message).flat_map(|field| field.unwrap().raw.to_vec()).collect();
        assert_eq!(copied, message);
        let text = Fields::new(&message).find_map(|field| field.unwrap().value);
        assert_eq!(text, Some(&b"INFO"[..]));
        let record: LogRecord<'_> = view(&message).unwrap();
        assert_eq!((record.time_unix_nano, record.severity_text), (5, "INFO"));
    }

    #[test]
    fn a_field_that_is_cut_off_is_an_error_and_the_end() {
        let mut fields = Fields::new(b"\x08\x01\x1a\x09abc");
        assert_eq!(fields.next().unwrap().unwrap().raw, b"\x08\x01");
        assert_eq!(fields.next().unwrap().unwrap_err().kind(), ErrorKind::Truncated);
        assert!(fields.next().is_none());
        assert_eq!(Fields::new(b"\x02\x00").next().unwrap().unwrap_err().kind(), ErrorKind::BadTag);
    }
}
