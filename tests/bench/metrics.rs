//! What the metrics worker costs on a real Kafka, beside what it costs to read the same records and do nothing.

mod collector;
mod latency;
mod load;
mod outside;
mod receiver;
mod report;
mod worker;

use std::path::PathBuf;

use weir_tests::stack::Kafka;

use self::load::{Filled, Shape};
use self::outside::To;
use self::report::{Report, Row};
use self::worker::Start;
use crate::drain;

/// What the metrics worker costs, beside a bare librdkafka and a Collector that read the same topics.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Data points of each shape and compression.
    #[arg(long, default_value_t = 2_000_000)]
    points: u64,
    /// Series, about.
    #[arg(long, default_value_t = 100_000)]
    series: usize,
    /// Only the shapes with this in their names.
    #[arg(long, default_value = "")]
    shape: String,
    /// How the cost grows with series, points a record, attributes and new series, instead of the usual shapes.
    #[arg(long)]
    grow: bool,
    /// How long so many points a second take from produced to acknowledged, instead of what they cost.
    #[arg(long, value_name = "POINTS")]
    rate: Option<u64>,
    /// Without the Collector.
    #[arg(long)]
    alone: bool,
    /// To a Prometheus, instead of a receiver that answers at once.
    #[arg(long)]
    prometheus: bool,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// The program to measure; several are measured in turn.
    #[arg(long, required = true)]
    weir: Vec<PathBuf>,
    /// How often each of them is.
    #[arg(long, default_value_t = 1)]
    turns: usize,
    /// How many of it share the topic.
    #[arg(long, default_value_t = 1)]
    instances: usize,
}

/// How the Collector's exporter may compress its batches.
const COMPRESSIONS: [&str; 2] = ["snappy", "zstd"];

pub(crate) fn run(args: &Args) {
    let kafka = Kafka::start(1);
    if let Some(rate) = args.rate {
        return args.weir.iter().for_each(|weir| latency::run(&kafka, weir, rate, args.series));
    }
    let mut report = Report::new(args.json);
    let shapes = if args.grow { Shape::growing(args.series) } else { Shape::all(args.series) };
    for shape in shapes.iter().filter(|shape| shape.name.contains(&args.shape)) {
        // How it grows is the same with any compression.
        let compressions = if args.grow { &COMPRESSIONS[..1] } else { &COMPRESSIONS[..] };
        let topics: Vec<_> =
            compressions.iter().map(|compression| (*compression, kafka.topic(compression, 12))).collect();
        let filled = load::fill(&kafka, shape, &topics, args.points);
        report.shape(&shape.name, &filled);
        for (compression, topic) in &topics {
            measure(args, &kafka, (*compression, topic.as_str()), &filled, &mut report);
        }
    }
    report.finish();
}

/// Measures everything on one topic, one after the other.
fn measure(args: &Args, kafka: &Kafka, (compression, topic): (&str, &str), filled: &Filled, report: &mut Report) {
    let drain = drain::run(kafka, topic, filled.records);
    let mut row = |what: &str, cost, collector| {
        report.row(&Row { what, compression, cost, drain, collector, filled });
    };
    row("librdkafka", drain, None);
    let to = if args.prometheus { To::Prometheus } else { To::Receiver };
    // What is sent is the same for all compressions.
    let is_first = compression == COMPRESSIONS[0];
    let collector = (is_first && !args.alone && !args.grow).then(|| collector::run(kafka, topic, filled, to));
    if let Some(cost) = collector {
        row("collector", cost, None);
    }
    for protocol in ["2.0", "1.0"].into_iter().take(if is_first && !args.grow { 2 } else { 1 }) {
        for turn in 0..args.turns {
            for (number, weir) in args.weir.iter().enumerate() {
                let group = format!("{topic}-{protocol}-{turn}-{number}");
                let start = Start { kafka, topic, protocol, group: &group, weir, to };
                let cost = worker::run(&start, args.instances, filled);
                let name = if args.weir.len() > 1 { number.to_string() } else { "weir".to_owned() };
                row(&format!("{name} {protocol}"), cost, collector);
            }
        }
    }
}
