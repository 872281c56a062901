//! What the present request knows about symbols.

use crate::symbols::Symbol;

/// A table indexed by a symbol's slot; emptied without touching it.
#[derive(Debug)]
pub(crate) struct Marks<T> {
    marks: Vec<Mark<T>>,
    /// The present request, never 0.
    request: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark<T> {
    serial: u32,
    /// The request that it is of.
    request: u32,
    value: T,
}

impl<T> Default for Marks<T> {
    fn default() -> Self {
        Self { marks: Vec::new(), request: 1 }
    }
}

impl<T: Copy + Default> Marks<T> {
    /// What this request knows about `symbol`.
    #[inline]
    pub(crate) fn get(&self, symbol: Symbol) -> Option<&T> {
        let mark = self.marks.get(symbol.slot as usize)?;
        (mark.serial == symbol.serial && mark.request == self.request).then_some(&mark.value)
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, symbol: Symbol) -> Option<&mut T> {
        let mark = self.marks.get_mut(symbol.slot as usize)?;
        (mark.serial == symbol.serial && mark.request == self.request).then_some(&mut mark.value)
    }

    /// Notes something about `symbol`.
    pub(crate) fn put(&mut self, symbol: Symbol, value: T) {
        let slot = symbol.slot as usize;
        if slot >= self.marks.len() {
            self.marks.resize(slot + 1, Mark::default());
        }
        if let Some(mark) = self.marks.get_mut(slot) {
            *mark = Mark { serial: symbol.serial, request: self.request, value };
        }
    }

    /// Begins the next request.
    pub(crate) fn clear(&mut self) {
        self.request = self.request.checked_add(1).unwrap_or_else(|| {
            self.marks.fill(Mark::default());
            1
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Symbol = Symbol { slot: 3, serial: 7 };

    #[test]
    fn a_symbol_is_known_until_the_next_request() {
        let mut marks = Marks::default();
        assert_eq!(marks.get(A), None);
        marks.put(A, 5);
        *marks.get_mut(A).unwrap() += 1;
        assert_eq!(marks.get(A), Some(&6));
        marks.clear();
        assert_eq!(marks.get(A), None);
        assert_eq!(marks.get_mut(A), None);
        assert_eq!(marks.get(Symbol::EMPTY), None, "nobody has put it");
    }

    #[test]
    fn another_user_of_the_slot_is_another_symbol() {
        let mut marks = Marks::default();
        marks.put(A, 1);
        let later = Symbol { serial: 8, ..A };
        assert_eq!(marks.get(later), None);
        assert_eq!(marks.get_mut(later), None);
        marks.put(later, 2);
        assert_eq!((marks.get(A), marks.get(later)), (None, Some(&2)));
    }

    #[test]
    fn requests_are_numbered_anew_before_the_numbers_end() {
        let mut marks = Marks::default();
        marks.put(A, 1);
        marks.request = u32::MAX;
        marks.clear();
        assert_eq!((marks.request, marks.get(A)), (1, None));
    }
}
