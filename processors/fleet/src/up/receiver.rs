//! The Prometheus that is built into `weir up`: takes remote write 1.0 and 2.0, and judges every sample against what
//! the generator made.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use weir_generate::{Made, Verdict};
use weir_remote_write::{Request, decompress, headers, v1, v2};

/// The largest body that is taken, in bytes, before and after decompression; far above `max_bytes`.
const BODY_BYTES_MAX: usize = 64 << 20;

const FIRST: &str = "first";
const IDENTICAL: &str = "identical";
const DIFFERENT: &str = "different";
const UNKNOWN: &str = "unknown";
const NOT_COUNTED: &str = "not_counted";

/// What is said of a sample that arrived.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Judged {
    verdict: &'static str,
}

/// What arrived, judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// Items that came for the first time.
    pub first: u64,
    /// Samples that came with another value than was made, two values for one; lines that came again.
    pub doubled: u64,
    /// Items that nobody made.
    pub unknown: u64,
}

/// What was made and what arrived, shared by the generator and the receiver.
#[derive(Clone)]
pub struct Judge {
    made: Arc<Mutex<Made>>,
    /// The values of `job` of what lines are counted to.
    counting: Arc<BTreeSet<String>>,
    arrived: Family<Judged, Counter>,
    lines: Family<Judged, Counter>,
}

impl Judge {
    /// Judges against what will be added; what those groups count of lines is not judged.
    pub fn new(made: Made, counting: BTreeSet<String>) -> Self {
        let (made, counting) = (Arc::new(Mutex::new(made)), Arc::new(counting));
        Self { made, counting, arrived: Family::default(), lines: Family::default() }
    }

    /// Shows what arrived beside the counters of the workers.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("up_samples", "Samples that arrived, by what is said of them", self.arrived.clone());
        registry.register("up_lines", "Lines that arrived, by what is said of them", self.lines.clone());
    }

    /// Something to do with what was made.
    pub fn made<T>(&self, with: impl FnOnce(&mut Made) -> T) -> T {
        with(&mut self.made.lock())
    }

    /// Samples that arrived so far.
    pub fn arrivals(&self) -> Arrivals {
        let count = |verdict| self.arrived.get_or_create(&Judged { verdict }).get();
        Arrivals { first: count(FIRST), doubled: count(DIFFERENT), unknown: count(UNKNOWN) }
    }

    /// Lines that arrived so far.
    pub fn line_arrivals(&self) -> Arrivals {
        let count = |verdict| self.lines.get_or_create(&Judged { verdict }).get();
        Arrivals { first: count(FIRST), doubled: count(IDENTICAL), unknown: count(UNKNOWN) }
    }

    /// Judges a line by its `log.record.uid`.
    pub fn line(&self, uid: &str) {
        let verdict = match self.made.lock().check_line(uid) {
            Verdict::First => FIRST,
            Verdict::Identical => IDENTICAL,
            _ => UNKNOWN,
        };
        self.lines.get_or_create(&Judged { verdict }).inc();
    }

    /// Judges a sample.
    pub fn sample<'a>(
        &self,
        labels: impl IntoIterator<Item = (&'a str, &'a str)> + Clone,
        timestamp_ms: i64,
        value: f64,
    ) {
        let counted = labels.clone().into_iter().any(|(name, value)| name == "job" && self.counting.contains(value));
        let verdict = match self.made.lock().check_sample(labels, timestamp_ms, value) {
            _ if counted => NOT_COUNTED,
            Verdict::First => FIRST,
            Verdict::Identical => IDENTICAL,
            Verdict::Different { .. } => DIFFERENT,
            Verdict::Unknown => UNKNOWN,
            Verdict::NotCounted => NOT_COUNTED,
        };
        self.arrived.get_or_create(&Judged { verdict }).inc();
    }
}

/// Serves remote write on a free port until the process ends; the URL to write to.
///
/// # Errors
/// There is no free port.
pub async fn serve(judge: Judge) -> anyhow::Result<String> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .context("could not listen on 127.0.0.1 for the built-in Prometheus")?;
    let address = listener.local_addr().context("the built-in Prometheus has no address")?;
    let app = Router::new()
        .route("/api/v1/write", post(write))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(judge);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(error = %error, "built-in Prometheus ended");
        }
    });
    Ok(format!("http://{address}/api/v1/write"))
}

async fn write(State(judge): State<Judge>, asked: HeaderMap, body: Bytes) -> Response {
    let content_type = asked.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let second = content_type == v2::CONTENT_TYPE;
    if !second && content_type != v1::CONTENT_TYPE {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "neither remote write 1.0 nor 2.0\n").into_response();
    }
    match decode(second, &body) {
        Ok(request) => take(&judge, &request, second),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{}\n", crate::chain(error.as_ref()))).into_response(),
    }
}

fn decode(second: bool, body: &[u8]) -> anyhow::Result<Request> {
    let body = decompress(body, BODY_BYTES_MAX)?;
    Ok(if second { v2::decode(&body)? } else { v1::decode(&body)? })
}

fn take(judge: &Judge, request: &Request, second: bool) -> Response {
    let mut written = 0_u64;
    for series in &request.series {
        for sample in &series.samples {
            let labels = series.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            judge.sample(labels, sample.timestamp_ms, sample.value);
            written += 1;
        }
    }
    if second {
        (StatusCode::NO_CONTENT, [(headers::SAMPLES_WRITTEN, written.to_string())]).into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    }
}
