//! Metrics records: one instance, all its series, a few steps of time.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::catalog::{self, Attribute, Buckets, Data, Row, Service};
use crate::incident::Incident;
use crate::resource::{scope, text};
use crate::world::{Life, Origin, World, level_value, sum, whole};

/// A request for one service with every data point in place; only the resource, times and values differ
/// from record to record.
#[derive(Default)]
pub(crate) struct Template {
    pub request: ExportMetricsServiceRequest,
    /// Steps of time in a record.
    pub steps: usize,
}

impl Template {
    /// As many whole steps as make up `points_per_record`, at least one.
    pub(crate) fn new(service: &Service, points_per_record: usize) -> Self {
        let rows: usize = service.metrics.iter().map(|metric| row_count(&metric.data)).sum();
        let steps = (points_per_record / rows.max(1)).max(1);
        let metrics = service.metrics.iter().map(|metric| template_metric(metric, steps)).collect();
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() }];
        let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
        Self { request: ExportMetricsServiceRequest { resource_metrics }, steps }
    }

    /// Writes an instance's values at `times_ms` (as many as steps); returns the number of data points.
    pub(crate) fn fill(
        &mut self,
        world: &World,
        life: &Life,
        service: &Service,
        times_ms: &[i64],
        resource: Resource,
    ) -> u32 {
        let mut filler = Filler { world, life, times_ms, row_number: 0, points: 0 };
        for resource_metrics in &mut self.request.resource_metrics {
            resource_metrics.resource = Some(resource.clone());
            let metrics = resource_metrics.scope_metrics.iter_mut().flat_map(|scope| &mut scope.metrics);
            for (metric, spec) in metrics.zip(service.metrics) {
                filler.metric(metric, spec);
            }
        }
        filler.points
    }
}

fn row_count(data: &Data) -> usize {
    match data {
        Data::Gauge(rows) | Data::UpDown(rows) => rows.len(),
        Data::Counter(rows) => rows.len(),
        Data::Histogram(_, rows) => rows.len(),
    }
}

fn template_metric(spec: &catalog::Metric, steps: usize) -> Metric {
    let temporality = AggregationTemporality::Cumulative.into();
    let data = match &spec.data {
        Data::Gauge(rows) => metric::Data::Gauge(Gauge { data_points: numbers(rows, steps) }),
        Data::UpDown(rows) => metric::Data::Sum(Sum {
            data_points: numbers(rows, steps),
            aggregation_temporality: temporality,
            is_monotonic: false,
        }),
        Data::Counter(rows) => metric::Data::Sum(Sum {
            data_points: numbers(rows, steps),
            aggregation_temporality: temporality,
            is_monotonic: true,
        }),
        Data::Histogram(buckets, rows) => metric::Data::Histogram(Histogram {
            data_points: histograms(buckets, rows, steps),
            aggregation_temporality: temporality,
        }),
    };
    Metric {
        name: spec.name.into(),
        description: spec.description.into(),
        unit: spec.unit.into(),
        data: Some(data),
        ..Metric::default()
    }
}

fn numbers<M>(rows: &[Row<M>], steps: usize) -> Vec<NumberDataPoint> {
    let point = |row: &Row<M>| NumberDataPoint { attributes: attributes(row.attributes), ..NumberDataPoint::default() };
    rows.iter().flat_map(|row| vec![point(row); steps]).collect()
}

fn histograms(buckets: &Buckets, rows: &[Row<&[i64]>], steps: usize) -> Vec<HistogramDataPoint> {
    let point = |row: &Row<&[i64]>| HistogramDataPoint {
        attributes: attributes(row.attributes),
        explicit_bounds: buckets.bounds.iter().map(|(bound, _)| *bound).collect(),
        ..HistogramDataPoint::default()
    };
    rows.iter().flat_map(|row| vec![point(row); steps]).collect()
}

fn attributes(attributes: &[Attribute]) -> Vec<opentelemetry_proto::tonic::common::v1::KeyValue> {
    attributes.iter().map(|(key, _, value)| text(key, *value)).collect()
}

/// Walks a template and the catalogue side by side.
struct Filler<'a> {
    world: &'a World,
    life: &'a Life,
    times_ms: &'a [i64],
    row_number: u64,
    points: u32,
}

impl<'a> Filler<'a> {
    fn metric(&mut self, metric: &mut Metric, spec: &catalog::Metric) {
        let incident = spec.incident;
        let world = self.world;
        match (&mut metric.data, &spec.data) {
            (Some(metric::Data::Gauge(gauge)), Data::Gauge(rows)) => {
                self.numbers(&mut gauge.data_points, rows, incident, |origin, row, at_ms| {
                    number_data_point::Value::AsDouble(level_value(world.level(origin, row, at_ms), false))
                });
            }
            (Some(metric::Data::Sum(sum)), Data::UpDown(rows)) => {
                self.numbers(&mut sum.data_points, rows, incident, |origin, row, at_ms| {
                    number_data_point::Value::AsInt(whole(world.level(origin, row, at_ms)))
                });
            }
            (Some(metric::Data::Sum(sum)), Data::Counter(rows)) => {
                self.numbers(&mut sum.data_points, rows, incident, |origin, row, at_ms| {
                    let count = world.flow(origin, 0, row.normal, row.bad, at_ms);
                    number_data_point::Value::AsInt(count.cast_signed())
                });
            }
            (Some(metric::Data::Histogram(histogram)), Data::Histogram(buckets, rows)) => {
                self.histograms(&mut histogram.data_points, buckets, rows, incident);
            }
            _ => {}
        }
    }

    /// The series that comes next.
    fn next(&mut self, incident: Option<Incident>) -> Origin<'a> {
        let row_number = self.row_number;
        self.row_number += 1;
        Origin { life: self.life, row_number, incident }
    }

    fn numbers<M>(
        &mut self,
        points: &mut [NumberDataPoint],
        rows: &[Row<M>],
        incident: Option<Incident>,
        value: impl Fn(&Origin<'_>, &Row<M>, i64) -> number_data_point::Value,
    ) {
        for (points, row) in points.chunks_mut(self.times_ms.len().max(1)).zip(rows) {
            let origin = self.next(incident);
            for (point, at_ms) in points.iter_mut().zip(self.times_ms) {
                point.start_time_unix_nano = nanos(self.life.birth_ms);
                point.time_unix_nano = nanos(*at_ms);
                point.value = Some(value(&origin, row, *at_ms));
                self.points += 1;
            }
        }
    }

    fn histograms(
        &mut self,
        points: &mut [HistogramDataPoint],
        buckets: &Buckets,
        rows: &[Row<&'static [i64]>],
        incident: Option<Incident>,
    ) {
        for (points, row) in points.chunks_mut(self.times_ms.len().max(1)).zip(rows) {
            let origin = self.next(incident);
            for (point, at_ms) in points.iter_mut().zip(self.times_ms) {
                point.start_time_unix_nano = nanos(self.life.birth_ms);
                point.time_unix_nano = nanos(*at_ms);
                point.bucket_counts.clear();
                point.bucket_counts.extend(self.world.spread(&origin, row, *at_ms));
                point.count = point.bucket_counts.iter().sum();
                point.sum = Some(sum(buckets, point.bucket_counts.iter().copied()));
                self.points += 1;
            }
        }
    }
}

fn nanos(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000)
}
