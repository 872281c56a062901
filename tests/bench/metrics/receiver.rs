//! A remote-write receiver that answers at once: it looks at the samples' times and nothing else.

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

type Told = Arc<dyn Fn(&[i64]) + Send + Sync>;

/// A receiver of 2.0, with the Written headers, and 1.0, until it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Receiver {
    /// Starts one that tells `told` of each request when its samples were taken, in milliseconds since 1970.
    pub fn start(told: impl Fn(&[i64]) + Send + Sync + 'static) -> Self {
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
    let times = times(&request, if second { 5 } else { 1 });
    told(&times);
    if second {
        (StatusCode::NO_CONTENT, [(headers::SAMPLES_WRITTEN, times.len().to_string())]).into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// When the samples were taken of the time series that are under that number.
fn times(request: &[u8], number: u64) -> Vec<i64> {
    let mut times = Vec::new();
    // Samples have the same number in both versions, as their times do; in these loads nothing else is one.
    each(request, number, |series| each(series, 2, |sample| times.push(time(sample))));
    times
}

/// Takes the fields that have a length and this number.
fn each<'r>(mut message: &'r [u8], number: u64, mut take: impl FnMut(&'r [u8])) {
    while !message.is_empty() {
        let key = varint(&mut message);
        assert_eq!(key & 7, 2, "every field of a request and of a time series has a length");
        let bytes = usize::try_from(varint(&mut message)).unwrap();
        let (field, rest) = message.split_at(bytes);
        message = rest;
        if key >> 3 == number {
            take(field);
        }
    }
}

fn time(mut sample: &[u8]) -> i64 {
    let mut time = 0;
    while !sample.is_empty() {
        match varint(&mut sample) {
            // The value, a double.
            9 => sample = &sample[8..],
            16 => time = varint(&mut sample).cast_signed(),
            _ => drop(varint(&mut sample)),
        }
    }
    time
}

fn varint(bytes: &mut &[u8]) -> u64 {
    prost::encoding::decode_varint(bytes).unwrap()
}
