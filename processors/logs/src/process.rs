//! Records in, records out: each line parsed, enriched and masked.

pub mod enrich;
mod line;
mod mask;
mod measure;
pub mod parse;
mod resource;
mod rewrite;
pub mod value;
mod volume;

use std::convert::Infallible;
use std::sync::Arc;

use weir_contract::{
    Batch, Memory, Outbox, Output, Processor, Record, StateError, Timestamp, TooLarge, TopicPartition,
};
use weir_mask::Masker;
use weir_otlp::{Hints, LogsRequest, Signal, Writer, decode};

use crate::config::Config;
use crate::error::{Reject, StartError};
use crate::instruments::Instruments;
use enrich::class::Rules;
use enrich::tables::{SharedTables, Tables};
use enrich::trace::Finder;
use measure::Measures;
use parse::Parsers;
use parse::pattern::Compiled;
use rewrite::{Origin, Part, Rewriter, Rulebook};
use volume::Seconds;

/// A logs worker's rules, compiled once for all partitions.
#[derive(Debug, Clone)]
pub struct Rulings(Arc<Rulebook>);

impl Rulings {
    /// Compiles a configuration; `group` is the consumer group, which the metrics that lines are counted to name.
    ///
    /// # Errors
    /// What `Config::check` reports.
    pub fn new(config: &Config, group: &str) -> Result<Self, StartError> {
        let patterns = config.pattern.iter().map(Compiled::new).collect::<Result<_, _>>()?;
        let order = config.parsers.get_ref().clone();
        Ok(Self(Arc::new(Rulebook {
            parsers: Parsers { order, patterns, delimited: config.delimited.clone() },
            rules: Rules::new(&config.class)?,
            masker: Masker::new(&config.mask)?,
            finder: Finder::default(),
            measure: measure::Rules::new(config, group)?,
            config: config.clone(),
        })))
    }
}

/// A partition's share of the logs worker.
pub struct LogsProcessor {
    rewriter: Rewriter,
    output: Arc<str>,
    tables: SharedTables,
    instruments: Instruments,
    written: Writer,
}

impl LogsProcessor {
    /// A processor of the partition `id`; `tables` are those of the whole worker, and seen from the next batch on.
    pub fn new(rulings: &Rulings, id: &TopicPartition, tables: SharedTables, instruments: Instruments) -> Self {
        let output = rulings.0.config.output.get_ref().as_str().into();
        let rewriter = Rewriter::new(rulings.0.clone(), Measures::new(id));
        Self { rewriter, output, tables, instruments, written: Writer::new() }
    }

    fn record(
        &mut self,
        record: &Record<'_>,
        batch: &Batch,
        tables: &Tables,
        out: &mut Outbox<Infallible>,
    ) -> Result<(), Reject> {
        // A record without a value has nothing in it, as one with an empty request.
        let Some(value) = record.value else { return Ok(()) };
        let headers = (record.headers.get("content-encoding"), record.headers.get("content-type"));
        let hints = Hints::from_headers(headers.0, headers.1)?;
        let payload = decode(Signal::Logs, value, hints)?;
        // All of it, for what nobody looks into is sent on as it is.
        LogsRequest::new(&payload).check()?;
        let id = batch.origin();
        let millis = record.timestamp_ms.and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default();
        let at = Origin {
            topic: &id.topic,
            partition: id.partition,
            offset: record.offset,
            time_nanos: millis.saturating_mul(1_000_000),
        };
        let mut request = Request { payload: &payload, at, key: record.key, tables, too_large: None };
        let whole = Part { lines: 0..u32::MAX, parsed: true };
        self.produce(&mut request, whole, out)?;
        request.too_large.map_or(Ok(()), Err)
    }

    /// Sends a part of a request on; in halves where it is larger than the topic takes, and its last line unparsed.
    fn produce(&mut self, request: &mut Request<'_>, part: Part, out: &mut Outbox<Infallible>) -> Result<(), Reject> {
        self.written.clear();
        let Request { payload, at, tables, .. } = *request;
        let before = (self.rewriter.counted.clone(), self.rewriter.seconds.clone());
        let lines = self.rewriter.request(payload, at, &part, tables, &mut self.written);
        let lines = lines.inspect_err(|_| self.rewriter.take_back(before.clone()))?;
        if lines == 0 || self.written.is_empty() {
            // It had no line, or none of them leaves.
            self.rewriter.measures.count();
            return Ok(());
        }
        let Err(source) = out.produce(Output {
            topic: self.output.clone(),
            partition: Some(at.partition),
            key: request.key.map(<[u8]>::to_vec),
            value: Some(self.written.as_bytes().to_vec()),
            headers: Vec::new(),
        }) else {
            self.rewriter.measures.count();
            return Ok(());
        };
        // Nothing of it left.
        self.rewriter.take_back(before);
        let (start, end) = (part.lines.start, part.lines.end.min(lines));
        let middle = start + (end - start) / 2;
        if middle > start {
            self.produce(request, Part { lines: start..middle, ..part }, out)?;
            return self.produce(request, Part { lines: middle..end, ..part }, out);
        }
        if part.parsed {
            return self.produce(request, Part { parsed: false, ..part }, out);
        }
        request.refuse(start, source);
        Ok(())
    }
}

/// A record on its way through.
struct Request<'r> {
    payload: &'r [u8],
    at: Origin<'r>,
    key: Option<&'r [u8]>,
    tables: &'r Tables,
    /// Lines that the topic does not take.
    too_large: Option<Reject>,
}

impl Request<'_> {
    fn refuse(&mut self, first: u32, source: TooLarge) {
        match &mut self.too_large {
            Some(Reject::LineTooLarge { lines, .. }) => *lines += 1,
            _ => self.too_large = Some(Reject::LineTooLarge { lines: 1, first, source }),
        }
    }
}

impl Processor for LogsProcessor {
    type Out = Infallible;

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        if key == volume::KEY {
            self.rewriter.seconds = Seconds::read(value)?;
            return Ok(());
        }
        self.rewriter.measures.restore(&self.rewriter.book.measure, key, value)
    }

    fn process(&mut self, batch: &Batch, out: &mut Outbox<Infallible>) {
        let tables = self.tables.now();
        let seconds = self.rewriter.seconds.clone();
        for record in batch.records() {
            if let Err(error) = self.record(&record, batch, &tables, out) {
                out.reject(&record, error.reason(), chain(&error));
            }
        }
        let required = self.rewriter.book.config.required.get_ref();
        self.instruments.tell(&mut self.rewriter.counted, required);
        self.rewriter.measures.remember(&self.rewriter.book.measure, &self.instruments, out);
        if seconds != self.rewriter.seconds {
            measure::keep(out, volume::KEY, Some(self.rewriter.seconds.write()));
        }
    }

    fn tick(&mut self, now: Timestamp, _memory: Memory, out: &mut Outbox<Infallible>) {
        self.rewriter.measures.tick(&self.rewriter.book.measure, now, out);
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
