//! JSON: an object's members become attributes, nested ones stay nested.
//!
//! Specification: RFC 8259.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Clock;
use crate::process::value::{Parsed, Text, Value};

/// How many values a line may hold, nested ones too; what is over it is counted as dropped.
const VALUES_MAX: u32 = 4_096;

/// Reads a line that is one object and nothing else.
pub fn parse<'a>(line: &'a str, clock: Clock, out: &mut Parsed<'a>) -> bool {
    let mut json = serde_json::Deserializer::from_str(line);
    let mut budget = Budget { left: VALUES_MAX, dropped: 0 };
    let read = json.deserialize_map(Object { out, budget: &mut budget });
    if read.is_err() || json.end().is_err() {
        return false;
    }
    out.dropped = out.dropped.saturating_add(budget.dropped);
    super::lift(out, clock);
    true
}

struct Budget {
    left: u32,
    dropped: u32,
}

impl Budget {
    fn take(&mut self) -> bool {
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        self.dropped += u32::from(!some);
        some
    }
}

/// The line's object.
struct Object<'p, 'a> {
    out: &'p mut Parsed<'a>,
    budget: &'p mut Budget,
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key_seed(Key)? {
            if let Some(value) = object.next_value_seed(Nested(self.budget))? {
                self.out.put(key, value);
            }
        }
        Ok(())
    }
}

/// A member's name, borrowed unless it is escaped.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Text<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Text<'de>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Text<'de>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Text<'de>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// A value; none once there are too many. The reader itself ends at 128 levels.
struct Nested<'p>(&'p mut Budget);

impl<'de> DeserializeSeed<'de> for Nested<'_> {
    type Value = Option<Value<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        if self.0.take() {
            from.deserialize_any(self).map(Some)
        } else {
            from.deserialize_ignored_any(IgnoredAny).map(|_| None)
        }
    }
}

impl<'de> Visitor<'de> for Nested<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        // OTLP's integers are signed: what does not fit stays whole as text.
        Ok(i64::try_from(value).map_or_else(|_| Value::Text(Cow::Owned(value.to_string())), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Value::Double(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(text.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Nested(self.0))? {
            values.extend(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = object.next_key_seed(Key)? {
            members.extend(object.next_value_seed(Nested(self.0))?.map(|value| (key, value)));
        }
        Ok(Value::Map(members))
    }
}
