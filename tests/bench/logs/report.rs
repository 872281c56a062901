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
    pub cost: Cost,
    /// What was written, before compression.
    pub bytes: u64,
    /// The drain of the same topic.
    pub drain: Cost,
    /// The Collector with the same task, if it was measured.
    pub collector: Option<Cost>,
    pub filled: &'a Filled,
}

impl Report {
    pub fn new(json: bool) -> Self {
        Self { json, shapes: Vec::new() }
    }

    pub fn shape(&mut self, line_bytes: usize, filled: &Filled) {
        let Filled { records, lines, bytes } = *filled;
        self.shapes.push(json!({
            "line_bytes": line_bytes, "records": records, "lines": lines, "bytes": bytes, "runs": [],
        }));
        if self.json {
            return;
        }
        println!(
            "\n{line_bytes} B: {} lines in {} records of {} bytes\n",
            grouped(lines as f64),
            grouped(records as f64),
            grouped(bytes as f64 / records as f64),
        );
        println!(
            "{:<34}{:>12}{:>14}{:>10}{:>10}{:>16}{:>10}{:>10}{:>14}",
            "", "lines/s", "lines/CPU s", "MB/s", "out B", "CPU s/M lines", "peak MiB", "x drain", "1/ Collector"
        );
    }

    pub fn row(&mut self, row: &Row<'_>) {
        let Row { what, cost, bytes, drain, collector, filled } = row;
        let lines = filled.lines as f64;
        let (wall, cpu) = (cost.wall.as_secs_f64(), cost.cpu.as_secs_f64().max(0.01));
        let ratio = cpu / drain.cpu.as_secs_f64().max(0.01);
        let share = collector.map(|collector| collector.cpu.as_secs_f64() / cpu);
        let runs = self.shapes.last_mut().unwrap()["runs"].as_array_mut().unwrap();
        runs.push(json!({
            "what": what, "wall_seconds": wall, "cpu_seconds": cpu, "peak_bytes": cost.peak_bytes,
            "arrived": cost.arrived, "written_bytes": bytes, "lines_per_second": lines / wall,
            "lines_per_cpu_second": lines / cpu, "bytes_per_second": filled.bytes as f64 / wall,
            "drain_ratio": ratio, "collector_ratio": share,
        }));
        if self.json {
            return;
        }
        let or_none = |there: bool, text: String| if there { text } else { "-".to_owned() };
        println!(
            "{what:<34}{:>12}{:>14}{:>10.1}{:>10}{:>16.3}{:>10}{ratio:>10.1}{:>14}",
            grouped(lines / wall),
            grouped(lines / cpu),
            filled.bytes as f64 / wall / 1e6,
            or_none(*bytes > 0, grouped(*bytes as f64 / lines)),
            cpu / lines * 1e6,
            or_none(cost.peak_bytes > 0, (cost.peak_bytes >> 20).to_string()),
            share.map_or_else(|| "-".to_owned(), |share| format!("{share:.1}")),
        );
    }

    pub fn finish(self) {
        if self.json {
            println!("{}", json!({ "shapes": self.shapes }));
        }
    }
}
