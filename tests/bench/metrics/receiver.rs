//! A remote-write receiver that answers at once: it counts, and looks at nothing else.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use weir_remote_write::{decompress, headers, v2};

/// The largest request that is taken, in bytes, before and after decompression.
const REQUEST_BYTES_MAX: usize = 64 << 20;

type Told = Arc<dyn Fn(usize) + Send + Sync>;

/// A receiver of 2.0, with the Written headers, and 1.0, until it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Receiver {
    /// Starts one that tells `told` of each request's samples.
    pub fn start(told: impl Fn(usize) + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let told: Told = Arc::new(told);
        let app = Router::new()
            .route("/api/v1/write", post(write))
            .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
            .with_state(told);
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, _runtime: runtime }
    }

    /// Where it is written to.
    pub fn url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }
}

async fn write(State(told): State<Told>, asked: HeaderMap, body: Bytes) -> Response {
    let second = asked.get(header::CONTENT_TYPE).is_some_and(|kind| kind == v2::CONTENT_TYPE);
    let request = decompress(&body, REQUEST_BYTES_MAX).unwrap();
    let samples = time_series(&request, if second { 5 } else { 1 });
    told(samples);
    if second {
        (StatusCode::NO_CONTENT, [(headers::SAMPLES_WRITTEN, samples.to_string())]).into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// How often that field is in the request: weir writes a time series for each sample.
fn time_series(mut request: &[u8], wanted: u64) -> usize {
    let mut count = 0;
    while !request.is_empty() {
        let key = varint(&mut request);
        assert_eq!(key & 7, 2, "every field of a request has a length");
        let bytes = usize::try_from(varint(&mut request)).unwrap();
        request = &request[bytes..];
        count += usize::from(key >> 3 == wanted);
    }
    count
}

fn varint(bytes: &mut &[u8]) -> u64 {
    prost::encoding::decode_varint(bytes).unwrap()
}
