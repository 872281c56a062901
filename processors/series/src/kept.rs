//! Series as they are shared by the cache and by samples under way.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// How many series are counted together: so many that the counter is at hand for nearly all of their samples, so few
/// that a page which is kept for the last of them is little.
const PAGE: u32 = 64;

/// A series, shared by whoever has samples of it.
///
/// Those that were met one after the other share a page, and a counter: samples come and go by the million, and a
/// counter of each series' own would have to come from memory for each of them, first to the core that makes the
/// sample and then to the one that delivers it.
pub struct Kept<S> {
    page: Arc<Page<S>>,
    place: u32,
    mark: u32,
}

/// Series that were met one after the other.
struct Page<S>(Box<[OnceLock<Arc<S>>]>);

impl<S> Page<S> {
    fn new(places: u32) -> Arc<Self> {
        Arc::new(Self((0..places).map(|_| OnceLock::new()).collect()))
    }
}

impl<S> Kept<S> {
    /// What it takes to keep a series, beside the series and one of these, in bytes.
    pub(crate) const BYTES: usize = size_of::<OnceLock<Arc<S>>>() + 2 * size_of::<usize>();

    /// A series with a counter of its own.
    pub fn alone(series: S, mark: u32) -> Self {
        Pages::new(1).keep(series, mark)
    }

    /// What [`crate::Make::mark`] says of the series, which need not come from memory for it.
    #[inline]
    pub fn mark(&self) -> u32 {
        self.mark
    }

    fn shared(&self) -> &Arc<S> {
        #[expect(clippy::expect_used, reason = "its place is filled before it is made, once and for all")]
        self.page.0.get(self.place as usize).and_then(OnceLock::get).expect("a series in its place")
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
        Self { page: Arc::clone(&self.page), place: self.place, mark: self.mark }
    }
}

impl<S: fmt::Debug> fmt::Debug for Kept<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Where series are kept, in the order in which they are met.
pub(crate) struct Pages<S> {
    places: u32,
    /// The page that is being filled, and how much of it is.
    page: Arc<Page<S>>,
    filled: u32,
}

impl<S> Default for Pages<S> {
    fn default() -> Self {
        Self::new(PAGE)
    }
}

impl<S> Pages<S> {
    fn new(places: u32) -> Self {
        Self { places, page: Page::new(places), filled: 0 }
    }

    pub(crate) fn keep(&mut self, series: S, mark: u32) -> Kept<S> {
        self.put(Arc::new(series), mark)
    }

    /// The same series, counted together with those that are kept now: its old page is free to go.
    pub(crate) fn keep_on(&mut self, kept: &Kept<S>) -> Kept<S> {
        self.put(Arc::clone(kept.shared()), kept.mark)
    }

    /// What is kept from now on is counted apart from what was kept before.
    pub(crate) fn turn(&mut self) {
        *self = Self::new(self.places);
    }

    fn put(&mut self, series: Arc<S>, mark: u32) -> Kept<S> {
        if self.filled == self.places {
            self.turn();
        }
        let place = self.filled;
        self.filled += 1;
        if let Some(empty) = self.page.0.get(place as usize) {
            empty.get_or_init(|| series);
        }
        Kept { page: Arc::clone(&self.page), place, mark }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_lives_as_long_as_any_of_its_page_is_kept_and_no_longer_than_it_is_kept_on() {
        let mut pages = Pages::default();
        let series: Vec<_> = (0..PAGE + 1).map(|number| pages.keep(Arc::new(number), number)).collect();
        assert!((0..).zip(&series).all(|(number, series)| ***series == number && series.mark() == number));
        let counted = Arc::clone(&series[0]);
        let last = series[PAGE as usize].clone();
        let on = pages.keep_on(&series[1]);
        assert!(std::ptr::eq(&*on, &*series[1]), "it is the same one");
        assert_eq!((Arc::strong_count(&counted), on.mark()), (2, 1));
        drop(series);
        assert_eq!((**on, **last), (1, PAGE));
        assert_eq!(Arc::strong_count(&counted), 1, "its page went with the last that was kept of it");
    }

    #[test]
    fn after_a_turn_nothing_is_counted_with_what_was_kept_before() {
        let mut pages = Pages::default();
        let before = pages.keep(Arc::new(1), 0);
        let counted = Arc::clone(&before);
        pages.turn();
        let after = pages.keep(Arc::new(2), 0);
        drop(before);
        assert_eq!((Arc::strong_count(&counted), **after), (1, 2));
    }
}
