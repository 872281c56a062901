//! Samples to the bytes of a request.

use bytes::Bytes;
use weir_contract::Item;
use weir_remote_write::{Compressor, Series, bytes_max, v1, v2};

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

    /// Has what a series takes come from memory.
    #[inline]
    fn fetch(self, series: &Series) {
        match self {
            Self::V1 => v1::fetch(series),
            Self::V2 => v2::fetch(series),
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
    compressor: Compressor,
}

impl Encoder {
    /// Takes as many items from the front as fit `max_bytes` before compression, at least one; returns how many, and
    /// them as a request, oldest first.
    pub(crate) fn fill(
        &mut self,
        version: Version,
        place: usize,
        items: &[Item<Sample>],
        max_bytes: usize,
    ) -> (usize, Bytes) {
        self.clear();
        let mut taken = 0;
        for (number, Item { value: sample, .. }) in items.iter().enumerate() {
            if number.is_multiple_of(TOGETHER) {
                let soon = items.get(number..).unwrap_or_default().iter().take(TOGETHER);
                soon.filter_map(|item| item.value.series().form(place)).for_each(|series| version.fetch(series));
            }
            // What has no form for this endpoint was not emitted to it.
            if let Some(series) = sample.series().form(place) {
                let bytes = bytes_max(series, sample.points(), sample.exemplars());
                if taken > 0 && self.len_bytes(version) + bytes > max_bytes {
                    break;
                }
                self.push(version, series, sample);
            }
            taken += 1;
        }
        (taken, self.compress(version))
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

    fn len_bytes(&self, version: Version) -> usize {
        match version {
            Version::V1 => self.v1.len_bytes(),
            Version::V2 => self.v2.len_bytes(),
        }
    }

    fn clear(&mut self) {
        self.v1.clear();
        self.v2.clear();
    }

    fn compress(&mut self, version: Version) -> Bytes {
        let request = match version {
            Version::V1 => self.v1.finish_by_time(),
            Version::V2 => self.v2.finish_by_time(),
        };
        let mut body = Vec::new();
        if let Err(error) = self.compressor.compress(request, &mut body) {
            // Over 4 GiB; a request has at most 32 MiB, or one sample of at most 2 MiB of text.
            tracing::error!(%error, "a request could not be compressed");
        }
        body.into()
    }
}
