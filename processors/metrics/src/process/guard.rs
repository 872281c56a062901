//! How many series there are, and whether there may be one more.
//!
//! A series counts as long as a partition remembers it, and until the end of the window after that, so that one that
//! comes back within the window is no new one. Known series are never asked about: what costs is a new one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use weir_contract::Timestamp;
use weir_series::Reason;

use crate::config::Limits;

/// How many metrics are told.
const TOLD: usize = 10;

/// How many metrics of a tenant are counted that have no series, as all of theirs were refused.
const METRICS_REFUSED_MAX: usize = 1_000;

/// The series of a process, within their limits.
#[derive(Debug)]
pub(crate) struct Guard {
    per_tenant: usize,
    per_metric: usize,
    /// Half of the window.
    half_ms: i64,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    /// By the tenant's number.
    tenants: HashMap<u64, OfTenant>,
    /// Halves of windows so far.
    half: u32,
    /// When the next one begins.
    next_ms: Option<i64>,
}

#[derive(Debug, Default)]
struct OfTenant {
    /// By the hash of their labels.
    series: HashMap<u64, Counts>,
    metrics: HashMap<Arc<str>, OfMetric>,
}

#[derive(Debug)]
struct Counts {
    metric: Arc<str>,
    /// Partitions that remember it.
    holders: u32,
    /// The half in which the last of them forgot it.
    left: u32,
}

#[derive(Debug, Default, Clone, Copy)]
struct OfMetric {
    series: usize,
    /// Points refused, in this half and in the one before.
    refused: [u64; 2],
    /// New series, in the same.
    grown: [u64; 2],
}

/// A series that is counted; forgotten when it is dropped.
#[derive(Debug)]
pub(crate) struct Live {
    guard: Arc<Guard>,
    tenant: u64,
    hash: u64,
}

impl Drop for Live {
    fn drop(&mut self) {
        let mut counted = self.guard.counted.lock();
        let half = counted.half;
        let series = counted.tenants.get_mut(&self.tenant).and_then(|tenant| tenant.series.get_mut(&self.hash));
        if let Some(series) = series {
            series.holders = series.holders.saturating_sub(1);
            series.left = half;
        }
    }
}

impl Guard {
    /// A guard of limits; none where there are none.
    pub(crate) fn new(limits: &Limits) -> Option<Arc<Self>> {
        let Limits { series_per_tenant, series_per_metric, window } = limits;
        if series_per_tenant.is_none() && series_per_metric.is_none() {
            return None;
        }
        let limit = |limit: &Option<weir_config::Spanned<u32>>| {
            limit.as_ref().and_then(|limit| usize::try_from(*limit.get_ref()).ok()).unwrap_or(usize::MAX)
        };
        Some(Arc::new(Self {
            per_tenant: limit(series_per_tenant),
            per_metric: limit(series_per_metric),
            half_ms: i64::try_from(window.get_ref().get().as_millis() / 2).unwrap_or(i64::MAX),
            counted: Mutex::default(),
        }))
    }

    /// Half of the window, in milliseconds.
    pub(crate) fn half_ms(&self) -> i64 {
        self.half_ms
    }

    /// Counts a series of a tenant, by the hash of its labels. `admitted` says that others of the same point were
    /// counted: a point is not refused in part.
    ///
    /// # Errors
    /// It is a new one, and there are as many as there may be.
    pub(crate) fn admit(
        self: &Arc<Self>,
        tenant: u64,
        metric: &Arc<str>,
        hash: u64,
        admitted: bool,
    ) -> Result<Live, Reason> {
        let mut counted = self.counted.lock();
        let of = counted.tenants.entry(tenant).or_default();
        if let Some(series) = of.series.get_mut(&hash) {
            series.holders += 1;
        } else {
            let have = of.metrics.get(metric).copied().unwrap_or_default();
            let refused = match () {
                () if admitted => None,
                () if of.series.len() >= self.per_tenant => Some(Reason::TenantSeriesLimit),
                () if have.series >= self.per_metric => Some(Reason::MetricSeriesLimit),
                () => None,
            };
            if let Some(reason) = refused {
                if of.metrics.contains_key(metric) || of.metrics.len() < of.series.len() + METRICS_REFUSED_MAX {
                    of.metrics.entry(Arc::clone(metric)).or_default().refused[0] += 1;
                }
                return Err(reason);
            }
            of.series.insert(hash, Counts { metric: Arc::clone(metric), holders: 1, left: 0 });
            let metric = of.metrics.entry(Arc::clone(metric)).or_default();
            metric.series += 1;
            metric.grown[0] += 1;
        }
        Ok(Live { guard: Arc::clone(self), tenant, hash })
    }

    /// Lets time pass: what was forgotten half a window ago or more does not count any more.
    pub(crate) fn tick(&self, now: Timestamp) {
        let counted = &mut *self.counted.lock();
        let next = *counted.next_ms.get_or_insert(now.0.saturating_add(self.half_ms));
        if now.0 < next {
            return;
        }
        counted.next_ms = Some(now.0.saturating_add(self.half_ms));
        counted.half = counted.half.wrapping_add(1);
        let half = counted.half;
        counted.tenants.retain(|_, of| {
            let OfTenant { series, metrics } = of;
            for metric in metrics.values_mut() {
                metric.refused = [0, metric.refused[0]];
                metric.grown = [0, metric.grown[0]];
            }
            series.retain(|_, counts| {
                let stays = counts.holders > 0 || half.wrapping_sub(counts.left) < 2;
                if !stays && let Some(metric) = metrics.get_mut(&counts.metric) {
                    metric.series = metric.series.saturating_sub(1);
                }
                stays
            });
            metrics.retain(|_, metric| metric.series > 0 || metric.refused[1] > 0);
            !metrics.is_empty()
        });
    }

    /// What is told at `/status`: names of metrics, never of tenants, which are values.
    pub(crate) fn told(&self) -> Value {
        let counted = self.counted.lock();
        let mut metrics: HashMap<&str, OfMetric> = HashMap::new();
        for (name, of) in counted.tenants.values().flat_map(|tenant| &tenant.metrics) {
            let all = metrics.entry(name).or_default();
            all.series += of.series;
            for (all, one) in [(&mut all.refused, of.refused), (&mut all.grown, of.grown)] {
                all.iter_mut().zip(one).for_each(|(all, one)| *all += one);
            }
        }
        let top = |of: fn(&OfMetric) -> u64, word: &str| -> Vec<Value> {
            let mut top: Vec<_> = metrics.iter().filter(|(_, metric)| of(metric) > 0).collect();
            top.sort_by_key(|(name, metric)| (std::cmp::Reverse(of(metric)), **name));
            let shown =
                |(name, metric): (&&str, &OfMetric)| json!({"metric": name, "series": metric.series, word: of(metric)});
            top.into_iter().take(TOLD).map(shown).collect()
        };
        json!({
            "series": counted.tenants.values().map(|tenant| tenant.series.len()).sum::<usize>(),
            "tenants": counted.tenants.len(),
            "refused": top(|metric| metric.refused.iter().sum(), "points_refused"),
            "growing": top(|metric| metric.grown.iter().sum(), "series_new"),
        })
    }
}

#[cfg(test)]
mod tests;
