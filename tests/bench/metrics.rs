//! What the metrics worker costs on a real Kafka, beside what it costs to read the same records and do nothing.

mod drain;
mod load;
mod receiver;
mod report;
mod worker;

use std::path::PathBuf;

use weir_tests::stack::Kafka;

use self::load::Shape;
use self::report::{Report, Row};

/// What the metrics worker costs, beside a bare librdkafka that reads the same topics.
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
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// The program to measure.
    #[arg(long)]
    weir: PathBuf,
}

/// How the Collector's exporter may compress its batches.
const COMPRESSIONS: [&str; 2] = ["snappy", "zstd"];

pub(crate) fn run(args: &Args) {
    let kafka = Kafka::start(1);
    let mut report = Report::new(args.json);
    for shape in Shape::all().iter().filter(|shape| shape.name.contains(&args.shape)) {
        let topics = COMPRESSIONS.map(|compression| (compression, kafka.topic(compression, 12)));
        let filled = load::fill(&kafka, shape, &topics, args.points, args.series);
        report.shape(shape.name, &filled);
        for (compression, topic) in &topics {
            let drain = drain::run(&kafka, topic, filled.records);
            report.row(&Row { what: "librdkafka", compression, cost: drain, drain, filled: &filled });
            // What is sent is the same for both.
            for protocol in ["2.0", "1.0"].into_iter().take(if *compression == "snappy" { 2 } else { 1 }) {
                let cost = worker::run(&kafka, topic, protocol, &args.weir, &filled);
                let what = format!("weir {protocol}");
                report.row(&Row { what: &what, compression, cost, drain, filled: &filled });
            }
        }
    }
    report.finish();
}
