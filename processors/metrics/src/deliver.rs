//! Samples to requests, requests to the receiver.
//!
//! A request has one time series a sample, oldest first, and otherwise in the order of the items:
//! Prometheus takes several time series of the same labels in one request, and within one request
//! drops a sample that is older than one before it without a word. In 2.0 each time series carries
//! its metadata; in 1.0 each request carries that of its families once.

mod answer;
mod remote;
mod request;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use weir_contract::{Item, Sink};
use weir_remote_write::headers;

use crate::deliver::answer::{Answer, Verdict};
pub use crate::deliver::remote::Remote;
use crate::deliver::request::Encoder;
pub(crate) use crate::deliver::request::Version;
use crate::error::DeliverError;
use crate::instruments::Outcome;
use crate::process::Sample;

/// What of an answer's body is read. Prometheus tells a line for each sample that it refused; of
/// a longer answer is known only that some were.
const BODY_BYTES_MAX: usize = 8 << 20;

/// What of an answer's body is logged, at debug level.
const BODY_BYTES_LOGGED: usize = 500;

/// The longest pause that a receiver can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(10);

/// One shard's way to the receiver.
#[derive(Debug)]
pub struct RemoteWriteSink {
    remote: Remote,
    encoder: Encoder,
    packed: Packed,
}

/// What was packed last.
#[derive(Debug)]
struct Packed {
    version: Version,
    body: Bytes,
    samples: usize,
    /// Whose they are.
    tenant: Option<HeaderValue>,
}

impl RemoteWriteSink {
    /// A sink of one shard.
    pub fn new(remote: &Remote) -> Self {
        let packed = Packed { version: remote.version(), body: Bytes::new(), samples: 0, tenant: None };
        Self { remote: remote.clone(), encoder: Encoder::default(), packed }
    }

    async fn judge(&self, response: Response) -> Result<(), DeliverError> {
        let status = response.status();
        let retry_after = retry_after(&response);
        let written = |name| header(&response, name).and_then(|written| written.parse().ok());
        let histograms: usize = written(headers::HISTOGRAMS_WRITTEN).unwrap_or_default();
        let written = written(headers::SAMPLES_WRITTEN).map(|samples: usize| samples.saturating_add(histograms));
        let (body, whole_body) = read(response).await.map_err(|source| self.remote.unreachable(source))?;
        let Packed { version, samples, .. } = self.packed;
        let status = status.as_u16();
        let answer = Answer { version, status, written, samples, body: &body, whole_body };
        let instruments = &self.remote.instruments;
        match answer.verdict() {
            Verdict::Accepted => {
                instruments.request(Outcome::Accepted);
                Ok(())
            }
            Verdict::Passed(passed) => {
                instruments.request(Outcome::Accepted);
                passed.into_iter().for_each(|(why, samples)| instruments.passed(why, samples));
                Ok(())
            }
            Verdict::Refused { why, whole } => {
                let body = String::from_utf8_lossy(body.get(..BODY_BYTES_LOGGED).unwrap_or(&body));
                tracing::debug!(status, why = why.as_str(), %body, "the receiver refused a request");
                instruments.request(Outcome::Refused(why));
                let url = self.remote.shown.clone();
                Err(DeliverError::Refused { url, status, samples, why, whole, retry_after })
            }
        }
    }
}

impl Sink for RemoteWriteSink {
    type Out = Sample;
    type Error = DeliverError;

    /// A request is of one tenant.
    fn divide(&self, items: Vec<Item<Sample>>) -> Vec<(u64, Vec<Item<Sample>>)> {
        if self.remote.tenant.is_none() {
            return vec![(0, items)];
        }
        let mut parts: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        for item in items {
            let tenant = item.value.series().tenant().map_or(0, |tenant| tenant.number);
            parts.entry(tenant).or_default().push(item);
        }
        parts.into_iter().collect()
    }

    fn pack(&mut self, items: &[Item<Sample>]) -> usize {
        let version = self.remote.version();
        let items = items.get(..self.remote.max_samples).unwrap_or(items);
        let tenant = items.first().and_then(|item| item.value.series().tenant()).map(|tenant| tenant.name.clone());
        let (samples, body) = self.encoder.fill(version, self.remote.place, items, self.remote.max_bytes);
        self.packed = Packed { version, body, samples, tenant };
        samples
    }

    async fn deliver(&mut self) -> Result<(), DeliverError> {
        let Packed { version, body, tenant, .. } = &self.packed;
        let outdated = || DeliverError::Outdated { url: self.remote.shown.clone() };
        if *version != self.remote.version() {
            return Err(outdated());
        }
        let response = self.remote.post(*version, tenant.as_ref(), body.clone()).await?;
        let unknown = response.status().as_u16() == 415
            || (response.status().is_success() && header(&response, headers::SAMPLES_WRITTEN).is_none());
        if *version == Version::V2 && self.remote.falls_back && unknown {
            self.remote.fall_back();
            return Err(outdated());
        }
        self.judge(response).await
    }
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// What a receiver asks for: seconds, or a date, which counts from the answer's own.
fn retry_after(response: &Response) -> Option<Duration> {
    let asked = header(response, RETRY_AFTER.as_str())?.trim();
    let asked = match asked.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = httpdate::parse_http_date(asked).ok()?;
            let now = httpdate::parse_http_date(header(response, "date")?).ok()?;
            until.duration_since(now).unwrap_or_default()
        }
    };
    Some(asked.min(RETRY_AFTER_MAX))
}

/// Reads a body up to its limit, and whether that is all of it.
async fn read(mut response: Response) -> reqwest::Result<(Vec<u8>, bool)> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = BODY_BYTES_MAX - body.len();
        let Some(rest) = chunk.get(room..) else {
            body.extend_from_slice(&chunk);
            continue;
        };
        body.extend_from_slice(chunk.get(..room).unwrap_or_default());
        return Ok((body, rest.is_empty() && response.chunk().await?.is_none()));
    }
    Ok((body, true))
}

#[cfg(test)]
mod tests;
