use std::sync::{Arc, Mutex};

use crate::config::{Config, Endpoint, Endpoints, Protocol};
use crate::error::StartError;
use crate::instruments::Instruments;
use crate::process::Routed;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use tokio::net::TcpListener;
use weir_config::{ByteSize, unset};
use weir_contract::{Failure, Next};
use weir_remote_write::{Family, MetricType, Request, Series, Symbols, decompress, v1, v2};

use super::*;

mod security;
mod trouble;

/// An answer: status, headers, body.
type Reply = (u16, Vec<(&'static str, &'static str)>, String);

/// What a receiver got: version, content type, and the request.
#[derive(Debug, Clone)]
struct Got {
    version: String,
    content_type: String,
    authorization: Option<String>,
    tenant: Option<String>,
    request: Request,
}

/// A receiver that gives its answers in order, and the last one again and again.
#[derive(Clone)]
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<Got>>>,
    replies: Arc<Mutex<Vec<Reply>>>,
}

impl Receiver {
    async fn answering(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
        let this = Self { url, got: Arc::default(), replies: Arc::new(Mutex::new(replies)) };
        let app = Router::new().fallback(receive).with_state(this.clone());
        // Ends with the test's own runtime.
        tokio::spawn(async move { axum::serve(listener, app).await });
        this
    }

    fn authorizations(&self) -> Vec<String> {
        self.got().into_iter().filter_map(|got| got.authorization).collect()
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(text("content-encoding"), "snappy");
    assert_eq!(text("user-agent"), concat!("weir/", env!("CARGO_PKG_VERSION")));
    let version = text("x-prometheus-remote-write-version");
    let plain = decompress(&body, 32 << 20).unwrap();
    let request = if version == "2.0.0" { v2::decode(&plain) } else { v1::decode(&plain) }.unwrap();
    let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let tenant = headers.get("x-scope-orgid").map(|value| value.to_str().unwrap().to_owned());
    receiver.got.lock().unwrap().push(Got {
        version,
        content_type: text("content-type"),
        authorization,
        tenant,
        request,
    });

    let mut replies = receiver.replies.lock().unwrap();
    let (status, headers, body) = if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() };
    let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    (StatusCode::from_u16(status).unwrap(), headers.into_iter().map(header).collect::<HeaderMap>(), body)
}

const WRITTEN: &str = "x-prometheus-remote-write-samples-written";

fn reply(status: u16) -> Reply {
    (status, Vec::new(), String::new())
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint { url: unset(url.to_owned()), ..Endpoint::default() }
}

/// An endpoint that is a worker's only one.
fn remote(endpoint: &Endpoint, instruments: &Instruments) -> Result<Remote, StartError> {
    let config = Config { remote_write: endpoint.clone().into(), ..Config::default() };
    Remote::new(&config, 0, instruments)
}

fn sink(endpoint: &Endpoint) -> RemoteWriteSink {
    RemoteWriteSink::new(&remote(endpoint, &Instruments::default()).unwrap())
}

/// Samples of series `a`, `b`, `c`..., each with its time in milliseconds.
fn items(times: &[(&str, i64)]) -> Vec<Item<Sample>> {
    let symbols = Symbols::new(usize::MAX);
    let family = Family::new(&symbols, MetricType::Gauge, "m", "help of m", "seconds").unwrap();
    let family = Arc::new(family);
    let item = |(offset, (id, timestamp_ms)): (i64, &(&str, i64))| {
        let series = Series::new(&[("__name__", "m"), ("id", id)], family.clone()).unwrap();
        Item {
            offset,
            value: Sample::Plain {
                series: weir_series::Kept::alone(Routed::with([Some(series)], None), 0),
                point: weir_series::Number { value: 1.5, timestamp_ms: *timestamp_ms, start_timestamp_ms: 7 },
            },
        }
    };
    (0..).zip(times).map(item).collect()
}

/// Delivers samples to a receiver with one answer; what follows.
async fn next(reply: Reply, samples: usize) -> Result<(), Next> {
    let receiver = Receiver::answering(vec![reply]).await;
    let mut sink = sink(&endpoint(&receiver.url));
    let items = items(&vec![("a", 1); samples]);
    assert_eq!(sink.pack(&items), samples);
    sink.deliver().await.map_err(|error| error.next())
}

fn told(request: &Request) -> Vec<(String, i64)> {
    let about = request.series.iter().map(|series| (series.labels[1].1.clone(), series.samples[0].timestamp_ms));
    about.collect()
}

#[tokio::test]
async fn a_request_of_2_0_is_accepted_with_samples_in_order_of_time() {
    let receiver = Receiver::answering(vec![(204, vec![(WRITTEN, "3")], String::new())]).await;
    let mut sink = sink(&endpoint(&receiver.url));
    assert_eq!(sink.pack(&items(&[("a", 2), ("b", 1), ("a", 1)])), 3);
    sink.deliver().await.unwrap();
    let got = receiver.got();
    assert_eq!((got.len(), got[0].version.as_str()), (1, "2.0.0"));
    assert_eq!(got[0].content_type, "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    let want = [("b", 1), ("a", 1), ("a", 2)].map(|(id, time)| (id.to_owned(), time));
    assert_eq!(told(&got[0].request), want);
    let series = &got[0].request.series[0];
    assert_eq!(series.samples[0].start_timestamp_ms, 7);
    assert_eq!((series.metadata.kind, series.metadata.help.as_str()), (MetricType::Gauge, "help of m"));
}

async fn falls_back(first: Reply) {
    let receiver = Receiver::answering(vec![first, reply(204)]).await;
    let remote = self::remote(&endpoint(&receiver.url), &Instruments::default()).unwrap();
    let [mut sink, mut other] = [RemoteWriteSink::new(&remote), RemoteWriteSink::new(&remote)];
    let known = items(&[("a", 1), ("b", 2)]);
    sink.pack(&known);
    assert_eq!(sink.deliver().await.unwrap_err().next(), Next::Repack);
    sink.pack(&known);
    sink.deliver().await.unwrap();
    other.pack(&items(&[("c", 3)]));
    other.deliver().await.unwrap();
    let got = receiver.got();
    let versions: Vec<_> = got.iter().map(|got| got.version.as_str()).collect();
    assert_eq!(versions, ["2.0.0", "0.1.0", "0.1.0"]);
    assert_eq!(told(&got[0].request), told(&got[1].request));
    assert_eq!(got[1].content_type, "application/x-protobuf");
    assert_eq!(got[1].request.families.len(), 1);
    assert_eq!(got[1].request.families[0].metadata.help, "help of m");
}

#[tokio::test]
async fn a_receiver_that_answers_415_gets_the_same_samples_as_1_0_from_all_shards() {
    falls_back(reply(415)).await;
}

/// Scenario: Prometheus before 3.0 takes a request of 2.0 for an empty one of 1.0, and says 204.
#[tokio::test]
async fn a_receiver_that_does_not_say_what_it_wrote_gets_the_same_samples_as_1_0() {
    falls_back(reply(204)).await;
    falls_back(reply(200)).await;
}

/// Scenario: one shard finds out that 2.0 is unknown while another has packed for it already.
#[tokio::test]
async fn what_is_packed_for_2_0_is_sent_as_1_0_once_that_is_known() {
    let receiver = Receiver::answering(vec![reply(204)]).await;
    let remote = self::remote(&endpoint(&receiver.url), &Instruments::default()).unwrap();
    let mut sink = RemoteWriteSink::new(&remote);
    let items = items(&[("a", 1)]);
    sink.pack(&items);
    remote.fall_back();
    assert_eq!(sink.deliver().await.unwrap_err().next(), Next::Repack);
    assert!(receiver.got().is_empty(), "it is not even tried");
    sink.pack(&items);
    sink.deliver().await.unwrap();
    assert_eq!(receiver.got()[0].version, "0.1.0");
}

#[tokio::test]
async fn a_configured_version_is_kept() {
    let receiver = Receiver::answering(vec![reply(415)]).await;
    let mut sink = sink(&Endpoint { protocol: Protocol::V2, ..endpoint(&receiver.url) });
    sink.pack(&items(&[("a", 1)]));
    assert_eq!(sink.deliver().await.unwrap_err().next(), Next::Blocked);
    assert_eq!(receiver.got().len(), 1);

    let receiver = Receiver::answering(vec![reply(204)]).await;
    let mut sink = self::sink(&Endpoint { protocol: Protocol::V1, ..endpoint(&receiver.url) });
    sink.pack(&items(&[("a", 1)]));
    sink.deliver().await.unwrap();
    assert_eq!(receiver.got()[0].version, "0.1.0");
}

#[tokio::test]
async fn a_receiver_that_fails_is_tried_again() {
    for status in [500, 502, 503, 408] {
        assert_eq!(next(reply(status), 2).await, Err(Next::Retry { after: None }), "{status}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_busy_is_left_alone_as_long_as_it_asks() {
    let after = |headers| async { next((429, headers, String::new()), 2).await.unwrap_err() };
    let retry = |seconds| Next::Retry { after: Some(Duration::from_secs(seconds)) };
    assert_eq!(after(vec![]).await, Next::Retry { after: None });
    assert_eq!(after(vec![("retry-after", "7")]).await, retry(7));
    assert_eq!(after(vec![("retry-after", "99999999")]).await, retry(600));
    assert_eq!(after(vec![("retry-after", "soon")]).await, Next::Retry { after: None });
    let date = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
    assert_eq!(after(vec![date, ("retry-after", "Wed, 21 Oct 2026 07:29:30 GMT")]).await, retry(90));
    assert_eq!(after(vec![date, ("retry-after", "Wed, 21 Oct 2026 07:00:00 GMT")]).await, retry(0));
}

#[tokio::test]
async fn what_a_person_has_to_help_with_blocks() {
    for status in [401, 403, 404, 302, 405] {
        assert_eq!(next(reply(status), 2).await, Err(Next::Blocked), "{status}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_is_split() {
    assert_eq!(next(reply(413), 2).await, Err(Next::Split { reason: "too_large" }));
}

#[tokio::test]
async fn samples_that_are_there_already_are_acknowledged_and_counted() {
    let body = "out of order sample for series {__name__=\"m\"}\nduplicate sample for timestamp 1 for series {}";
    let receiver = Receiver::answering(vec![(400, vec![(WRITTEN, "1")], body.to_owned())]).await;
    let mut registry = prometheus_client::registry::Registry::default();
    let instruments = Instruments::new(&mut registry);
    let mut sink = RemoteWriteSink::new(&remote(&endpoint(&receiver.url), &instruments).unwrap());
    sink.pack(&items(&[("a", 1), ("b", 1), ("c", 1)]));
    sink.deliver().await.unwrap();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "samples_passed_total{sink=\"127.0.0.1:PORT\",reason=\"out_of_order\"} 1",
        "samples_passed_total{sink=\"127.0.0.1:PORT\",reason=\"duplicate\"} 1",
        "remote_write_requests_total{sink=\"127.0.0.1:PORT\",outcome=\"accepted\"} 1",
        "remote_write_version{sink=\"127.0.0.1:PORT\"} 2",
    ] {
        let line = line.replace("127.0.0.1:PORT", &endpoint(&receiver.url).name());
        assert!(text.contains(&line), "{line} in {text}");
    }
}

#[tokio::test]
async fn samples_that_are_lost_are_looked_for_and_refused_with_their_reason() {
    let partial = |written, body: &str| (400, vec![(WRITTEN, written)], body.to_owned());
    let old = "too old sample for series {}";
    let mixed = format!("out of order sample for series {{}}\n{old}\n");
    assert_eq!(next(partial("1", &mixed), 3).await, Err(Next::Split { reason: "too_old" }));
    assert_eq!(next(partial("0", old), 1).await, Err(Next::Reject { reason: "too_old" }));
    assert_eq!(next(partial("0", &format!("{old}\n{old}\n")), 2).await, Err(Next::Reject { reason: "too_old" }));
    assert_eq!(
        next(partial("1", "invalid labels for series, labels {}"), 2).await,
        Err(Next::Split { reason: "invalid_labels" })
    );
    assert_eq!(next(reply(400), 2).await, Err(Next::Split { reason: "invalid_data" }));
}

#[tokio::test]
async fn a_body_beyond_its_limit_does_not_acknowledge_anything() {
    let body = "out of order sample for series {}\n".repeat(BODY_BYTES_MAX / 34 + 2);
    assert_eq!(next((400, vec![(WRITTEN, "0")], body), 2).await, Err(Next::Split { reason: "out_of_order" }));
}

#[tokio::test]
async fn a_receiver_that_is_not_there_or_hangs_up_is_tried_again() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let mut sink = sink(&endpoint(&format!("http://{address}/write?token=hunter2")));
    sink.pack(&items(&[("a", 1)]));
    let error = sink.deliver().await.unwrap_err();
    assert_eq!(error.next(), Next::Retry { after: None });
    let said = format!("{error} {error:?}");
    assert!(said.contains("/write") && !said.contains("hunter2"), "{said}");

    let hangs_up = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/write", hangs_up.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((connection, _)) = hangs_up.accept().await {
            drop(connection);
        }
    });
    let mut sink = self::sink(&endpoint(&url));
    sink.pack(&items(&[("a", 1)]));
    assert_eq!(sink.deliver().await.unwrap_err().next(), Next::Retry { after: None });
}

#[tokio::test]
async fn a_receiver_that_is_too_slow_is_tried_again() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/write", silent.local_addr().unwrap());
    let timeout = unset(weir_config::Duration::from_millis(100));
    let mut sink = sink(&Endpoint { timeout, ..endpoint(&url) });
    sink.pack(&items(&[("a", 1)]));
    let error = sink.deliver().await.unwrap_err();
    assert_eq!(error.next(), Next::Retry { after: None });
    let DeliverError::Unreachable { source, .. } = error else { panic!("{error}") };
    assert!(source.is_timeout());
}

#[tokio::test]
async fn a_retry_sends_the_same_bytes_and_a_half_only_its_own_samples() {
    let receiver = Receiver::answering(vec![reply(503), (204, vec![(WRITTEN, "2")], String::new())]).await;
    let mut sink = sink(&endpoint(&receiver.url));
    let items = items(&[("a", 1), ("b", 2), ("c", 3), ("d", 4)]);
    sink.pack(&items);
    sink.deliver().await.unwrap_err();
    sink.deliver().await.unwrap();
    sink.pack(&items[2..]);
    sink.deliver().await.unwrap();
    let got: Vec<_> = receiver.got().iter().map(|got| told(&got.request)).collect();
    assert_eq!(got[0], got[1]);
    assert_eq!(got[2], [("c".to_owned(), 3), ("d".to_owned(), 4)]);
}

#[tokio::test]
async fn a_request_holds_as_many_samples_and_bytes_as_configured_and_at_least_one() {
    let url = "http://127.0.0.1:1/write";
    let items = items(&vec![("a", 1); 100]);
    let mut few = sink(&Endpoint { max_samples: unset(7), ..endpoint(url) });
    assert_eq!(few.pack(&items), 7);
    assert_eq!(few.pack(&items[..3]), 3);
    let mut small = sink(&Endpoint { max_bytes: unset(ByteSize::bytes(1)), ..endpoint(url) });
    assert_eq!(small.pack(&items), 1);
    for protocol in [Protocol::V1, Protocol::V2] {
        let mut sink = sink(&Endpoint { max_bytes: unset(ByteSize::bytes(1000)), protocol, ..endpoint(url) });
        let packed = sink.pack(&items);
        assert!((5..50).contains(&packed), "{packed}");
        assert!(decompress(&sink.packed.body, 1 << 20).unwrap().len() <= 1000);
    }
}
