//! Samples to the bytes of a request.

use bytes::Bytes;
use weir_contract::Item;
use weir_remote_write::{Series, bytes_max, v1, v2};

use crate::process::Sample;

/// The version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Version {
    /// 1.0.
    V1 = 1,
    /// 2.0.
    V2 = 2,
}

impl Version {
    /// The `Content-Type` of its requests.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::V1 => v1::CONTENT_TYPE,
            Self::V2 => v2::CONTENT_TYPE,
        }
    }

    /// What its requests call it.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::V1 => v1::VERSION,
            Self::V2 => v2::VERSION,
        }
    }
}

/// How many series are fetched together: about as many as a core has on their way from memory at once.
const TOGETHER: usize = 16;

/// Builds one request after the other in the same buffers.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    v1: v1::Builder,
    v2: v2::Builder,
    /// The items in order of time: when each was taken, and its place.
    order: Vec<(i64, usize)>,
    /// What an item took in the last request.
    item_bytes: usize,
}

impl Encoder {
    /// Takes about as many items from the front as fit `max_bytes` before compression, at least one; returns how many,
    /// and them as a request, oldest first.
    pub(crate) fn fill(
        &mut self,
        version: Version,
        place: usize,
        items: &[Item<Sample>],
        max_bytes: usize,
    ) -> (usize, Bytes) {
        let likely = max_bytes.saturating_sub(max_bytes / 8) / self.item_bytes.max(1);
        let mut items = items.get(..likely.max(1)).unwrap_or(items);
        // In order of time, what fits need not be the first items: fewer are tried then.
        while let Err(fit) = self.encode(version, place, items, max_bytes) {
            items = items.get(..fit.min(items.len() * 3 / 4).max(1)).unwrap_or(items);
        }
        self.item_bytes = self.len_bytes(version) / items.len().max(1);
        (items.len(), self.finish(version))
    }

    /// Encodes all items.
    ///
    /// # Errors
    /// More than one, and they do not fit `max_bytes`; how many did.
    fn encode(
        &mut self,
        version: Version,
        place: usize,
        items: &[Item<Sample>],
        max_bytes: usize,
    ) -> Result<(), usize> {
        self.v1.clear();
        self.v2.clear();
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(items.iter().enumerate().map(|(number, item)| (item.value.timestamp_ms(), number)));
        // Stable: samples of one time stay as they came.
        order.sort_by_key(|(time, _)| *time);
        // What has no form for this endpoint was not emitted to it.
        let sample = |(_, number): &(i64, usize)| items.get(*number).map(|item| &item.value);
        let mut encoded = 0;
        let mut encode = |together: &[(i64, usize)]| {
            let samples = || together.iter().filter_map(sample);
            samples().filter_map(|sample| sample.series().form(place)).for_each(Series::fetch);
            for sample in samples() {
                if let Some(series) = sample.series().form(place) {
                    let bytes = bytes_max(series, sample.points(), sample.exemplars());
                    if items.len() > 1 && self.len_bytes(version) + bytes > max_bytes {
                        return Err(encoded);
                    }
                    self.push(version, series, sample);
                }
                encoded += 1;
            }
            Ok(())
        };
        let done = order.chunks(TOGETHER).try_for_each(&mut encode);
        self.order = order;
        done
    }

    fn push(&mut self, version: Version, series: &Series, sample: &Sample) {
        let (points, exemplars) = (sample.points(), sample.exemplars());
        match version {
            Version::V1 => {
                self.v1.push(series, points, exemplars);
                self.v1.push_metadata(series.family());
            }
            Version::V2 => self.v2.push(series, points, exemplars),
        }
    }

    #[inline]
    fn len_bytes(&self, version: Version) -> usize {
        match version {
            Version::V1 => self.v1.len_bytes(),
            Version::V2 => self.v2.len_bytes(),
        }
    }

    fn finish(&mut self, version: Version) -> Bytes {
        let body = match version {
            Version::V1 => self.v1.finish(),
            Version::V2 => self.v2.finish(),
        };
        body.unwrap_or_else(|error| {
            // Over 4 GiB; a request has at most 32 MiB, or one sample of at most 2 MiB of text.
            tracing::error!(%error, "a request could not be compressed");
            Vec::new()
        })
        .into()
    }
}
