//! Small numbers for the labels of all live series, and for their strings.
//!
//! A series keeps its labels as [`Symbol`]s, 8 bytes each, and a builder finds what the present request knows of one
//! by indexing a table with its slot (`marks.rs`): nothing is hashed, and what many series have in common is kept
//! once. The lock is taken when a series is made or dropped, and when a label is met for the first time in a request.
//!
//! Entries are counted by their holders; the slot of one that nobody holds any more is given to the next new one, so
//! memory (and each builder's table) is bounded by what is alive at one time. The serial number tells the users of a
//! slot apart: a builder that has met an earlier one, or one of other `Symbols`, does not take the later one for it.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use crate::SeriesError;

/// What a string costs beside its bytes: slot, table entry, and the rounding of both.
const TEXT_BYTES: usize = 64;
/// What a label costs beside its strings.
const LABEL_BYTES: usize = 48;

/// Numbers entries over the whole process, so that no two users of a slot share one.
/// Wraps after 2^32 new entries; a mistake would need all of them within one request.
static NEXT_SERIAL: AtomicU32 = AtomicU32::new(1);

/// A string or label of a live series: a place in a table, and which of its users it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Symbol {
    pub(crate) slot: u32,
    pub(crate) serial: u32,
}

impl Symbol {
    /// The empty string, the same in all `Symbols`.
    pub(crate) const EMPTY: Self = Self { slot: 0, serial: 0 };
}

/// A string with its symbol.
pub(crate) type Text<'a> = (Symbol, &'a str);

/// The labels and strings of all live series of one worker, shared by its lanes.
///
/// Several `Symbols` may feed one builder; a request then repeats the strings
/// they have in common.
#[derive(Debug)]
pub struct Symbols {
    bytes_max: usize,
    tables: Mutex<Tables>,
}

impl Symbols {
    /// Takes strings and labels until they, and what it takes to keep them, exceed `bytes_max`.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, tables: Mutex::new(Tables::new(bytes_max)) })
    }

    /// Bytes of what is held now, and of what it takes to keep it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The symbols of texts in their order, each held until it is released as often as it was held.
    ///
    /// # Errors
    /// There is no room; then none is held.
    pub(crate) fn hold<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Result<Vec<Symbol>, SeriesError> {
        self.hold_all(texts, Tables::hold_text, Tables::release_text)
    }

    /// Lets go of texts that were held.
    pub(crate) fn release(&self, held: impl Iterator<Item = Symbol>) {
        let mut tables = self.lock();
        held.for_each(|text| tables.release_text(text));
    }

    /// The symbols of labels, as [`Symbols::hold`] has it.
    ///
    /// # Errors
    /// There is no room; then none is held.
    pub(crate) fn hold_labels(&self, labels: &[(&str, &str)]) -> Result<Vec<Symbol>, SeriesError> {
        self.hold_all(labels.iter().copied(), Tables::hold_label, Tables::release_label)
    }

    /// Lets go of labels that were held.
    pub(crate) fn release_labels(&self, held: &[Symbol]) {
        let mut tables = self.lock();
        held.iter().for_each(|label| tables.release_label(*label));
    }

    /// Tells the name and value of a label that is held.
    pub(crate) fn tell<R>(&self, label: Symbol, tell: impl FnOnce([Text<'_>; 2]) -> R) -> Option<R> {
        let tables = self.lock();
        let label = tables.labels.get(label)?;
        let [name, value] = label.map(|text| (text, tables.texts.get(text).map_or("", |text| &**text)));
        Some(tell([name, value]))
    }

    fn hold_all<T>(
        &self,
        all: impl Iterator<Item = T>,
        hold: impl Fn(&mut Tables, T) -> Option<Symbol>,
        release: impl Fn(&mut Tables, Symbol),
    ) -> Result<Vec<Symbol>, SeriesError> {
        let mut tables = self.lock();
        let mut held = Vec::with_capacity(all.size_hint().0);
        for one in all {
            let Some(symbol) = hold(&mut tables, one) else {
                held.into_iter().for_each(|symbol| release(&mut tables, symbol));
                return Err(SeriesError::SymbolsFull { bytes_max: self.bytes_max });
            };
            held.push(symbol);
        }
        Ok(held)
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        // A panic elsewhere leaves at worst a string that is never let go.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Tables {
    /// The first slot is the empty string's and never given away.
    texts: Table<Box<str>>,
    /// Names and values.
    labels: Table<[Symbol; 2]>,
    hasher: foldhash::fast::RandomState,
    bytes: usize,
    bytes_max: usize,
}

impl Tables {
    fn new(bytes_max: usize) -> Self {
        let mut texts = Table::default();
        texts.slots.push(Slot::default());
        let hasher = foldhash::fast::RandomState::default();
        Self { texts, labels: Table::default(), hasher, bytes: 0, bytes_max }
    }

    /// None if there is no room.
    fn hold_text(&mut self, text: &str) -> Option<Symbol> {
        if text.is_empty() {
            return Some(Symbol::EMPTY);
        }
        let hash = self.hasher.hash_one(text);
        if let Some(symbol) = self.texts.hold(hash, |known| **known == *text) {
            return Some(symbol);
        }
        self.charge(text.len() + TEXT_BYTES)?;
        self.texts.add(hash, text.into(), &self.hasher)
    }

    fn release_text(&mut self, text: Symbol) {
        if text == Symbol::EMPTY {
            return;
        }
        if let Some(text) = self.texts.release(text, &self.hasher) {
            self.bytes -= text.len() + TEXT_BYTES;
        }
    }

    /// None if there is no room.
    fn hold_label(&mut self, (name, value): (&str, &str)) -> Option<Symbol> {
        let name = self.hold_text(name)?;
        let Some(value) = self.hold_text(value) else {
            self.release_text(name);
            return None;
        };
        let label = [name, value];
        let hash = self.hasher.hash_one(label);
        if let Some(symbol) = self.labels.hold(hash, |known| *known == label) {
            // The label holds its texts, once.
            label.into_iter().for_each(|text| self.release_text(text));
            return Some(symbol);
        }
        let added = self.charge(LABEL_BYTES).and_then(|()| self.labels.add(hash, label, &self.hasher));
        if added.is_none() {
            label.into_iter().for_each(|text| self.release_text(text));
        }
        added
    }

    fn release_label(&mut self, label: Symbol) {
        if let Some(label) = self.labels.release(label, &self.hasher) {
            self.bytes -= LABEL_BYTES;
            label.into_iter().for_each(|text| self.release_text(text));
        }
    }

    /// None if there is no room.
    fn charge(&mut self, bytes: usize) -> Option<()> {
        let bytes = self.bytes + bytes;
        (bytes <= self.bytes_max).then(|| self.bytes = bytes)
    }
}

/// Entries that are counted by their holders.
#[derive(Debug)]
struct Table<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    index: HashTable<u32>,
}

#[derive(Debug, Default)]
struct Slot<T> {
    entry: T,
    holders: u32,
    serial: u32,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), index: HashTable::new() }
    }
}

impl<T: Default + Hash> Table<T> {
    /// Holds an entry that is there.
    fn hold(&mut self, hash: u64, same: impl Fn(&T) -> bool) -> Option<Symbol> {
        let slots = &mut self.slots;
        let found = |&slot: &u32| slots.get(slot as usize).is_some_and(|slot| same(&slot.entry));
        let slot = *self.index.find(hash, found)?;
        let known = slots.get_mut(slot as usize)?;
        known.holders = known.holders.checked_add(1)?;
        Some(Symbol { slot, serial: known.serial })
    }

    /// Adds an entry and holds it.
    fn add(&mut self, hash: u64, entry: T, hasher: &foldhash::fast::RandomState) -> Option<Symbol> {
        let serial = NEXT_SERIAL.fetch_add(1, Ordering::Relaxed);
        let entry = Slot { entry, holders: 1, serial };
        let slot = if let Some(slot) = self.free.pop() {
            *self.slots.get_mut(slot as usize)? = entry;
            slot
        } else {
            let slot = u32::try_from(self.slots.len()).ok()?;
            self.slots.push(entry);
            slot
        };
        let slots = &self.slots;
        let hash_of = |&slot: &u32| slots.get(slot as usize).map_or(0, |slot| hasher.hash_one(&slot.entry));
        self.index.insert_unique(hash, slot, hash_of);
        Some(Symbol { slot, serial })
    }

    /// Lets go of an entry; gives it back once nobody holds it any more.
    fn release(&mut self, symbol: Symbol, hasher: &foldhash::fast::RandomState) -> Option<T> {
        let held = self.slots.get_mut(symbol.slot as usize).filter(|slot| slot.serial == symbol.serial)?;
        held.holders -= 1;
        if held.holders > 0 {
            return None;
        }
        // Its symbol means nothing from now on.
        held.serial = 0;
        let entry = std::mem::take(&mut held.entry);
        let known = self.index.find_entry(hasher.hash_one(&entry), |&slot| slot == symbol.slot);
        if let Ok(known) = known {
            known.remove();
        }
        self.free.push(symbol.slot);
        Some(entry)
    }

    fn get(&self, symbol: Symbol) -> Option<&T> {
        let slot = self.slots.get(symbol.slot as usize)?;
        (slot.serial == symbol.serial).then_some(&slot.entry)
    }
}

#[cfg(test)]
mod tests;
