//! The symbols of the request being built, in order of first use.

use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::HashTable;

use crate::stamps::Stamps;
use crate::symbols::Symbol;
use crate::wire::{bytes_key, put_bytes};

/// Field number of `Request.symbols`.
const FIELD: u8 = 4;

#[derive(Debug)]
pub(super) struct SymbolTable {
    /// All symbols, as fields of the request.
    encoded: Vec<u8>,
    stamps: Stamps,
    /// Strings without a `Symbol`, those of exemplars: each may come once
    /// more as a label's, which costs its bytes and nothing else.
    texts: HashTable<(Range<usize>, u32)>,
    hasher: foldhash::fast::RandomState,
}

impl SymbolTable {
    pub(super) fn new() -> Self {
        let mut table = Self {
            encoded: Vec::new(),
            stamps: Stamps::default(),
            texts: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
        };
        table.begin();
        table
    }

    /// The number of `symbol`, whose text with its length in front is `text`.
    #[inline]
    pub(super) fn number<'a>(&mut self, symbol: Symbol, text: impl FnOnce() -> &'a [u8]) -> u32 {
        if let Some(number) = self.stamps.get(symbol) {
            return number;
        }
        self.encoded.push(bytes_key(FIELD));
        self.encoded.extend_from_slice(text());
        self.stamps.add(symbol)
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
        put_bytes(encoded, FIELD, text.as_bytes());
        let at = encoded.len() - text.len()..encoded.len();
        let number = self.stamps.skip();
        self.texts.insert_unique(hash, (at, number), |(at, _)| {
            self.hasher.hash_one(encoded.get(at.clone()).unwrap_or_default())
        });
        number
    }

    pub(super) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    pub(super) fn clear(&mut self) {
        self.encoded.clear();
        self.stamps.clear();
        self.texts.clear();
        self.begin();
    }

    /// The first symbol is the empty string.
    fn begin(&mut self) {
        put_bytes(&mut self.encoded, FIELD, b"");
        self.stamps.add(Symbol::EMPTY);
    }
}
