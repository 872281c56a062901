//! Records in, samples out.

use std::sync::Arc;

use weir_contract::{Batch, Item, Memory, Outbox, Processor, Record, StateError, Timestamp};
use weir_otlp::{Hints, Signal, decode};
use weir_remote_write::{Family, MetricType, Series, SeriesError, Symbols};
use weir_series::{Kind, Make, Metadata, Options, Promote, Reason, Strategy, Translator};

use crate::config::{Config, TranslationStrategy};
use crate::instruments::Instruments;

/// How many characters of a metric's name a dead letter tells.
const NAME_CHARS_TOLD: usize = 200;

/// One value of a series that is encoded already.
pub type Sample = weir_series::Sample<Series>;

/// A partition's share of the metrics worker.
pub struct MetricsProcessor {
    translator: Translator<Encode>,
    instruments: Instruments,
    /// Series and bytes that the translator remembers, as last told.
    remembered: (usize, usize),
    /// The samples of one record; empty between records.
    samples: Vec<Sample>,
}

/// Encodes a series once, for all requests that it will be in.
struct Encode {
    symbols: Arc<Symbols>,
}

impl Make for Encode {
    type Family = Arc<Family>;
    type Series = Series;

    fn family(&mut self, metadata: Metadata<'_>) -> Result<Arc<Family>, Reason> {
        let kind = match metadata.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
            Kind::Summary => MetricType::Summary,
        };
        let family = Family::new(&self.symbols, kind, metadata.name, metadata.help, metadata.unit);
        family.map(Arc::new).map_err(too_long)
    }

    fn series(&mut self, labels: &[(&str, &str)], family: &Arc<Family>) -> Result<Series, Reason> {
        Series::new(&self.symbols, labels, family.clone()).map_err(too_long)
    }

    fn weight(series: &Series) -> usize {
        series.bytes()
    }
}

/// The symbols are not full: they are bounded by the series that hold them.
fn too_long(_: SeriesError) -> Reason {
    Reason::TextTooLong
}

/// Why a record is rejected: the reason, and what helps to find the cause.
type Reject = (&'static str, String);

impl MetricsProcessor {
    /// A processor of one partition, as configured; `symbols` are those of the whole worker.
    pub fn new(config: &Config, symbols: &Arc<Symbols>, instruments: Instruments) -> Self {
        let cache_bytes = config.series_cache.get_ref().get_usize();
        Self {
            translator: Translator::new(options(config), cache_bytes, Encode { symbols: symbols.clone() }),
            instruments,
            remembered: (0, 0),
            samples: Vec::new(),
        }
    }

    fn record(&mut self, record: &Record<'_>, out: &mut Outbox<Sample>) -> Result<(), Reject> {
        // A record without a value has nothing in it, as one with an empty request.
        let Some(value) = record.value else { return Ok(()) };
        let headers = (record.headers.get("content-encoding"), record.headers.get("content-type"));
        let payload = Hints::from_headers(headers.0, headers.1)
            .and_then(|hints| decode(Signal::Metrics, value, hints))
            .map_err(|error| (error.reason(), chain(&error)))?;
        let refused = self
            .translator
            .translate(&payload, &mut self.samples)
            .map_err(|error| (error.kind().as_str(), error.to_string()))?;
        for sample in self.samples.drain(..) {
            let bytes = size_of::<Item<Sample>>() - size_of::<Sample>() + sample.bytes();
            out.emit(record.offset, sample.series().hash(), sample, bytes);
        }
        for (reason, count) in refused.let_go {
            self.instruments.let_go(reason.as_str(), count);
        }
        let Some((reason, metric)) = refused.first else { return Ok(()) };
        self.instruments.refused(reason.as_str(), refused.points);
        let name: String = metric.chars().take(NAME_CHARS_TOLD).collect();
        Err((reason.as_str(), format!("{} points refused, the first of metric {name:?}", refused.points)))
    }

    fn tell(&mut self, now: (usize, usize)) {
        self.instruments.remembered(self.remembered, now);
        self.remembered = now;
    }
}

impl Processor for MetricsProcessor {
    type Out = Sample;

    fn restore(&mut self, _key: &[u8], value: &[u8]) -> Result<(), StateError> {
        Err(StateError::Malformed { len: value.len(), why: "this worker keeps no state" })
    }

    fn process(&mut self, batch: &Batch, out: &mut Outbox<Sample>) {
        for record in batch.records() {
            if let Err((reason, detail)) = self.record(&record, out) {
                out.reject(&record, reason, detail);
            }
        }
        self.tell((self.translator.remembered_points(), self.translator.remembered_bytes()));
    }

    fn tick(&mut self, _now: Timestamp, _memory: Memory, _out: &mut Outbox<Sample>) {}
}

impl Drop for MetricsProcessor {
    fn drop(&mut self) {
        self.tell((0, 0));
    }
}

fn options(config: &Config) -> Options {
    let strategy = match config.translation_strategy {
        TranslationStrategy::UnderscoreEscapingWithSuffixes => Strategy::UnderscoreEscapingWithSuffixes,
        TranslationStrategy::UnderscoreEscapingWithoutSuffixes => Strategy::UnderscoreEscapingWithoutSuffixes,
        TranslationStrategy::NoUTF8EscapingWithSuffixes => Strategy::NoUtf8EscapingWithSuffixes,
        TranslationStrategy::NoTranslation => Strategy::NoTranslation,
    };
    let names = |names: &[String]| names.iter().map(|name| name.trim().to_owned()).collect();
    let promote = if config.promote_all_resource_attributes {
        Promote::AllBut(names(config.ignore_resource_attributes.get_ref()))
    } else {
        Promote::Only(names(config.promote_resource_attributes.get_ref()))
    };
    Options {
        strategy,
        promote,
        keep_identifying: config.keep_identifying_resource_attributes,
        convert_histograms: config.convert_histograms_to_nhcb,
        promote_scope: config.promote_scope_metadata,
        underscore_sanitization: config.label_name_underscore_sanitization,
        preserve_multiple_underscores: config.label_name_preserve_multiple_underscores,
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
