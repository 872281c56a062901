//! Records in, samples out.

mod guard;
pub(crate) mod relabel;
mod routed;
mod tenants;

use std::sync::Arc;

use weir_contract::{Batch, Item, Memory, Outbox, Processor, Record, StateError, Timestamp};
use weir_otlp::{Hints, Signal, decode};
use weir_series::{DeltaLimits, DeltaStateError, Fate, Options, Promote, Strategy, Translator};

use crate::config::{self, Config, Otlp, TranslationStrategy};
use crate::instruments::{Instruments, Speaker};
use crate::process::routed::Encode;
pub use crate::process::routed::{Routed, Shared};
#[cfg(test)]
pub(crate) use crate::process::tenants::Tenants;

/// How many characters of a metric's name a dead letter tells.
const NAME_CHARS_TOLD: usize = 200;

/// One value of a series, which is encoded already.
pub type Sample = weir_series::Sample<Routed>;

/// A partition's share of the metrics worker.
pub struct MetricsProcessor {
    translator: Translator<Encode>,
    instruments: Instruments,
    shared: Arc<Shared>,
    /// Of each endpoint, its counters and the samples that its rules dropped, until they are counted.
    endpoints: Vec<(Speaker, u64)>,
    /// When what was not used is forgotten, in milliseconds since the epoch; never, where nothing is limited.
    ages_ms: Option<i64>,
    /// Series and bytes that the translator remembers, and series of deltas that it keeps, as last told.
    remembered: [usize; 3],
    /// The samples of one record; empty between records.
    samples: Vec<Sample>,
}

/// Why a record is rejected: the reason, and what helps to find the cause.
type Reject = (&'static str, String);

impl MetricsProcessor {
    /// A processor of one partition, as configured; what is shared is so by all of the worker's.
    pub fn new(config: &Config, shared: &Arc<Shared>, instruments: Instruments) -> Self {
        let endpoints = config.remote_write.iter().map(|endpoint| (instruments.speaker(&endpoint.name()), 0));
        let cache_bytes = config.otlp.series_cache.get_ref().get_usize();
        Self {
            translator: Translator::new(options(&config.otlp), cache_bytes, Encode::new(Arc::clone(shared))),
            endpoints: endpoints.collect(),
            shared: Arc::clone(shared),
            ages_ms: None,
            instruments,
            remembered: [0; 3],
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
            .translate(&payload, record.timestamp_ms, &mut self.samples)
            .map_err(|error| (error.kind().as_str(), error.to_string()))?;
        for sample in self.samples.drain(..) {
            let bytes = size_of::<Item<Sample>>() - size_of::<Sample>() + sample.bytes();
            for (place, (_, dropped)) in self.endpoints.iter_mut().enumerate().skip(1) {
                match sample.series().form(place) {
                    Some(form) => out.emit_to(place, record.offset, form.hash(), sample.clone(), bytes),
                    None => *dropped += 1,
                }
            }
            match (sample.mark(), self.endpoints.first_mut()) {
                (0, Some((_, dropped))) => *dropped += 1,
                (0, None) => {}
                (mark, _) => out.emit(record.offset, u64::from(mark) << 32, sample, bytes),
            }
        }
        for (reason, count) in refused.let_go {
            self.instruments.let_go(reason.as_str(), count);
        }
        let Some((reason, metric)) = refused.first else { return Ok(()) };
        self.instruments.refused(reason.as_str(), refused.points);
        let name: String = metric.chars().take(NAME_CHARS_TOLD).collect();
        Err((reason.as_str(), format!("{} points refused, the first of metric {name:?}", refused.points)))
    }

    fn tell(&mut self) {
        let translator = &self.translator;
        self.tell_of([translator.remembered_points(), translator.remembered_bytes(), translator.kept_totals()]);
    }

    fn tell_of(&mut self, now: [usize; 3]) {
        self.instruments.remembered(self.remembered, now);
        self.remembered = now;
    }
}

impl Processor for MetricsProcessor {
    type Out = Sample;

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.translator.restore_total(key, value).map_err(|error| match error {
            DeltaStateError::Version { found, known } => {
                StateError::Version { found: found.into(), known: known.into() }
            }
            DeltaStateError::Key { .. } => StateError::Malformed { len: value.len(), why: "its key is no series'" },
            DeltaStateError::Malformed { len } => StateError::Malformed { len, why: "it is no total of deltas" },
        })?;
        self.tell();
        Ok(())
    }

    fn process(&mut self, batch: &Batch, out: &mut Outbox<Sample>) {
        for record in batch.records() {
            if let Err((reason, detail)) = self.record(&record, out) {
                out.reject(&record, reason, detail);
            }
        }
        for (speaker, dropped) in &mut self.endpoints {
            speaker.dropped(std::mem::take(dropped));
        }
        self.translator.changed_totals(|key, total| match total {
            Some(total) => {
                if let Err(error) = out.remember(key.to_vec(), total) {
                    // A total has a fifth of what a changelog takes, at most.
                    tracing::error!(%error, "the total of a series of deltas was not remembered");
                }
            }
            None => out.forget(key.to_vec()),
        });
        self.tell();
    }

    fn tick(&mut self, now: Timestamp, _memory: Memory, _out: &mut Outbox<Sample>) {
        let Some(guard) = self.shared.guard() else { return };
        guard.tick(now);
        let next = now.0.saturating_add(guard.half_ms());
        if now.0 >= *self.ages_ms.get_or_insert(next) {
            self.ages_ms = Some(next);
            self.translator.age();
            self.tell();
        }
    }
}

impl Drop for MetricsProcessor {
    fn drop(&mut self) {
        self.tell_of([0; 3]);
    }
}

fn options(config: &Otlp) -> Options {
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
    let delta = config.delta_to_cumulative.then(|| DeltaLimits {
        max_series: usize::try_from(*config.delta_max_series.get_ref()).unwrap_or(usize::MAX),
        max_stale_ms: i64::try_from(config.delta_max_stale.get_ref().get().as_millis()).unwrap_or(i64::MAX),
    });
    Options {
        delta,
        strategy,
        promote,
        keep_identifying: config.keep_identifying_resource_attributes,
        convert_histograms: config.convert_histograms_to_nhcb,
        promote_scope: config.promote_scope_metadata,
        underscore_sanitization: config.label_name_underscore_sanitization,
        preserve_multiple_underscores: config.label_name_preserve_multiple_underscores,
        fates: config.attributes.iter().map(fate).collect(),
        tenant: config.tenant.as_ref().map(|tenant| tenant.attribute.get_ref().clone()),
    }
}

fn fate(attribute: &config::Attribute) -> (String, Fate) {
    let fate = match attribute.action {
        config::Fate::Drop => Fate::Drop,
        config::Fate::Hash => Fate::Hash,
    };
    (attribute.name.get_ref().clone(), fate)
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
