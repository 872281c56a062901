//! Small numbers for the strings of all live series.
//!
//! A request of 2.0 numbers its strings anew. To do that without hashing,
//! every string of a series gets a [`Symbol`] when the series is made, and a
//! builder finds the string's place in the present request by indexing a table
//! with the symbol's slot (`stamps.rs`). The lock is taken when a series is
//! made or dropped, never when its samples are pushed.
//!
//! Entries are counted by their holders; the slot of a string nobody holds any
//! more is given to the next new one, so memory (and each builder's table) is
//! bounded by the strings alive at one time. The serial number tells the users
//! of a slot apart: a builder that has met an earlier one, or one of other
//! `Symbols`, does not take the later one for it.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use crate::SeriesError;

/// What a string costs beside its bytes: slot, table entry, and the rounding of both.
const ENTRY_BYTES: usize = 64;

/// Numbers strings over the whole process, so that no two users of a slot share one.
/// Wraps after 2^32 new strings; a mistake would need all of them within one request.
static NEXT_SERIAL: AtomicU32 = AtomicU32::new(1);

/// A string of a live series: a place in a table, and which of its users it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) slot: u32,
    pub(crate) serial: u32,
}

impl Symbol {
    /// The empty string, the same in all `Symbols`.
    pub(crate) const EMPTY: Self = Self { slot: 0, serial: 0 };

    /// The symbol as it is kept among bytes.
    pub(crate) fn to_bytes(self) -> [u8; size_of::<Self>()] {
        (u64::from(self.serial) << 32 | u64::from(self.slot)).to_le_bytes()
    }

    /// The symbol that was kept among bytes.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the slot")]
    pub(crate) fn from_bytes(bytes: [u8; size_of::<Self>()]) -> Self {
        let both = u64::from_le_bytes(bytes);
        Self { slot: both as u32, serial: (both >> 32) as u32 }
    }
}

/// The strings of all live series of one worker, shared by its lanes.
///
/// Several `Symbols` may feed one builder; a request then repeats the strings
/// they have in common.
#[derive(Debug)]
pub struct Symbols {
    bytes_max: usize,
    table: Mutex<Table>,
}

impl Symbols {
    /// Takes strings until they, and 64 bytes for each, exceed `bytes_max`.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, table: Mutex::new(Table::new()) })
    }

    /// Bytes of the strings held now, and 64 for each.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The symbols of texts in their order, each held until it is released as often as it was held.
    ///
    /// # Errors
    /// There is no room; then none is held.
    pub(crate) fn hold<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Result<Vec<Symbol>, SeriesError> {
        let mut table = self.lock();
        let mut held = Vec::with_capacity(texts.size_hint().0);
        for text in texts {
            let Some(symbol) = table.hold(text, self.bytes_max) else {
                table.release(held.into_iter());
                return Err(SeriesError::SymbolsFull { bytes_max: self.bytes_max });
            };
            held.push(symbol);
        }
        Ok(held)
    }

    /// Lets go of symbols that were held.
    pub(crate) fn release(&self, held: impl Iterator<Item = Symbol>) {
        self.lock().release(held);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // A panic elsewhere leaves at worst a string that is never let go.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Table {
    /// The first slot is the empty string's and never given away.
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_text: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Slot {
    text: Box<str>,
    holders: usize,
    serial: u32,
}

impl Table {
    fn new() -> Self {
        Self {
            slots: vec![Slot::default()],
            free: Vec::new(),
            by_text: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            bytes: 0,
        }
    }

    /// None if the table is full.
    fn hold(&mut self, text: &str, bytes_max: usize) -> Option<Symbol> {
        if text.is_empty() {
            return Some(Symbol::EMPTY);
        }
        let hash = self.hasher.hash_one(text);
        let slots = &mut self.slots;
        let known = self.by_text.find(hash, |&slot| slots.get(slot as usize).is_some_and(|entry| *entry.text == *text));
        if let Some(&slot) = known {
            let entry = slots.get_mut(slot as usize)?;
            entry.holders += 1;
            return Some(Symbol { slot, serial: entry.serial });
        }
        self.add(hash, text, bytes_max)
    }

    fn add(&mut self, hash: u64, text: &str, bytes_max: usize) -> Option<Symbol> {
        let bytes = self.bytes + text.len() + ENTRY_BYTES;
        if bytes > bytes_max {
            return None;
        }
        let entry = Slot { text: text.into(), holders: 1, serial: NEXT_SERIAL.fetch_add(1, Ordering::Relaxed) };
        let serial = entry.serial;
        let slot = if let Some(slot) = self.free.pop() {
            *self.slots.get_mut(slot as usize)? = entry;
            slot
        } else {
            let slot = u32::try_from(self.slots.len()).ok()?;
            self.slots.push(entry);
            slot
        };
        self.bytes = bytes;
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.by_text.insert_unique(hash, slot, |&slot| {
            hasher.hash_one(slots.get(slot as usize).map_or("", |entry| &*entry.text))
        });
        Some(Symbol { slot, serial })
    }

    fn release(&mut self, held: impl Iterator<Item = Symbol>) {
        for symbol in held.filter(|symbol| *symbol != Symbol::EMPTY) {
            let Some(entry) = self.slots.get_mut(symbol.slot as usize) else { continue };
            entry.holders -= 1;
            if entry.holders > 0 {
                continue;
            }
            let text = std::mem::take(&mut entry.text);
            let hash = self.hasher.hash_one(&*text);
            if let Ok(known) = self.by_text.find_entry(hash, |&slot| slot == symbol.slot) {
                known.remove();
            }
            self.bytes -= text.len() + ENTRY_BYTES;
            self.free.push(symbol.slot);
        }
    }
}

#[cfg(test)]
mod tests;
