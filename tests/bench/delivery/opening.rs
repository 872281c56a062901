//! How long a partition takes to open, by how much state it has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_contract::{Output, Processor, TopicPartition};
use weir_kafka::real::{Connection, Kafka as Real, KafkaConfig, LoadProducer, Protocol};
use weir_kafka::{Client, Offset, Rebalance, Start, open};
use weir_runtime::Worker;
use weir_tests::counting::{Counting, Model};
use weir_tests::http::block_on;
use weir_tests::stack::{Kafka, Listener};
use weir_tests::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(120);

/// Writes that many counts into a changelog, and opens it; how long that took, and what it weighs in bytes.
pub(crate) fn run(kafka: &Kafka, keys: u64) -> (Duration, usize) {
    let source: Arc<str> = kafka.topic("opening", 1).into();
    let changelog: Arc<str> = format!("{source}-state").into();
    kafka.create_topic(&changelog, 1, &[("cleanup.policy", "compact")]);
    let connection =
        Connection { brokers: kafka.bootstrap(Listener::Plain), properties: Default::default(), embedded: false };
    let id = TopicPartition::new(source.clone(), 0);
    let record = |kind: u8, own: &[u8], value: Vec<u8>| Output {
        topic: changelog.clone(),
        partition: Some(0),
        key: Some([&[kind], source.as_bytes(), &[0], own].concat()),
        value: Some(value),
        headers: Vec::new(),
    };

    let (load, mut bytes) = (LoadProducer::open(&connection).unwrap(), 0);
    for key in 0..keys {
        let (own, value) = Model::entry(format!("key-{key:08}").as_bytes(), key);
        let entry = record(b's', &own, value);
        bytes += entry.weight();
        load.send(&entry).unwrap();
    }
    load.send(&record(b'p', &[], [&[1_u8][..], &0_i64.to_be_bytes()].concat())).unwrap();
    load.flush(PATIENCE).unwrap();
    assert_eq!(load.failed(), 0);

    let client = member(connection, &source);
    let group = client.group().unwrap();
    client.begin().unwrap();
    let offset = Offset { partition: id.clone(), offset: 0, metadata: "weir:1 state".to_owned() };
    block_on(client.send_offsets(&[offset], &group)).unwrap();
    block_on(client.commit()).unwrap();

    let worker = Counting { output: source.clone(), outside: String::new(), http: reqwest::Client::new() };
    let started = Instant::now();
    let opened = wait_until(PATIENCE, "open partition", || {
        block_on(open(&client, &id, Start::Earliest, Some(&changelog))).map_err(|error| error.to_string())
    });
    let mut processor = worker.processor(&id);
    for (key, value) in &opened.state {
        processor.restore(key, value).unwrap();
    }
    let took = started.elapsed();
    assert_eq!(opened.state.len() as u64, keys);
    client.close();
    (took, bytes)
}

fn member(connection: Connection, source: &Arc<str>) -> Real {
    let config = KafkaConfig {
        connection,
        group: source.to_string(),
        protocol: Protocol::Classic,
        instance: None,
        topics: vec![source.clone()],
        transactional_id: source.to_string(),
        prefetch_bytes: 16 << 20,
        produce_bytes: 16 << 20,
        message_bytes_max: 1 << 20,
        batch_bytes_max: 1 << 20,
    };
    let client = Real::open(&config).unwrap();
    wait_until(PATIENCE, "transactions", || block_on(client.init_transactions()).map_err(|error| error.to_string()));
    wait_until(PATIENCE, "assignment", || {
        match block_on(client.poll(Duration::from_millis(100), &mut |_| true)).map_err(|error| error.to_string())? {
            Some(Rebalance::Assigned(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    client.assign(&[]).unwrap();
    client
}
