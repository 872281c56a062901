//! What the logs worker costs from a real Kafka to a real Kafka, beside what it costs to read the same records and do
//! nothing, and beside a Collector with the same task.

mod collector;
mod latency;
mod lines;
mod load;
mod output;
mod report;
mod worker;

use std::path::PathBuf;

use weir_tests::stack::Kafka;

use self::load::Filled;
use self::report::{Report, Row};
use self::worker::Start;
use crate::drain;

/// What the logs worker costs, beside a bare librdkafka and a Collector that read the same topics.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Lines of 300 B; of 2 KiB there are a seventh as many.
    #[arg(long, default_value_t = 2_000_000)]
    lines: u64,
    /// Only lines of so many bytes: 300 or 2048.
    #[arg(long, value_name = "BYTES")]
    size: Option<usize>,
    /// How long so many lines a second take from produced to visible, instead of what they cost.
    #[arg(long, value_name = "LINES")]
    rate: Option<u64>,
    /// Without the Collector.
    #[arg(long)]
    alone: bool,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// The program to measure; several are measured in turn.
    #[arg(long, required = true)]
    weir: Vec<PathBuf>,
    /// How often each of them is.
    #[arg(long, default_value_t = 1)]
    turns: usize,
}

/// What is done with lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// Passed on; Weir adds class, origin and severity, and says what the resource lacks.
    Enrich,
    /// Parsed, and masked.
    Mask,
}

const PARTITIONS: i32 = 12;
/// How long lines are, and which part of the lines there are.
const SIZES: [(usize, u64); 2] = [(300, 1), (2048, 7)];

pub(crate) fn run(args: &Args) {
    let kafka = Kafka::start(1);
    kafka.create_topic("weir-dead-letters-logs", 1, &[]);
    let sizes = SIZES.iter().filter(|(bytes, _)| args.size.is_none_or(|size| size == *bytes));
    if let Some(rate) = args.rate {
        return sizes.for_each(|(bytes, part)| {
            args.weir.iter().for_each(|weir| latency::run(&kafka, weir, rate / part, *bytes));
        });
    }
    let mut report = Report::new(args.json);
    for (bytes, part) in sizes {
        let topic = kafka.topic("logs", PARTITIONS);
        let filled = load::fill(&kafka, &topic, args.lines / part, *bytes);
        report.shape(*bytes, &filled);
        measure(args, &kafka, &topic, &filled, &mut report);
    }
    report.finish();
}

/// Measures everything on one topic, one after the other.
fn measure(args: &Args, kafka: &Kafka, topic: &str, filled: &Filled, report: &mut Report) {
    let drain = drain::run(kafka, topic, filled.records);
    let mut row = |what: &str, (cost, bytes), collector| {
        report.row(&Row { what, cost, bytes, drain, collector, filled });
    };
    row("librdkafka, reading", (drain, 0), None);
    for job in [Job::Enrich, Job::Mask] {
        let collector = (!args.alone).then(|| collector::run(kafka, topic, job, filled));
        if let Some(ran) = &collector {
            row(
                if job == Job::Mask { "collector: transform, redaction" } else { "collector: passing" },
                (ran.cost, ran.bytes),
                None,
            );
        }
        for _ in 0..args.turns {
            for measures in [true, false] {
                for (number, weir) in args.weir.iter().enumerate() {
                    let ran = worker::run(&Start { kafka, topic, job, measures, weir }, filled);
                    let name = if args.weir.len() > 1 { number.to_string() } else { "weir".to_owned() };
                    let job = if job == Job::Mask { "parse, mask" } else { "enrich alone" };
                    let counts = if measures { "" } else { ", measure off" };
                    row(
                        &format!("{name}: {job}{counts}"),
                        (ran.cost, ran.bytes),
                        collector.as_ref().map(|ran| ran.cost),
                    );
                }
            }
        }
    }
}
