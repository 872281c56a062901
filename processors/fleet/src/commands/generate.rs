//! `weir generate`: paced OTLP load into the topics of the topology.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use serde_json::json;
use weir_contract::Output;
use weir_generate::{Compression, Config, Encoding, Generator, Incident, Occurrence, Record, Signal};
use weir_kafka::real::LoadProducer;

use super::run::runtime;
use crate::cli::{Answer, Common};
use crate::cluster::Cluster;
use crate::topology::{self, Topology};
use crate::{connection, load, signals};

/// The group under which the topics are looked at; nothing is read.
const GROUP: &str = "weir-generate";
/// How often the progress is told.
const PROGRESS: Duration = Duration::from_secs(5);
/// How long Kafka may take to acknowledge the last records.
const FLUSH: Duration = Duration::from_secs(30);

const SIGNALS: &[(&str, Signal)] = &[("metrics", Signal::Metrics), ("logs", Signal::Logs), ("traces", Signal::Traces)];
const ENCODINGS: &[(&str, Encoding)] = &[("protobuf", Encoding::Protobuf), ("json", Encoding::Json)];
const COMPRESSIONS: &[(&str, Compression)] = &[
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("zstd", Compression::Zstd),
    ("snappy", Compression::Snappy),
];

/// Flags of `weir generate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir generate --duration 30s\n  \
    weir generate --signal metrics --rate 20000 --series 5000 --incident battery --incident api\n  \
    weir generate --signal logs,traces --records 100 --malformed 0.1 --json\n\n\
    A signal goes to the topic that the worker of its name reads, else to telemetry-SIGNAL. Keys and headers are those \
    of the Collector's Kafka exporter. Ctrl-C or SIGTERM sends what is under way and prints the summary.\n\n\
    Exit codes: 0 all delivered, 1 not all, 2 could not run.")]
pub struct Args {
    /// What to make, separated by commas.
    #[arg(long, value_name = "SIGNAL", value_delimiter = ',', default_value = "metrics,logs,traces",
        value_parser = one_of(SIGNALS))]
    pub signal: Vec<Signal>,
    /// Data points, log lines or spans a second, of each signal.
    #[arg(long, value_name = "ITEMS", default_value = "1000", value_parser = rate)]
    pub rate: f64,
    /// Ends by itself after that time, such as 30s or 5m.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
    /// Ends by itself after so many records of each signal.
    #[arg(long, value_name = "N")]
    pub records: Option<u64>,
    /// Decides everything that is made.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Prometheus series alive at a time.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub series: usize,
    /// Share of the instances that new ones replace each minute, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub churn: f64,
    /// Share of the records that no worker can read, 0 to 1; they count as no items.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub malformed: f64,
    /// Data points or log lines in a record; a record of metrics has every series of its instance at least once, a
    /// record of traces is one trace.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub points_per_record: usize,
    /// How records are encoded.
    #[arg(long, default_value = "protobuf", value_parser = one_of(ENCODINGS))]
    pub encoding: Encoding,
    /// How each record's value is compressed, inside Kafka's own compression.
    #[arg(long, default_value = "none", value_parser = one_of(COMPRESSIONS))]
    pub compression: Compression,
    /// Something that goes wrong after a minute, for ten; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = incidents())]
    pub incident: Vec<Incident>,
    /// The last line of standard output is the summary as one JSON object: `sent` by signal, `failed`, `seconds`.
    #[arg(long)]
    pub json: bool,
}

/// What was handed over of a signal.
#[derive(Debug, Clone, Default, Serialize)]
struct Sent {
    records: u64,
    /// Data points, log lines or spans in them.
    items: u64,
    /// Of their values.
    bytes: u64,
    /// How many of the records no worker can read.
    malformed: u64,
}

/// Sends records and counts them.
struct Load {
    producer: LoadProducer,
    topics: BTreeMap<Signal, Arc<str>>,
    sent: BTreeMap<Signal, Sent>,
    started: Instant,
    told: Instant,
}

/// Makes load until it is enough or a signal ends it.
///
/// # Errors
/// A flag is out of range, Kafka does not answer, or a topic is not there.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Answer> {
    let (topology, _) = topology::load(common.topology.as_deref())?;
    let mut generator = Generator::new(args.config(), load::now())?;
    let pace = load::Pace {
        rates: args.signal.iter().map(|signal| (*signal, args.rate)).collect(),
        duration: args.duration,
        records: args.records,
    };
    let runtime = runtime()?;
    let stop = runtime.block_on(async { signals::flag() })?;
    let mut load = Load::open(&topology, &args.signal)?;
    let ran = load::run(&mut generator, &pace, &stop, |record| load.send(record));
    let flushed = load.producer.flush(FLUSH);
    load.summarize(args.json)?;
    if let Err(error) = &ran {
        super::remark(&crate::chain(error.as_ref()));
    }
    if let Err(error) = &flushed {
        super::remark(&format!("Kafka has not acknowledged every record: {error}"));
    }
    let delivered = ran.is_ok() && flushed.is_ok() && load.producer.failed() == 0;
    Ok(if delivered { Answer::Yes } else { Answer::No })
}

impl Args {
    fn config(&self) -> Config {
        Config {
            seed: self.seed,
            series: self.series,
            churn: self.churn,
            malformed: self.malformed,
            points_per_record: self.points_per_record,
            encoding: self.encoding,
            compression: self.compression,
            incidents: self.incident.iter().copied().map(Occurrence::from).collect(),
        }
    }
}

impl Load {
    fn open(topology: &Topology, wanted: &[Signal]) -> anyhow::Result<Self> {
        let cluster = Cluster::reach(topology, GROUP)?;
        let topics: BTreeMap<_, _> = wanted.iter().map(|signal| (*signal, topic(topology, *signal))).collect();
        let missing: Vec<_> =
            topics.values().filter(|topic| !cluster.topics.contains_key(&***topic)).map(|topic| &**topic).collect();
        anyhow::ensure!(
            missing.is_empty(),
            "the cluster has no topic {}: `weir topics apply` creates what the topology has",
            missing.join(", ")
        );
        Ok(Self {
            producer: LoadProducer::open(&connection::brokers(topology, false))?,
            sent: topics.keys().map(|signal| (*signal, Sent::default())).collect(),
            topics,
            started: Instant::now(),
            told: Instant::now(),
        })
    }

    fn send(&mut self, record: Record) -> anyhow::Result<()> {
        let Some(topic) = self.topics.get(&record.signal) else { return Ok(()) };
        let headers = record.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        let bytes = record.value.len();
        self.producer.send(&Output {
            topic: Arc::clone(topic),
            partition: None,
            key: Some(record.key),
            headers: headers.collect(),
            value: Some(record.value),
        })?;
        let sent = self.sent.entry(record.signal).or_default();
        sent.records += 1;
        sent.items += u64::from(record.items);
        sent.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        sent.malformed += u64::from(record.malformed.is_some());
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            self.tell();
        }
        Ok(())
    }

    fn tell(&self) {
        let mut text = format!("{} s", self.started.elapsed().as_secs());
        for (signal, sent) in &self.sent {
            // Writing to a string cannot fail.
            write!(text, ", {} {} records {} items", name(*signal), sent.records, sent.items).unwrap_or_default();
        }
        super::remark(&format!("{text}, {} failed", self.producer.failed()));
    }

    fn summarize(&self, json: bool) -> anyhow::Result<()> {
        let (failed, seconds) = (self.producer.failed(), self.started.elapsed().as_secs_f64());
        if json {
            let sent: BTreeMap<_, _> = self.sent.iter().map(|(signal, sent)| (name(*signal), sent)).collect();
            return super::print(&format!("{}\n", json!({"sent": sent, "failed": failed, "seconds": seconds})));
        }
        let mut table = super::table(["signal", "topic", "records", "malformed", "items", "bytes"]);
        for (signal, sent) in &self.sent {
            let topic = self.topics.get(signal).map_or("", |topic| topic);
            let counts = [sent.records, sent.malformed, sent.items, sent.bytes].map(|count| count.to_string());
            table.add_row([name(*signal).to_owned(), topic.to_owned()].into_iter().chain(counts));
        }
        super::print(&format!("{}{failed} records failed, {seconds:.1} s\n", super::lines(&table)))
    }
}

/// The topic that a signal goes to: what the worker of its name reads.
fn topic(topology: &Topology, signal: Signal) -> Arc<str> {
    let read = topology.workers.get(name(signal)).into_iter().flat_map(|worker| &worker.topics);
    let named = read.into_iter().find(|topic| !topic.starts_with('^'));
    named.map_or_else(|| format!("telemetry-{}", name(signal)).into(), |topic| topic.as_str().into())
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
        Signal::Traces => "traces",
    }
}

/// Takes one of some names.
fn one_of<T: Copy + Send + Sync + 'static>(values: &'static [(&'static str, T)]) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(values.iter().map(|(name, _)| *name)).try_map(move |given| {
        values.iter().find(|(name, _)| *name == given).map(|(_, value)| *value).ok_or("expected one of these")
    })
}

fn incidents() -> impl TypedValueParser<Value = Incident> {
    let all = Incident::all().iter();
    PossibleValuesParser::new(all.map(|incident| PossibleValue::new(incident.name()).help(incident.help())))
        .try_map(|name| name.parse::<Incident>())
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or("expected a number above 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_goes_where_the_worker_of_its_name_reads() {
        let mut topology = Topology::default();
        assert_eq!(&*topic(&topology, Signal::Metrics), "telemetry-metrics");
        assert_eq!(&*topic(&topology, Signal::Traces), "telemetry-traces");
        topology.workers.get_mut("metrics").unwrap().topics = vec!["^m".to_owned(), "own.metrics".to_owned()];
        assert_eq!(&*topic(&topology, Signal::Metrics), "own.metrics");
    }

    #[test]
    fn a_rate_is_a_number_above_0() {
        assert_eq!(rate("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "inf", "NaN", "many"] {
            rate(wrong).unwrap_err();
        }
    }
}
