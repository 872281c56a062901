//! The outside of the counting worker: takes every decided record, and remembers what was decided.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use parking_lot::Mutex;
use tokio::runtime::Runtime;

/// What was decided of each kept record, by partition and offset; every verdict there was.
pub(crate) type Decided = BTreeMap<(i32, i64), Vec<bool>>;

/// Takes what is posted, until it is dropped.
pub(crate) struct Outside {
    decided: Arc<Mutex<Decided>>,
    url: String,
    _runtime: Runtime,
}

impl Outside {
    /// Listens on a port of its own.
    pub fn start() -> Self {
        Self::slow(Duration::ZERO)
    }

    /// As [`Outside::start`]; it takes its time for every answer.
    pub fn slow(pause: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let decided: Arc<Mutex<Decided>> = Arc::default();
        let app = Router::new().route("/", post(take)).with_state((Arc::clone(&decided), pause));
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { decided, url, _runtime: runtime }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it was told so far.
    pub fn decided(&self) -> Decided {
        self.decided.lock().clone()
    }
}

async fn take(State((decided, pause)): State<(Arc<Mutex<Decided>>, Duration)>, body: String) -> StatusCode {
    tokio::time::sleep(pause).await;
    let mut decided = decided.lock();
    for line in body.lines() {
        let [partition, offset, verdict] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let record = (partition.parse().unwrap(), offset.parse().unwrap());
        decided.entry(record).or_default().push(verdict.parse().unwrap());
    }
    StatusCode::NO_CONTENT
}
