//! How a running fleet is shown: a live table on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use crossterm::{QueueableCommand, cursor, terminal};

/// A worker's figures since the last look, and of now.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The worker.
    pub worker: String,
    /// Records a second.
    pub records_per_second: f64,
    /// Bytes a second.
    pub bytes_per_second: f64,
    /// Records behind the end.
    pub lag_records: i64,
    /// Items that the outside acknowledged.
    pub delivered: u64,
    /// Dead letters committed.
    pub dead_letters: u64,
    /// Bytes under way, of the whole process.
    pub under_way_bytes: u64,
}

/// Shows rows again and again.
pub struct Display {
    terminal: bool,
    /// Lines that stand on the screen already.
    drawn: u16,
}

impl Display {
    /// A live table if standard error is a terminal.
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), drawn: 0 }
    }

    /// How often to show.
    pub fn interval(&self) -> Duration {
        if self.terminal { Duration::from_secs(1) } else { Duration::from_secs(5) }
    }

    /// Shows the rows: in place of the ones before on a terminal, else as a line each.
    ///
    /// # Errors
    /// Standard error is gone.
    pub fn show(&mut self, elapsed: Duration, rows: &[Row]) -> std::io::Result<()> {
        let mut out = std::io::stderr().lock();
        if !self.terminal {
            for row in rows {
                writeln!(out, "{:>5}s {}", elapsed.as_secs(), line(row))?;
            }
            return out.flush();
        }
        if self.drawn > 0 {
            out.queue(cursor::MoveToPreviousLine(self.drawn))?;
        }
        // The terminal's width, wherever standard output goes.
        let width = terminal::size().ok().map(|(width, _)| width);
        let text = table(elapsed, rows, width);
        let mut drawn = 0;
        for row in text.lines() {
            out.queue(terminal::Clear(terminal::ClearType::UntilNewLine))?;
            // A line that wraps would be two.
            let row: String = row.chars().take(width.map_or(usize::MAX, usize::from)).collect();
            writeln!(out, "{row}")?;
            drawn += 1;
        }
        out.queue(terminal::Clear(terminal::ClearType::FromCursorDown))?;
        self.drawn = drawn;
        out.flush()
    }
}

impl Default for Display {
    fn default() -> Self {
        Self::new()
    }
}

fn line(row: &Row) -> String {
    format!(
        "{}: {:.0} records/s, {}/s, lag {}, delivered {}, dead letters {}, under way {}",
        row.worker,
        row.records_per_second,
        bytes(row.bytes_per_second),
        row.lag_records,
        row.delivered,
        row.dead_letters,
        bytes(precise(row.under_way_bytes)),
    )
}

/// A row for each worker, or a column for each where the terminal is too narrow for that.
fn table(elapsed: Duration, rows: &[Row], width: Option<u16>) -> String {
    let header = ["records/s", "bytes/s", "lag", "delivered", "dead letters", "under way"].map(str::to_owned);
    let mut cells = vec![[vec![format!("{} s", elapsed.as_secs())], header.to_vec()].concat()];
    cells.extend(rows.iter().map(|row| {
        vec![
            row.worker.clone(),
            format!("{:.0}", row.records_per_second),
            bytes(row.bytes_per_second),
            row.lag_records.to_string(),
            row.delivered.to_string(),
            row.dead_letters.to_string(),
            bytes(precise(row.under_way_bytes)),
        ]
    }));
    let wide = aligned(&cells);
    let fits = |width: u16| wide.lines().all(|line| line.chars().count() <= width.into());
    if width.is_none_or(fits) {
        return wide;
    }
    let column = |at: usize| cells.iter().filter_map(|row| row.get(at).cloned()).collect();
    aligned(&(0..=header.len()).map(column).collect::<Vec<Vec<String>>>())
}

/// Text in columns, all but the first to the right.
fn aligned(cells: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).add_rows(cells);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

#[expect(clippy::cast_precision_loss, reason = "for show")]
fn precise(bytes: u64) -> f64 {
    bytes as f64
}

fn bytes(count: f64) -> String {
    let mut count = count;
    let mut units = ["B", "KiB", "MiB", "GiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if count < 1024.0 {
            break;
        }
        count /= 1024.0;
        unit = larger;
    }
    if unit == "B" { format!("{count:.0} {unit}") } else { format!("{count:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_figures_are_shown_with_their_units_at_any_width() {
        let row = Row {
            worker: "metrics".into(),
            records_per_second: 12.4,
            bytes_per_second: 2048.0,
            lag_records: 3,
            delivered: 7,
            dead_letters: 1,
            under_way_bytes: 1 << 20,
        };
        assert_eq!(
            line(&row),
            "metrics: 12 records/s, 2.0 KiB/s, lag 3, delivered 7, dead letters 1, under way 1.0 MiB"
        );
        let elapsed = Duration::from_secs(9);
        let (wide, narrow) = (table(elapsed, std::slice::from_ref(&row), Some(80)), table(elapsed, &[row], Some(40)));
        assert_eq!((wide.lines().count(), narrow.lines().count()), (2, 7));
        assert!(narrow.lines().all(|line| line.len() <= 40), "{narrow}");
        for figure in ["9 s", "metrics", "12", "2.0 KiB", "1.0 MiB"] {
            assert!(wide.contains(figure) && narrow.contains(figure), "{figure} is missing in\n{wide}\n{narrow}");
        }
    }
}
