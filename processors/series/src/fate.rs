//! What becomes of attributes before anything is made of them: those that say too much are dropped or hashed.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use weir_otlp::{AnyValue, Attributes, Error};

use crate::options::Options;
use crate::text::label_value;
use crate::translate::push_part;

/// How many bytes of a hash stand for a value.
const HASH_BYTES: usize = 8;

/// What becomes of an attribute, wherever it stands: at a point, a resource or a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is left out, as if it had not been sent.
    Drop,
    /// The first 64 bits of its value's SHA-256 stand for its value, in hexadecimal digits.
    Hash,
}

impl Options {
    fn fate(&self, attribute: &str) -> Option<Fate> {
        self.fates.iter().find(|(name, _)| name == attribute).map(|(_, fate)| *fate)
    }

    pub(crate) fn drops(&self, attribute: &str) -> bool {
        self.fate(attribute) == Some(Fate::Drop)
    }

    /// An attribute's value as a label has it; none if the attribute is dropped.
    ///
    /// # Errors
    /// What is within a list or map may not be OTLP.
    pub(crate) fn label_value(&self, attribute: &str, value: AnyValue<'_>) -> Result<Option<String>, Error> {
        Ok(match self.fate(attribute) {
            None => Some(label_value(value)?),
            Some(Fate::Drop) => None,
            Some(Fate::Hash) => Some(hashed(label_value(value)?)),
        })
    }

    /// What attributes are known by: their bytes; where some are dropped, those of the others, so that what is not told
    /// apart is one series in the cache, too.
    pub(crate) fn key<'a>(&self, attributes: Attributes<'a>) -> Result<Cow<'a, [u8]>, Error> {
        if self.fates.is_empty() {
            return Ok(attributes.raw());
        }
        let mut key = Vec::new();
        for attribute in attributes {
            let (name, value) = attribute?;
            if !self.drops(name) {
                push_part(&mut key, name.as_bytes());
                push_part(&mut key, label_value(value)?.as_bytes());
            }
        }
        Ok(Cow::Owned(key))
    }
}

/// An empty value stays one: it is no label.
fn hashed(value: String) -> String {
    if value.is_empty() {
        return value;
    }
    let hash = Sha256::digest(value);
    hash.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect()
}
