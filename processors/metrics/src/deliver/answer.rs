//! What a receiver's answer says about the samples of a request.

use crate::deliver::request::Version;
use crate::error::Refusal;

/// An answer with what it is about.
pub(crate) struct Answer<'a> {
    pub(crate) version: Version,
    pub(crate) status: u16,
    /// How many samples were written, where the receiver says so.
    pub(crate) written: Option<usize>,
    /// How many samples the request had.
    pub(crate) samples: usize,
    pub(crate) body: &'a [u8],
    /// Whether that is all of the body.
    pub(crate) whole_body: bool,
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every sample was taken.
    Accepted,
    /// Every sample was taken but so many, which may be passed.
    Passed(Vec<(Refusal, usize)>),
    /// Something was not taken that should be.
    Refused {
        /// What the answer means: the first reason that is no reason to pass, where it tells several.
        why: Refusal,
        /// Whether each sample was refused, all for this reason.
        whole: bool,
    },
}

impl Answer<'_> {
    pub(crate) fn verdict(&self) -> Verdict {
        match self.status {
            200..=299 => Verdict::Accepted,
            400 | 409 | 422 => self.bad_request(),
            status => Verdict::Refused { why: Refusal::of_status(status), whole: false },
        }
    }

    /// A receiver of 2.0 keeps what it can and tells a line for each sample that it refused; one of
    /// 1.0 refuses the request for one sample, and tells about that.
    fn bad_request(&self) -> Verdict {
        let lines: Vec<_> = self.body.split(|byte| *byte == b'\n').filter_map(reason).collect();
        let why = lines.iter().copied().find(|why| !why.is_passed());
        let why = why.or(lines.first().copied()).unwrap_or(Refusal::InvalidData);
        // Only then is each sample accounted for.
        let told = match (self.version, self.written) {
            _ if !self.whole_body => false,
            (Version::V2, Some(written)) => written + lines.len() == self.samples,
            (Version::V1, _) | (Version::V2, None) => self.samples == 1 && lines.len() == 1,
        };
        if !told {
            return Verdict::Refused { why, whole: false };
        }
        if lines.iter().all(|why| why.is_passed()) {
            let passed = [Refusal::OutOfOrder, Refusal::Duplicate].map(|why| (why, count(&lines, why)));
            return Verdict::Passed(passed.into_iter().filter(|(_, samples)| *samples > 0).collect());
        }
        Verdict::Refused { why, whole: count(&lines, why) == self.samples }
    }
}

fn count(lines: &[Refusal], why: Refusal) -> usize {
    lines.iter().filter(|line| **line == why).count()
}

/// What a line of an answer means; none if it is empty.
///
/// Prometheus tells the reason before the labels, Mimir an identifier that begins with `err-mimir`.
/// Labels are payload, which may hold any text, and so are not looked at.
fn reason(line: &[u8]) -> Option<Refusal> {
    let before_labels = line.split(|byte| *byte == b'{').next().unwrap_or_default();
    let text = String::from_utf8_lossy(before_labels);
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let known = [
        ("out of order sample", Refusal::OutOfOrder),
        ("err-mimir-sample-out-of-order", Refusal::OutOfOrder),
        ("duplicate sample for timestamp", Refusal::Duplicate),
        ("err-mimir-sample-duplicate-timestamp", Refusal::Duplicate),
        ("too old sample", Refusal::TooOld),
        ("err-mimir-sample-timestamp-too-old", Refusal::TooOld),
        ("out of bounds", Refusal::OutOfBounds),
        ("err-mimir-too-far-in-future", Refusal::OutOfBounds),
        ("invalid metric name or labels", Refusal::InvalidLabels),
        ("invalid labels for series", Refusal::InvalidLabels),
        ("parsing labels for series", Refusal::InvalidLabels),
        ("err-mimir-label", Refusal::InvalidLabels),
        ("err-mimir-max-label", Refusal::InvalidLabels),
    ];
    let found = known.into_iter().find(|(words, _)| text.contains(words));
    Some(found.map_or(Refusal::InvalidData, |(_, why)| why))
}

#[cfg(test)]
mod tests;
