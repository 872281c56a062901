use proptest::prelude::*;
use weir_config::unset;

use super::*;

const HALF_MS: i64 = 30_000;

fn guard(per_tenant: Option<u32>, per_metric: Option<u32>) -> Arc<Guard> {
    let limits = Limits {
        series_per_tenant: per_tenant.map(unset),
        series_per_metric: per_metric.map(unset),
        window: unset(weir_config::Duration::from_mins(1)),
    };
    Guard::new(&limits).unwrap()
}

fn admit(guard: &Arc<Guard>, tenant: u64, metric: &str, hash: u64) -> Result<Live, Reason> {
    guard.admit(tenant, &metric.into(), hash, false)
}

#[test]
fn without_limits_nothing_is_counted() {
    assert!(Guard::new(&Limits::default()).is_none());
}

#[test]
fn each_tenant_and_each_metric_of_it_has_so_many_series() {
    let guard = guard(Some(3), Some(2));
    let held: Vec<_> =
        [("m", 1), ("m", 2), ("n", 3)].map(|(metric, hash)| admit(&guard, 1, metric, hash).unwrap()).into();
    assert_eq!(admit(&guard, 1, "n", 4).unwrap_err(), Reason::TenantSeriesLimit);
    let _other = admit(&guard, 2, "m", 1).unwrap();
    let _another = admit(&guard, 2, "m", 2).unwrap();
    assert_eq!(admit(&guard, 2, "m", 3).unwrap_err(), Reason::MetricSeriesLimit);
    assert_eq!(held.len(), 3);
}

/// Guards: old series are never refused, whoever remembers them, or forgets and meets them again.
#[test]
fn a_series_that_is_known_is_never_refused() {
    let guard = guard(Some(1), None);
    let here = admit(&guard, 1, "m", 1).unwrap();
    let there = admit(&guard, 1, "m", 1).unwrap();
    drop((here, there));
    assert_eq!(admit(&guard, 1, "m", 2).unwrap_err(), Reason::TenantSeriesLimit);
    admit(&guard, 1, "m", 1).unwrap();
}

#[test]
fn a_point_is_not_refused_in_part() {
    let guard = guard(Some(1), Some(1));
    let _sum = guard.admit(1, &"m".into(), 1, false).unwrap();
    let _count = guard.admit(1, &"m".into(), 2, true).unwrap();
    assert_eq!(guard.admit(1, &"m".into(), 3, false).unwrap_err(), Reason::TenantSeriesLimit);
}

#[test]
fn what_was_forgotten_for_half_a_window_makes_room() {
    let guard = guard(Some(2), None);
    guard.tick(Timestamp(0));
    let kept = admit(&guard, 1, "m", 1).unwrap();
    drop(admit(&guard, 1, "m", 2).unwrap());
    let full = |now| {
        guard.tick(Timestamp(now));
        admit(&guard, 1, "m", 3).is_err()
    };
    assert!(full(HALF_MS - 1) && full(HALF_MS) && full(2 * HALF_MS - 1));
    assert!(!full(2 * HALF_MS), "that one is gone");
    drop(kept);
    for half in 3..6 {
        guard.tick(Timestamp(half * HALF_MS));
    }
    assert!(guard.counted.lock().tenants.is_empty(), "nothing is kept of nobody");
}

#[test]
fn metrics_that_are_refused_and_that_grow_are_told_by_name() {
    let guard = guard(Some(4), Some(3));
    guard.tick(Timestamp(0));
    let _held: Vec<_> =
        [("m", 1), ("m", 2), ("m", 3), ("n", 4)].map(|(name, hash)| admit(&guard, 7, name, hash)).into();
    for hash in 10..15 {
        admit(&guard, 7, "new", hash).unwrap_err();
    }
    admit(&guard, 7, "m", 9).unwrap_err();
    let expected = json!({
        "series": 4, "tenants": 1,
        "refused": [
            {"metric": "new", "series": 0, "points_refused": 5}, {"metric": "m", "series": 3, "points_refused": 1},
        ],
        "growing": [{"metric": "m", "series": 3, "series_new": 3}, {"metric": "n", "series": 1, "series_new": 1}],
    });
    assert_eq!(guard.told(), expected);
    guard.tick(Timestamp(HALF_MS));
    assert_eq!(guard.told(), expected, "of the last half, too");
    guard.tick(Timestamp(2 * HALF_MS));
    assert_eq!(guard.told(), json!({"series": 4, "tenants": 1, "refused": [], "growing": []}));
}

/// Guards: invariant 10, names of metrics that are all refused do not grow without end.
#[test]
fn refused_metrics_are_bounded() {
    let guard = guard(Some(1), None);
    let _one = admit(&guard, 1, "m", 0).unwrap();
    for n in 0..10 * METRICS_REFUSED_MAX as u64 {
        admit(&guard, 1, &format!("m{n}"), n + 1).unwrap_err();
    }
    assert!(guard.counted.lock().tenants[&1].metrics.len() <= METRICS_REFUSED_MAX + 1);
}

proptest! {
    /// What is counted of a metric is what is counted of its tenant, and never more than the limits.
    #[test]
    fn counts_add_up(steps in prop::collection::vec((0_u64..2, 0_u64..40, 0_u8..4), 0..300)) {
        let guard = guard(Some(12), Some(7));
        let mut held: HashMap<(u64, u64), Vec<Live>> = HashMap::new();
        for (at, (tenant, hash, what)) in (0_i64..).zip(steps) {
            match what {
                0 | 1 => {
                    let known = held.get(&(tenant, hash)).is_some_and(|lives| !lives.is_empty());
                    match admit(&guard, tenant, ["m", "n", "o"][usize::try_from(hash % 3).unwrap()], hash) {
                        Ok(live) => held.entry((tenant, hash)).or_default().push(live),
                        Err(_) => prop_assert!(!known, "an old one"),
                    }
                }
                2 => drop(held.get_mut(&(tenant, hash)).and_then(Vec::pop)),
                _ => guard.tick(Timestamp(at * HALF_MS / 3)),
            }
            for of in guard.counted.lock().tenants.values() {
                prop_assert!(of.series.len() <= 12);
                prop_assert_eq!(of.series.len(), of.metrics.values().map(|metric| metric.series).sum::<usize>());
                prop_assert!(of.metrics.values().all(|metric| metric.series <= 7));
            }
        }
    }
}
