//! What the delivery protocol costs, with the counting worker, beside a bare librdkafka that reads, writes and commits
//! in transactions.

mod bare;
mod counting;
mod opening;
mod rebalance;
mod topics;

use std::time::Duration;

use serde_json::{Value, json};
use weir_tests::stack::Kafka;

use self::topics::Ran;
use crate::figure::grouped;

/// What the delivery protocol costs, beside a bare librdkafka that reads, writes and commits.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Records of 1 KB to count.
    #[arg(long, default_value_t = 2_000_000)]
    records: u64,
    /// Keys that are counted, over all partitions.
    #[arg(long, default_value_t = 10_000)]
    keys: u64,
    /// Only `throughput`, `opening` or `rebalance`.
    #[arg(long, default_value = "")]
    only: String,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

const INTERVALS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// How often each is run, in turns: a busy machine is not equally busy all the time.
const TURNS: usize = 3;
const STATES: [u64; 3] = [10_000, 100_000, 1_000_000];

pub(crate) fn run(args: &Args) {
    let kafka = Kafka::start(1);
    kafka.create_topic("weir-dead-letters", 1, &[]);
    let wanted = |what: &str| args.only.is_empty() || args.only == what;
    let mut all = json!({});
    if wanted("throughput") {
        all["throughput"] = throughput(&kafka, args);
    }
    if wanted("opening") {
        all["opening"] = openings(&kafka, args.json);
    }
    if wanted("rebalance") {
        all["rebalance"] = rebalances(&kafka, args.json);
    }
    if args.json {
        println!("{all}");
    }
}

fn throughput(kafka: &Kafka, args: &Args) -> Value {
    let source = kafka.topic("source", topics::PARTITIONS);
    topics::fill(kafka, &source, args.records, args.keys);
    let mut runs = Vec::new();
    if !args.json {
        println!("\n{} records of 1 KB, {} keys\n", grouped(args.records as f64), grouped(args.keys as f64));
        println!("{:<12}{:>10}{:>14}{:>14}{:>14}", "", "commits", "records/s", "commit p50", "commit p99");
    }
    for interval in INTERVALS {
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..TURNS {
            for (what, rates) in ["librdkafka", "weir"].into_iter().zip(&mut rates) {
                let ran = if what == "weir" {
                    counting::run(kafka, &source, args.records, interval)
                } else {
                    bare::run(kafka, &source, args.records, interval)
                };
                rates.push(ran.records_per_second);
                runs.push(shown(what, interval, &ran, args.json));
            }
        }
        let [bare, weir] = rates.map(|rates: Vec<f64>| rates.iter().sum::<f64>());
        runs.push(json!({ "interval_seconds": interval.as_secs_f64(), "ratio": weir / bare }));
        if !args.json {
            println!("weir, of librdkafka: {:.0} %\n", 100.0 * weir / bare);
        }
    }
    runs.into()
}

fn shown(what: &str, interval: Duration, ran: &Ran, json: bool) -> Value {
    let Ran { records_per_second, commit_seconds: [p50, p99] } = ran;
    if !json {
        println!(
            "{what:<12}{:>10}{:>14}{:>11.1} ms{:>11.1} ms",
            format!("{interval:?}"),
            grouped(*records_per_second),
            p50 * 1e3,
            p99 * 1e3
        );
    }
    json!({
        "what": what, "interval_seconds": interval.as_secs_f64(), "records_per_second": records_per_second,
        "commit_p50_seconds": p50, "commit_p99_seconds": p99,
    })
}

fn openings(kafka: &Kafka, json: bool) -> Value {
    let mut opened = Vec::new();
    for keys in STATES {
        let (took, bytes) = opening::run(kafka, keys);
        if !json {
            println!("{:>10} keys, {:>6.1} MB: opened in {took:.2?}", grouped(keys as f64), bytes as f64 / 1e6);
        }
        opened.push(json!({ "keys": keys, "bytes": bytes, "seconds": took.as_secs_f64() }));
    }
    opened.into()
}

fn rebalances(kafka: &Kafka, json: bool) -> Value {
    let mut paused = Vec::new();
    for protocol in ["classic", "consumer"] {
        let (longest, staying) = rebalance::run(kafka, protocol);
        if !json {
            println!(
                "{protocol}: members 1-2-3-2-1, partitions that stayed paused for {longest:.2?} at most, {staying}"
            );
        }
        paused.push(json!({ "protocol": protocol, "longest_pause_seconds": longest.as_secs_f64() }));
    }
    paused.into()
}
