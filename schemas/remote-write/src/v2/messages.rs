//! The messages of 2.0 as prost reads them, and their symbols resolved.

use prost::Message;

use crate::{DecodeError, Histogram, TimeSeries as Series};

#[derive(Clone, PartialEq, Message)]
pub(super) struct Request {
    #[prost(string, repeated, tag = "4")]
    pub(super) symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    pub(super) timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TimeSeries {
    #[prost(uint32, repeated, tag = "1")]
    pub(super) labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub(super) histograms: Vec<Histogram>,
    #[prost(message, repeated, tag = "4")]
    pub(super) exemplars: Vec<Exemplar>,
    #[prost(message, optional, tag = "5")]
    pub(super) metadata: Option<Metadata>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
    #[prost(int64, tag = "3")]
    pub(super) start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Exemplar {
    #[prost(uint32, repeated, tag = "1")]
    pub(super) labels_refs: Vec<u32>,
    #[prost(double, tag = "2")]
    pub(super) value: f64,
    #[prost(int64, tag = "3")]
    pub(super) timestamp: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Metadata {
    #[prost(enumeration = "crate::MetricType", tag = "1")]
    pub(super) kind: i32,
    #[prost(uint32, tag = "3")]
    pub(super) help_ref: u32,
    #[prost(uint32, tag = "4")]
    pub(super) unit_ref: u32,
}

impl From<Sample> for crate::Sample {
    fn from(sample: Sample) -> Self {
        Self { value: sample.value, timestamp_ms: sample.timestamp, start_timestamp_ms: sample.start_timestamp }
    }
}

/// Puts symbols in the place of references, at most `bytes_max` of them all in all.
pub(super) fn resolve(request: Request, bytes_max: usize) -> Result<crate::Request, DecodeError> {
    let symbols = request.symbols;
    if symbols.first().is_some_and(|first| !first.is_empty()) {
        return Err(DecodeError::FirstSymbol { symbols: symbols.len() });
    }
    let mut resolver = Resolver { symbols: &symbols, series: 0, bytes: 0, bytes_max };
    let mut series = Vec::with_capacity(request.timeseries.len());
    for one in request.timeseries {
        series.push(resolver.series(one)?);
        resolver.series += 1;
    }
    Ok(crate::Request { series, families: Vec::new() })
}

struct Resolver<'a> {
    symbols: &'a [String],
    /// Position of the series at hand.
    series: usize,
    bytes: usize,
    bytes_max: usize,
}

impl Resolver<'_> {
    fn series(&mut self, series: TimeSeries) -> Result<Series, DecodeError> {
        let metadata = series.metadata.unwrap_or_default();
        let exemplars = series.exemplars.iter().map(|exemplar| self.exemplar(exemplar));
        let exemplars = exemplars.collect::<Result<_, _>>()?;
        Ok(Series {
            exemplars,
            labels: self.labels(&series.labels_refs)?,
            samples: series.samples.into_iter().map(crate::Sample::from).collect(),
            histograms: series.histograms,
            metadata: crate::Metadata {
                kind: metadata.kind(),
                help: self.optional(metadata.help_ref)?,
                unit: self.optional(metadata.unit_ref)?,
            },
        })
    }

    fn exemplar(&mut self, exemplar: &Exemplar) -> Result<crate::Exemplar, DecodeError> {
        Ok(crate::Exemplar {
            labels: self.labels(&exemplar.labels_refs)?,
            value: exemplar.value,
            timestamp_ms: exemplar.timestamp,
        })
    }

    fn labels(&mut self, refs: &[u32]) -> Result<Vec<(String, String)>, DecodeError> {
        let (pairs, rest) = refs.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(DecodeError::OddRefs { series: self.series, refs: refs.len() });
        }
        pairs.iter().map(|&[name, value]| Ok((self.symbol(name)?, self.symbol(value)?))).collect()
    }

    /// Help and unit refer to 0 when there are none, whether or not there are symbols.
    fn optional(&mut self, reference: u32) -> Result<String, DecodeError> {
        if reference == 0 { Ok(String::new()) } else { self.symbol(reference) }
    }

    fn symbol(&mut self, reference: u32) -> Result<String, DecodeError> {
        let Some(text) = self.symbols.get(reference as usize) else {
            let symbols = self.symbols.len();
            return Err(DecodeError::BadRef { series: self.series, reference, symbols });
        };
        self.bytes += text.len();
        if self.bytes > self.bytes_max {
            return Err(DecodeError::LabelsTooLarge { bytes_max: self.bytes_max });
        }
        Ok(text.clone())
    }
}
