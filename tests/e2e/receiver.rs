//! A remote-write receiver that misbehaves as it is told to, and has every sample judged.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use weir_remote_write::{TimeSeries, decompress, headers, v2};

/// What a request decodes to at most, in bytes.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// 429, to be tried again after so many seconds.
    Busy(u64),
    /// 401.
    Unauthorized,
    /// As Prometheus does: 204, or 400 with a line for each sample that is refused.
    Judges,
}

/// What is to become of a series of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is written.
    Taken,
    /// It is refused, for its labels.
    Refused,
}

/// Looks at each series of each request.
pub(crate) type Judge = Box<dyn FnMut(&TimeSeries) -> Judgement + Send>;

/// A receiver of remote write 2.0.
pub(crate) struct Receiver {
    shared: Arc<Shared>,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    answers: Answers,
    judge: Mutex<Judge>,
    requests: Mutex<usize>,
}

/// Where a receiver on that port is found.
pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/api/v1/write")
}

impl Receiver {
    /// Listens on that port of 127.0.0.1.
    pub fn start(port: u16, answers: Answers, judge: Judge) -> Self {
        let shared = Arc::new(Shared { answers, judge: Mutex::new(judge), requests: Mutex::new(0) });
        let (stop, stopped) = oneshot::channel();
        let listener = std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
        listener.set_nonblocking(true).unwrap();
        let app = Router::new()
            .route("/api/v1/write", post(write))
            .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
            .with_state(Arc::clone(&shared));
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            tokio::select! {
                served = axum::serve(listener, app) => served.unwrap(),
                _ = stopped => {}
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let thread = std::thread::spawn(move || runtime.block_on(serve));
        Self { shared, url: url(port), stop: Some(stop), thread: Some(thread) }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many requests came since this was asked last.
    pub fn requests(&self) -> usize {
        std::mem::take(&mut self.shared.requests.lock())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the receiver died");
        }
    }
}

async fn write(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    *shared.requests.lock() += 1;
    match shared.answers {
        Answers::Busy(seconds) => {
            (StatusCode::TOO_MANY_REQUESTS, [("Retry-After", seconds.to_string())]).into_response()
        }
        Answers::Unauthorized => StatusCode::UNAUTHORIZED.into_response(),
        Answers::Judges => judged(&mut shared.judge.lock(), &body),
    }
}

fn judged(judge: &mut Judge, body: &[u8]) -> Response {
    let request = v2::decode(&decompress(body, REQUEST_BYTES_MAX).unwrap()).unwrap();
    let (mut written, mut refused) = (0, String::new());
    for series in &request.series {
        match judge(series) {
            Judgement::Taken => written += series.samples.len(),
            Judgement::Refused => {
                series.samples.iter().for_each(|_| refused.push_str("invalid metric name or labels, got {...}\n"));
            }
        }
    }
    let status = if refused.is_empty() { StatusCode::NO_CONTENT } else { StatusCode::BAD_REQUEST };
    let counts =
        [(headers::SAMPLES_WRITTEN, written), (headers::HISTOGRAMS_WRITTEN, 0), (headers::EXEMPLARS_WRITTEN, 0)];
    (status, counts.map(|(name, count)| (name, count.to_string())), refused).into_response()
}
