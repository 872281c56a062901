//! Totals as they are in the changelog: protobuf, after a byte that says the format of values.
//!
//! A key must never change its form: it begins with a byte that says what it is of.

use weir_contract::StateError;
use weir_otlp::{AnyValue, Error, Field, Fields, Writer, view};

use super::Rule;
use super::series::{Labels, Series, Total};

/// The format of values, their first byte.
const VERSION: u8 = 1;
/// The first byte of a series' key.
const SERIES: u8 = b's';
/// The key of the time when totals were last told.
pub(super) const CLOCK: &[u8] = b"c";

/// The key of a series.
pub(super) fn key(rule: &str, labels: &Labels) -> Vec<u8> {
    let mut w = Writer::new();
    w.bytes(1, rule.as_bytes());
    for (name, value) in labels {
        w.text_attribute(2, name, value);
    }
    [&[SERIES], w.as_bytes()].concat()
}

pub(super) fn write(series: &Series) -> Vec<u8> {
    let mut w = Writer::new();
    w.raw(&[VERSION]);
    w.fixed64(1, series.since_ms.cast_unsigned());
    w.fixed64(2, series.touched_ms.cast_unsigned());
    match &series.total {
        Total::Count(lines) => w.fixed64(3, *lines),
        Total::Histogram { bounds, buckets, sum } => {
            w.double(4, *sum);
            w.bytes(5, &bounds.iter().flat_map(|bound| bound.to_le_bytes()).collect::<Vec<_>>());
            w.bytes(6, &buckets.iter().flat_map(|count| count.to_le_bytes()).collect::<Vec<_>>());
        }
    }
    // It may have had lines that were not told yet.
    w.varint(7, series.touched.into());
    w.into_bytes()
}

/// Numbers as they are in the state.
pub(in crate::process) fn write_numbers(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    std::iter::once(VERSION).chain(numbers.into_iter().flat_map(u64::to_le_bytes)).collect()
}

/// The numbers of such an entry.
///
/// # Errors
/// It is none.
pub(in crate::process) fn read_numbers(value: &[u8]) -> Result<Vec<u64>, StateError> {
    let malformed = StateError::Malformed { len: value.len(), why: "it is no list of numbers" };
    match value.split_first() {
        Some((&VERSION, rest)) => numbers(rest).ok_or(malformed),
        Some((&found, _)) => Err(StateError::Version { found: found.into(), known: VERSION.into() }),
        None => Err(malformed),
    }
}

/// The series of an entry; none where no rule makes one like it any more.
pub(super) fn series(key: &[u8], value: &[u8], rules: &[Rule]) -> Result<Option<Series>, StateError> {
    let malformed = |why| StateError::Malformed { len: value.len(), why };
    let Some((&SERIES, message)) = key.split_first() else { return Err(malformed("its key is of no series")) };
    let (name, labels) = named(message).map_err(|_| malformed("its key is of no series"))?;
    let entry = Entry::read(value)?;
    let Some(rule) = rules.iter().position(|rule| rule.name == name) else { return Ok(None) };
    let total = match entry.lines {
        Some(lines) => Total::Count(lines),
        None => Total::Histogram {
            bounds: entry.bounds.into_iter().map(f64::from_bits).collect(),
            buckets: entry.buckets,
            sum: f64::from_bits(entry.sum),
        },
    };
    let series = Series {
        rule,
        key: key.to_vec(),
        labels,
        total,
        since_ms: entry.first.cast_signed(),
        touched_ms: entry.touched.cast_signed(),
        touched: entry.untold,
        changed: false,
    };
    Ok(rules.get(rule).is_some_and(|rule| series.total.is_of(rule)).then_some(series))
}

/// The rule and the labels that a key names.
fn named(message: &[u8]) -> Result<(String, Labels), Error> {
    let (mut rule, mut labels) = (String::new(), Labels::new());
    for field in Fields::new(message) {
        match field? {
            Field { number: 1, value: Some(name), .. } => rule = String::from_utf8_lossy(name).into_owned(),
            Field { number: 2, value: Some(pair), .. } => {
                if let (name, AnyValue::String(text)) = view(pair)? {
                    labels.push((name.to_owned(), text.to_owned()));
                }
            }
            _ => {}
        }
    }
    Ok((rule, labels))
}

/// The fields of a value.
#[derive(Default)]
struct Entry {
    first: u64,
    touched: u64,
    lines: Option<u64>,
    sum: u64,
    bounds: Vec<u64>,
    buckets: Vec<u64>,
    untold: bool,
}

impl Entry {
    fn read(value: &[u8]) -> Result<Self, StateError> {
        let malformed = StateError::Malformed { len: value.len(), why: "it is no total of lines" };
        match value.split_first() {
            Some((&VERSION, message)) => Self::fields(message).ok_or(malformed),
            Some((&found, _)) => Err(StateError::Version { found: found.into(), known: VERSION.into() }),
            None => Err(malformed),
        }
    }

    fn fields(message: &[u8]) -> Option<Self> {
        let mut entry = Self::default();
        for field in Fields::new(message) {
            let field = field.ok()?;
            let number = || Some(u64::from_le_bytes(*field.raw.last_chunk()?));
            match field.number {
                1 => entry.first = number()?,
                2 => entry.touched = number()?,
                3 => entry.lines = Some(number()?),
                4 => entry.sum = number()?,
                5 => entry.bounds = numbers(field.value?)?,
                6 => entry.buckets = numbers(field.value?)?,
                7 => entry.untold = *field.raw.last()? != 0,
                _ => {}
            }
        }
        Some(entry)
    }
}

fn numbers(bytes: &[u8]) -> Option<Vec<u64>> {
    let (numbers, []) = bytes.as_chunks() else { return None };
    Some(numbers.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
}
