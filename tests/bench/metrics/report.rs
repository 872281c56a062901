//! What was measured, for people or as JSON.

use serde_json::{Value, json};

use super::load::Filled;
use crate::figure::grouped;
use crate::process::Cost;

/// Prints as it goes, or everything as JSON at the end.
pub(crate) struct Report {
    json: bool,
    shapes: Vec<Value>,
}

/// One measurement.
pub(crate) struct Row<'a> {
    pub what: &'a str,
    pub compression: &'a str,
    pub cost: Cost,
    /// The drain of the same topic.
    pub drain: Cost,
    /// The Collector on the same topic, if it was measured.
    pub collector: Option<Cost>,
    pub filled: &'a Filled,
}

impl Report {
    pub fn new(json: bool) -> Self {
        Self { json, shapes: Vec::new() }
    }

    pub fn shape(&mut self, name: &str, filled: &Filled) {
        let Filled { records, points, bytes, samples } = *filled;
        self.shapes.push(json!({
            "shape": name, "records": records, "points": points, "bytes": bytes, "samples": samples, "runs": [],
        }));
        if self.json {
            return;
        }
        println!(
            "\n{name}: {} records of {} bytes and {:.1} points on average; {} points, {} samples\n",
            grouped(records as f64),
            grouped(bytes as f64 / records as f64),
            points as f64 / records as f64,
            grouped(points as f64),
            grouped(samples as f64)
        );
        println!(
            "{:<12}{:<12}{:>14}{:>16}{:>10}{:>16}{:>12}{:>10}{:>14}",
            "",
            "compression",
            "points/s",
            "points/CPU s",
            "MB/s",
            "CPU s/M points",
            "peak MiB",
            "x drain",
            "1/ Collector"
        );
    }

    pub fn row(&mut self, row: &Row<'_>) {
        let Row { what, compression, cost, drain, collector, filled } = row;
        let points = filled.points as f64;
        let (wall, cpu) = (cost.wall.as_secs_f64(), cost.cpu.as_secs_f64().max(0.01));
        let ratio = cpu / drain.cpu.as_secs_f64().max(0.01);
        let share = collector.map(|collector| collector.cpu.as_secs_f64() / cpu);
        let runs = self.shapes.last_mut().unwrap()["runs"].as_array_mut().unwrap();
        runs.push(json!({
            "what": what, "compression": compression, "wall_seconds": wall, "cpu_seconds": cpu,
            "peak_bytes": cost.peak_bytes, "arrived": cost.arrived,
            "points_per_second": points / wall, "points_per_cpu_second": points / cpu,
            "bytes_per_second": filled.bytes as f64 / wall, "drain_ratio": ratio,
            "collector_ratio": share,
        }));
        if self.json {
            return;
        }
        let share = share.map_or_else(|| "-".to_owned(), |share| format!("{share:.1}"));
        let peak = if cost.peak_bytes == 0 { "-".to_owned() } else { (cost.peak_bytes >> 20).to_string() };
        println!(
            "{what:<12}{compression:<12}{:>14}{:>16}{:>10.1}{:>16.3}{peak:>12}{ratio:>10.1}{share:>14}",
            grouped(points / wall),
            grouped(points / cpu),
            filled.bytes as f64 / wall / 1e6,
            cpu / points * 1e6,
        );
    }

    pub fn finish(self) {
        if self.json {
            println!("{}", json!({ "shapes": self.shapes }));
        }
    }
}
