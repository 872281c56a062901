//! Which lines leave, where not all do.
//!
//! Pure, and the same for a line that is read again: sampling is by a hash of the line's origin, and what a second has
//! had is part of the partition's state. Lines of class audit and security always leave, as they are.

use std::collections::HashMap;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use weir_contract::StateError;
use weir_mask::Class;
use weir_otlp::{Error, Field, Fields};

use super::enrich::severity::Level;
use super::measure::state::{read_numbers, write_numbers};
use crate::config::{KEPT, Limit, Volume};
use crate::instruments::Drop;

/// The key of what seconds have had, in the state.
pub const KEY: &[u8] = b"v";

/// The fields of a line that say when, in which lines that are the same may differ: its times.
const TIMES: [u32; 2] = [1, 11];

/// How far times of several producers may go back, in seconds; where they go back further, a clock was ahead.
const BACK_MAX: u64 = 60;

/// How many lines of each limit have left in the second at hand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seconds(Vec<Second>);

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Second {
    /// Since 1970.
    second: u64,
    lines: u64,
}

/// How a line stands to others of its record that are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It is the first; so many more follow.
    First(u32),
    /// One like it came before.
    Again,
}

/// What is known of a line.
#[derive(Debug, Clone, Copy)]
pub struct Known<'l> {
    pub class: Class,
    /// Its severity's number; 0 if unknown.
    pub severity: u8,
    pub origin: &'l str,
    /// The second that Kafka has for its record, since 1970, if it has one.
    pub second: Option<u64>,
    pub repeat: Repeat,
}

/// Why a line is dropped, if it is.
pub fn drops(volume: &Volume, line: Known<'_>, seconds: &mut Seconds) -> Option<Drop> {
    if KEPT.contains(&line.class) {
        return None;
    }
    if line.repeat == Repeat::Again {
        return Some(Drop::Repeated);
    }
    let (place, limit) = volume.limit.iter().enumerate().find(|(_, limit)| is_of(limit, &line))?;
    if limit.keep.as_ref().is_some_and(|keep| share(line.origin) >= *keep.get_ref()) {
        return Some(Drop::Sampled);
    }
    let (most, second) = limit.per_second.as_ref().zip(line.second)?;
    (!seconds.take(place, second, u64::from(*most.get_ref()))).then_some(Drop::OverRate)
}

fn is_of(limit: &Limit, line: &Known<'_>) -> bool {
    let level = Level::of(line.severity);
    limit.is_of(line.class)
        && limit.up_to.as_ref().is_none_or(|most| level.is_some_and(|level| level <= *most.get_ref()))
}

/// Where a line stands among all, from 0 to below 1: the same wherever and whenever it is read.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn share(origin: &str) -> f64 {
    let mut hasher = SipHasher13::new();
    hasher.write(origin.as_bytes());
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

impl Seconds {
    /// Whether one more line may leave.
    fn take(&mut self, place: usize, second: u64, most: u64) -> bool {
        if self.0.len() <= place {
            self.0.resize(place + 1, Second::default());
        }
        let Some(now) = self.0.get_mut(place) else { return true };
        // Times that go back a little count in the newest second.
        if second > now.second || now.second - second > BACK_MAX {
            *now = Second { second, lines: 0 };
        }
        let room = now.lines < most;
        now.lines += u64::from(room);
        room
    }

    /// As it is in the state.
    pub fn write(&self) -> Vec<u8> {
        write_numbers(self.0.iter().flat_map(|at| [at.second, at.lines]))
    }

    /// What is in the state.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(value: &[u8]) -> Result<Self, StateError> {
        let numbers = read_numbers(value)?;
        let (pairs, _) = numbers.as_chunks();
        Ok(Self(pairs.iter().map(|[second, lines]| Second { second: *second, lines: *lines }).collect()))
    }
}

/// How each line of a scope's message stands to the others, in order.
///
/// # Errors
/// The message is malformed.
pub fn repeats(message: &[u8]) -> Result<Vec<Repeat>, Error> {
    let mut all = Vec::new();
    let mut first: HashMap<Vec<u8>, usize> = HashMap::new();
    for field in Fields::new(message) {
        let Field { number: 2, value: Some(record), .. } = field? else { continue };
        let mut said = Vec::with_capacity(record.len());
        for field in Fields::new(record) {
            let field = field?;
            if !TIMES.contains(&field.number) {
                said.extend_from_slice(field.raw);
            }
        }
        let place = *first.entry(said).or_insert(all.len());
        let again = place < all.len();
        if let Some(Repeat::First(more)) = all.get_mut(place) {
            *more += 1;
        }
        all.push(if again { Repeat::Again } else { Repeat::First(0) });
    }
    Ok(all)
}
