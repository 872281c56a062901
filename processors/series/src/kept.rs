//! Series as they are shared by the cache and by samples under way.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// How many series are counted together: so many that the counter is at hand for nearly all of their samples, so few
/// that a page which is kept for the last of them is little.
const PAGE: usize = 64;

/// A series, shared by whoever has samples of it.
///
/// Those that were met one after the other share a page, and a counter: samples come and go by the million, and a
/// counter of each series' own would have to come from memory for each of them, first to the core that makes the
/// sample and then to the one that delivers it.
pub struct Kept<S> {
    page: Arc<Page<S>>,
    place: usize,
}

/// Series that were met one after the other.
struct Page<S>(Box<[OnceLock<Arc<S>>]>);

impl<S> Page<S> {
    fn new(places: usize) -> Arc<Self> {
        Arc::new(Self((0..places).map(|_| OnceLock::new()).collect()))
    }
}

impl<S> Kept<S> {
    /// What it takes to keep a series, beside the series itself, in bytes.
    pub(crate) const BYTES: usize = size_of::<OnceLock<Arc<S>>>() + 2 * size_of::<usize>() + size_of::<Self>();

    /// A series with a counter of its own.
    pub fn alone(series: S) -> Self {
        Pages::new(1).keep(series)
    }

    fn shared(&self) -> &Arc<S> {
        #[expect(clippy::expect_used, reason = "its place is filled before it is made, once and for all")]
        self.page.0.get(self.place).and_then(OnceLock::get).expect("a series in its place")
    }
}

impl<S> Deref for Kept<S> {
    type Target = S;

    #[inline]
    fn deref(&self) -> &S {
        self.shared()
    }
}

impl<S> Clone for Kept<S> {
    #[inline]
    fn clone(&self) -> Self {
        Self { page: Arc::clone(&self.page), place: self.place }
    }
}

impl<S: fmt::Debug> fmt::Debug for Kept<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Where series are kept, in the order in which they are met.
pub(crate) struct Pages<S> {
    places: usize,
    /// The page that is being filled, and how much of it is.
    page: Arc<Page<S>>,
    filled: usize,
}

impl<S> Default for Pages<S> {
    fn default() -> Self {
        Self::new(PAGE)
    }
}

impl<S> Pages<S> {
    fn new(places: usize) -> Self {
        Self { places, page: Page::new(places), filled: 0 }
    }

    pub(crate) fn keep(&mut self, series: S) -> Kept<S> {
        self.put(Arc::new(series))
    }

    /// The same series, counted together with those that are kept now: its old page is free to go.
    pub(crate) fn keep_on(&mut self, kept: &Kept<S>) -> Kept<S> {
        self.put(Arc::clone(kept.shared()))
    }

    /// What is kept from now on is counted apart from what was kept before.
    pub(crate) fn turn(&mut self) {
        *self = Self::new(self.places);
    }

    fn put(&mut self, series: Arc<S>) -> Kept<S> {
        if self.filled == self.places {
            self.turn();
        }
        let place = self.filled;
        self.filled += 1;
        if let Some(empty) = self.page.0.get(place) {
            empty.get_or_init(|| series);
        }
        Kept { page: Arc::clone(&self.page), place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_lives_as_long_as_any_of_its_page_is_kept_and_no_longer_than_it_is_kept_on() {
        let mut pages = Pages::default();
        let series: Vec<_> = (0..PAGE + 1).map(|number| pages.keep(Arc::new(number))).collect();
        assert!(series.iter().enumerate().all(|(number, series)| ***series == number));
        let counted = Arc::clone(&series[0]);
        let last = series[PAGE].clone();
        let on = pages.keep_on(&series[1]);
        assert!(std::ptr::eq(&*on, &*series[1]), "it is the same one");
        assert_eq!(Arc::strong_count(&counted), 2);
        drop(series);
        assert_eq!((**on, **last), (1, PAGE));
        assert_eq!(Arc::strong_count(&counted), 1, "its page went with the last that was kept of it");
    }

    #[test]
    fn after_a_turn_nothing_is_counted_with_what_was_kept_before() {
        let mut pages = Pages::default();
        let before = pages.keep(Arc::new(1));
        let counted = Arc::clone(&before);
        pages.turn();
        let after = pages.keep(Arc::new(2));
        drop(before);
        assert_eq!((Arc::strong_count(&counted), **after), (1, 2));
    }
}
