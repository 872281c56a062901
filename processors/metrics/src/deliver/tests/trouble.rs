//! Receivers that answer slowly, in part, or not to the end; and tenants.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::config::{Otlp, Tenant};
use crate::process::Tenants;

fn set_series(sample: &mut Sample, routed: Routed) {
    match sample {
        Sample::Plain { series, .. } => *series = weir_series::Kept::alone(routed, 0),
        Sample::Rich(_) => panic!("these samples are plain"),
    }
}

/// A server that reads a request and then does that with the connection.
async fn serving<F>(answer: impl Fn(tokio::net::TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/write", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(connection.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap().to_lowercase();
            let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap();
            connection.read_exact(&mut vec![0; len]).await.unwrap();
            tokio::spawn(answer(connection));
        }
    });
    url
}

/// Scenario: a byte of the answer's body comes every ten milliseconds, for ever.
#[tokio::test]
async fn an_answer_that_trickles_is_cut_off_in_time() {
    let url = serving(|mut connection| async move {
        let head = "HTTP/1.1 400 no\r\nContent-Length: 1000000\r\n\r\n";
        connection.write_all(head.as_bytes()).await.ok();
        while connection.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let timeout = unset(weir_config::Duration::from_millis(300));
    let mut sink = sink(&Endpoint { timeout, ..endpoint(&url) });
    sink.pack(&items(&[("a", 1)]));
    let started = Instant::now();
    let error = sink.deliver().await.unwrap_err();
    assert_eq!(error.next(), Next::Retry { after: None });
    let DeliverError::Unreachable { source, .. } = error else { panic!("{error}") };
    assert!(source.is_timeout() && started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
}

/// Scenario: the connection breaks in the middle of an answer, whose status alone would reject the sample.
/// Guards: an answer that is not there to its end decides nothing.
#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let url = serving(|mut connection| async move {
        let head = "HTTP/1.1 400 no\r\nContent-Length: 100\r\n\r\nout of order";
        connection.write_all(head.as_bytes()).await.ok();
    })
    .await;
    let mut sink = sink(&endpoint(&url));
    sink.pack(&items(&[("a", 1)]));
    let error = sink.deliver().await.unwrap_err();
    assert!(matches!(error, DeliverError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.next(), Next::Retry { after: None });
}

/// Scenario: the receiver hangs up while it is being sent a request.
#[tokio::test]
async fn a_request_that_is_not_read_to_its_end_is_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/write", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            connection.read_u8().await.ok();
            // What it has not read makes the kernel reset the connection.
            drop(connection);
        }
    });
    let mut sink = sink(&endpoint(&url));
    let times: Vec<_> = (0..10_000).map(|time| ("a", time)).collect();
    sink.pack(&items(&times));
    assert_eq!(sink.deliver().await.unwrap_err().next(), Next::Retry { after: None });
}

/// Scenario: a receiver that knows 2.0 only answers 415 to 1.0.
#[tokio::test]
async fn a_receiver_of_2_0_alone_is_never_sent_1_0() {
    let receiver = Receiver::answering(vec![(204, vec![(WRITTEN, "1")], String::new())]).await;
    let mut sink = sink(&endpoint(&receiver.url));
    for time in 0..3 {
        sink.pack(&items(&[("a", time)]));
        sink.deliver().await.unwrap();
    }
    assert!(receiver.got().iter().all(|got| got.version == "2.0.0"));
    // One that fails, is busy or refuses is no receiver of 1.0 for that.
    for status in [500, 429, 400, 413] {
        let receiver = Receiver::answering(vec![reply(status)]).await;
        let mut sink = self::sink(&endpoint(&receiver.url));
        sink.pack(&items(&[("a", 1)]));
        sink.deliver().await.unwrap_err();
        sink.deliver().await.unwrap_err();
        assert!(receiver.got().iter().all(|got| got.version == "2.0.0"), "{status}");
    }
}

/// Guards: what one endpoint finds out about its receiver is not believed of another.
#[tokio::test]
async fn each_endpoint_falls_back_and_sends_forms_of_its_own() {
    let old = Receiver::answering(vec![reply(415), reply(204)]).await;
    let new = Receiver::answering(vec![(204, vec![(WRITTEN, "1")], String::new())]).await;
    let config = Config { remote_write: vec![endpoint(&old.url), endpoint(&new.url)].into(), ..Config::default() };
    let instruments = Instruments::default();
    let mut sinks = [0, 1].map(|place| RemoteWriteSink::new(&Remote::new(&config, place, &instruments).unwrap()));
    let symbols = Symbols::new(usize::MAX);
    let family = Arc::new(Family::new(&symbols, MetricType::Gauge, "m", "", "").unwrap());
    let form = |id| Some(Series::new(&[("__name__", "m"), ("id", id)], family.clone()).unwrap());
    let mut item = items(&[("x", 1)]).remove(0);
    set_series(&mut item.value, Routed::with([form("old"), form("new")], None));
    for sink in &mut sinks {
        assert_eq!(sink.pack(std::slice::from_ref(&item)), 1);
        if let Err(error) = sink.deliver().await {
            assert_eq!(error.next(), Next::Repack);
            sink.pack(std::slice::from_ref(&item));
            sink.deliver().await.unwrap();
        }
    }
    let versions = |receiver: &Receiver| receiver.got().into_iter().map(|got| got.version).collect::<Vec<_>>();
    assert_eq!((versions(&old), versions(&new)), (vec!["2.0.0".into(), "0.1.0".into()], vec!["2.0.0".to_owned()]));
    assert_eq!(told(&old.got()[1].request), [("old".to_owned(), 1)]);
    assert_eq!(told(&new.got()[0].request), [("new".to_owned(), 1)]);
}

#[tokio::test]
async fn a_request_names_its_tenant_and_the_default_where_there_is_none() {
    let receiver = Receiver::answering(vec![(204, vec![(WRITTEN, "1")], String::new())]).await;
    let otlp = Otlp { tenant: Some(Tenant::default()), ..Otlp::default() };
    let config = Config { remote_write: endpoint(&receiver.url).into(), otlp };
    let mut sink = RemoteWriteSink::new(&Remote::new(&config, 0, &Instruments::default()).unwrap());
    let tenants = Tenants::new("anonymous");
    let symbols = Symbols::new(usize::MAX);
    let family = Arc::new(Family::new(&symbols, MetricType::Gauge, "m", "", "").unwrap());
    let mut all = items(&[("a", 1), ("a", 2), ("a", 3), ("a", 4)]);
    for (item, tenant) in all.iter_mut().zip(["x", "y", "x", ""]) {
        let series = Series::new(&[("__name__", "m"), ("id", "a")], family.clone()).unwrap();
        set_series(&mut item.value, Routed::with([Some(series)], Some(tenants.get(tenant).unwrap())));
    }
    let parts = sink.divide(all);
    let times = |items: &[Item<Sample>]| items.iter().map(|item| item.value.timestamp_ms()).collect::<Vec<_>>();
    assert_eq!(parts.iter().map(|(_, items)| times(items)).collect::<Vec<_>>(), [vec![1, 3], vec![2], vec![4]]);
    for (_, items) in &parts {
        sink.pack(items);
        sink.deliver().await.unwrap();
    }
    sink.pack(&[]);
    sink.deliver().await.unwrap();
    let named: Vec<_> = receiver.got().into_iter().map(|got| got.tenant.unwrap()).collect();
    assert_eq!(named, ["x", "y", "anonymous", "anonymous"]);
    assert!(!format!("{:?}", parts[0].1).contains("HeaderValue"), "a tenant is a value of a payload");
}
