//! The symbols of the request being built, in order of first use.

use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::HashTable;

use crate::marks::Marks;
use crate::symbols::Symbol;
use crate::wire::put_bytes;

/// Field number of `Request.symbols`.
const FIELD: u8 = 4;

#[derive(Debug)]
pub(super) struct SymbolTable {
    /// All symbols, as fields of the request.
    encoded: Vec<u8>,
    numbers: Marks<u32>,
    /// How many symbols there are; the first is the empty string.
    count: u32,
    /// Strings without a `Symbol`, those of exemplars: each may come once
    /// more as a label's, which costs its bytes and nothing else.
    texts: HashTable<(Range<usize>, u32)>,
    hasher: foldhash::fast::RandomState,
}

impl Default for SymbolTable {
    fn default() -> Self {
        let mut table = Self {
            encoded: Vec::new(),
            numbers: Marks::default(),
            count: 0,
            texts: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
        };
        table.clear();
        table
    }
}

impl SymbolTable {
    /// The number of a string that has a symbol.
    #[inline]
    pub(super) fn number(&mut self, symbol: Symbol, text: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(symbol) {
            return *number;
        }
        let number = self.add(text);
        self.numbers.put(symbol, number);
        number
    }

    /// The number of a string that has no symbol.
    pub(super) fn number_of_text(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let encoded = &mut self.encoded;
        let hash = self.hasher.hash_one(text.as_bytes());
        let same = |(at, _): &(Range<usize>, u32)| encoded.get(at.clone()) == Some(text.as_bytes());
        if let Some(&(_, number)) = self.texts.find(hash, same) {
            return number;
        }
        let number = self.add(text.as_bytes());
        let at = self.encoded.len() - text.len()..self.encoded.len();
        self.texts.insert_unique(hash, (at, number), |(at, _)| {
            self.hasher.hash_one(self.encoded.get(at.clone()).unwrap_or_default())
        });
        number
    }

    pub(super) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// Begins with the empty string, which has to be the first.
    pub(super) fn clear(&mut self) {
        self.encoded.clear();
        self.numbers.clear();
        self.texts.clear();
        self.count = 0;
        let first = self.add(b"");
        self.numbers.put(Symbol::EMPTY, first);
    }

    fn add(&mut self, text: &[u8]) -> u32 {
        put_bytes(&mut self.encoded, FIELD, text);
        self.count += 1;
        self.count - 1
    }
}
