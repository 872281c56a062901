//! Which symbols the present request knows, and under which number.

use crate::symbols::Symbol;

/// A table indexed by a symbol's slot; emptied without touching it.
///
/// Numbers run on over the requests of a builder, so a stamp older than
/// `first` is one of an earlier request. It takes 8 bytes for each slot.
#[derive(Debug)]
pub(crate) struct Stamps {
    stamps: Vec<Stamp>,
    first: u32,
    next: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Stamp {
    serial: u32,
    number: u32,
}

impl Default for Stamps {
    fn default() -> Self {
        // A default stamp has number 0, which no request owns.
        Self { stamps: Vec::new(), first: 1, next: 1 }
    }
}

impl Stamps {
    /// The number of `symbol` in this request, if it has one.
    #[inline]
    pub(crate) fn get(&self, symbol: Symbol) -> Option<u32> {
        let stamp = self.stamps.get(symbol.slot as usize)?;
        let known = stamp.serial == symbol.serial && stamp.number >= self.first;
        known.then(|| stamp.number - self.first)
    }

    /// Gives `symbol` the next number.
    pub(crate) fn add(&mut self, symbol: Symbol) -> u32 {
        let slot = symbol.slot as usize;
        if slot >= self.stamps.len() {
            self.stamps.resize(slot + 1, Stamp::default());
        }
        if let Some(stamp) = self.stamps.get_mut(slot) {
            *stamp = Stamp { serial: symbol.serial, number: self.next };
        }
        self.skip()
    }

    /// Gives the next number to something that is no symbol.
    pub(crate) fn skip(&mut self) -> u32 {
        let number = self.next;
        self.next += 1;
        number - self.first
    }

    /// Begins the next request.
    pub(crate) fn clear(&mut self) {
        self.first = self.next;
        // Leaves a request 2^31 numbers, more than fit into memory as symbols.
        if self.first > u32::MAX / 2 {
            self.stamps.fill(Stamp::default());
            (self.first, self.next) = (1, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Symbol = Symbol { slot: 3, serial: 7 };

    #[test]
    fn a_symbol_is_known_until_the_next_request() {
        let mut stamps = Stamps::default();
        assert_eq!(stamps.get(A), None);
        assert_eq!(stamps.skip(), 0);
        assert_eq!(stamps.add(A), 1);
        assert_eq!(stamps.get(A), Some(1));
        stamps.clear();
        assert_eq!(stamps.get(A), None);
        assert_eq!(stamps.add(A), 0);
    }

    #[test]
    fn another_user_of_the_slot_is_another_symbol() {
        let mut stamps = Stamps::default();
        stamps.add(A);
        let later = Symbol { serial: 8, ..A };
        assert_eq!(stamps.get(later), None);
        assert_eq!(stamps.add(later), 1);
    }

    #[test]
    fn numbers_begin_again_before_they_overflow() {
        let mut stamps = Stamps::default();
        stamps.add(A);
        stamps.next = u32::MAX / 2 + 1;
        stamps.clear();
        assert_eq!((stamps.first, stamps.next), (1, 1));
        assert_eq!(stamps.get(A), None);
        assert_eq!(stamps.add(A), 0);
        assert_eq!(stamps.get(A), Some(0));
    }
}
