//! The time series of a request in order of time.
//!
//! Within one request Prometheus drops a sample that is older than one before it without a word, so
//! that what is pushed in any order leaves in order of time. Moving what is encoded is cheap; meeting the
//! series in another order than they lie in memory is not.

use std::ops::Range;

use crate::Points;

/// Parts of a request, each with the time of its first point.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) bytes: Vec<u8>,
    /// Time and end of each.
    ends: Vec<(i64, usize)>,
    is_late: bool,
    /// The parts in order, while they are put in order.
    sorted: Vec<(i64, Range<usize>)>,
}

impl Parts {
    /// What was appended since the last part is one.
    #[inline]
    pub(crate) fn end(&mut self, points: Points<'_>) {
        let time = points.first_ms();
        self.is_late |= self.ends.last().is_some_and(|(before, _)| *before > time);
        self.ends.push((time, self.bytes.len()));
    }

    /// Appends all parts to `buf`, the oldest first, and those of one time as they were pushed.
    pub(crate) fn append_by_time(&mut self, buf: &mut Vec<u8>) {
        if !self.is_late {
            return buf.extend_from_slice(&self.bytes);
        }
        let mut start = 0;
        self.sorted.clear();
        self.sorted.extend(self.ends.iter().map(|&(time, end)| (time, std::mem::replace(&mut start, end)..end)));
        self.sorted.sort_by_key(|(time, _)| *time);
        for (_, part) in &self.sorted {
            buf.extend_from_slice(self.bytes.get(part.clone()).unwrap_or_default());
        }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.is_late = false;
    }
}
