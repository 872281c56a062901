//! Samples to requests, requests to the receiver.
//!
//! A request has one time series a sample, oldest first, and otherwise in the order of the items:
//! Prometheus takes several time series of the same labels in one request, and within one request
//! drops a sample that is older than one before it without a word. In 2.0 each time series carries
//! its metadata; in 1.0 each request carries that of its families once.

mod answer;
mod request;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, Url};
use weir_contract::{Item, Sink};
use weir_remote_write::headers;

use crate::config::{Config, Protocol};
use crate::deliver::answer::{Answer, Verdict};
use crate::deliver::request::Encoder;
pub(crate) use crate::deliver::request::Version;
use crate::error::{DeliverError, StartError};
use crate::instruments::{Instruments, Outcome};
use crate::process::Sample;

/// What of an answer's body is read. Prometheus tells a line for each sample that it refused; of
/// a longer answer is known only that some were.
const BODY_BYTES_MAX: usize = 8 << 20;

/// What of an answer's body is logged, at debug level.
const BODY_BYTES_LOGGED: usize = 500;

/// The longest pause that a receiver can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(10);

/// The receiver, as all shards of a worker know it.
#[derive(Clone, Debug)]
pub struct Remote {
    client: Client,
    url: Url,
    /// The URL without what might be a secret.
    shown: Arc<str>,
    /// The version spoken: what one shard finds out, all know.
    version: Arc<AtomicU8>,
    falls_back: bool,
    max_samples: usize,
    max_bytes: usize,
    instruments: Instruments,
}

impl Remote {
    /// The receiver of a configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// The HTTP client cannot be set up, or the URL is not one.
    pub fn new(config: &Config, instruments: Instruments) -> Result<Self, StartError> {
        let url = Url::parse(config.url.get_ref()).map_err(|_| StartError::Url)?;
        let client = Client::builder()
            .timeout(config.timeout.get_ref().get())
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(StartError::Client)?;
        let version = if config.protocol == Protocol::V1 { Version::V1 } else { Version::V2 };
        instruments.speaks(version);
        Ok(Self {
            client,
            shown: shown(&url).into(),
            url,
            version: Arc::new(AtomicU8::new(version as u8)),
            falls_back: config.protocol == Protocol::Auto,
            max_samples: usize::try_from(*config.max_samples.get_ref()).unwrap_or(usize::MAX),
            max_bytes: config.max_bytes.get_ref().get_usize(),
            instruments,
        })
    }

    fn version(&self) -> Version {
        if self.version.load(Ordering::Relaxed) == Version::V1 as u8 { Version::V1 } else { Version::V2 }
    }

    /// The receiver does not know 2.0, as long as this process lives.
    fn fall_back(&self) {
        if self.version.swap(Version::V1 as u8, Ordering::Relaxed) != Version::V1 as u8 {
            tracing::info!(url = %self.shown, "the receiver does not know remote write 2.0, falling back to 1.0");
        }
        self.instruments.speaks(Version::V1);
        self.instruments.request(Outcome::FellBack);
    }

    async fn post(&self, version: Version, body: Bytes) -> reqwest::Result<Response> {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, version.content_type())
            .header(CONTENT_ENCODING, headers::CONTENT_ENCODING)
            .header(headers::VERSION, version.header())
            .body(body);
        request.send().await
    }

    fn unreachable(&self, source: reqwest::Error) -> DeliverError {
        self.instruments.request(Outcome::Unreachable);
        DeliverError::Unreachable { url: self.shown.clone(), source: source.without_url() }
    }
}

/// Where the receiver is, without credentials and query.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// One shard's way to the receiver.
#[derive(Debug)]
pub struct RemoteWriteSink {
    remote: Remote,
    encoder: Encoder,
    /// What was packed last, oldest first; kept to be encoded again if the receiver knows 1.0 only.
    samples: Vec<Sample>,
    packed: Option<(Version, Bytes)>,
}

impl RemoteWriteSink {
    /// A sink of one shard.
    pub fn new(remote: &Remote) -> Self {
        Self { remote: remote.clone(), encoder: Encoder::default(), samples: Vec::new(), packed: None }
    }

    /// The request in the version that is spoken now.
    fn body(&mut self) -> (Version, Bytes) {
        let version = self.remote.version();
        match &self.packed {
            Some((packed, body)) if *packed == version => (version, body.clone()),
            _ => {
                let body = self.encoder.encode(version, &self.samples);
                self.packed = Some((version, body.clone()));
                (version, body)
            }
        }
    }

    async fn judge(&self, version: Version, response: Response) -> Result<(), DeliverError> {
        let status = response.status();
        let retry_after = retry_after(&response);
        let written = |name| header(&response, name).and_then(|written| written.parse().ok());
        let histograms: usize = written(headers::HISTOGRAMS_WRITTEN).unwrap_or_default();
        let written = written(headers::SAMPLES_WRITTEN).map(|samples: usize| samples.saturating_add(histograms));
        let (body, whole_body) = read(response).await.map_err(|source| self.remote.unreachable(source))?;
        let samples = self.samples.len();
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

    fn pack(&mut self, items: &[Item<Sample>]) -> usize {
        let version = self.remote.version();
        let items = items.get(..self.remote.max_samples).unwrap_or(items);
        self.samples.clear();
        let body = self.encoder.fill(version, items, self.remote.max_bytes, &mut self.samples);
        self.packed = Some((version, body));
        self.samples.len()
    }

    async fn deliver(&mut self) -> Result<(), DeliverError> {
        loop {
            let (version, body) = self.body();
            let response = self.remote.post(version, body).await.map_err(|source| self.remote.unreachable(source))?;
            let unknown = response.status().as_u16() == 415
                || (response.status().is_success() && header(&response, headers::SAMPLES_WRITTEN).is_none());
            if version == Version::V2 && self.remote.falls_back && unknown {
                self.remote.fall_back();
                continue;
            }
            return self.judge(version, response).await;
        }
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
