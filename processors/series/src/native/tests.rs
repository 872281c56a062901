use proptest::prelude::*;

use super::*;

fn overall(count: u64) -> Overall {
    Overall { time: 2_000_000, start: 1_000_000, flags: 0, count, sum: Some(1.5) }
}

/// Absolute counts by index, empty buckets left out: what a receiver makes of spans and deltas.
fn read(spans: &[BucketSpan], deltas: &[i64]) -> Vec<(i64, u64)> {
    let (mut index, mut count, mut deltas) = (0_i64, 0_i64, deltas.iter());
    let mut buckets = Vec::new();
    for span in spans {
        index += i64::from(span.offset);
        for _ in 0..span.length {
            count += deltas.next().unwrap();
            if count > 0 {
                buckets.push((index, count.unsigned_abs()));
            }
            index += 1;
        }
    }
    assert_eq!(deltas.next(), None, "a delta without a bucket");
    buckets
}

fn counts() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![3 => Just(0_u64), 2 => 1_u64..5, 1 => 1_u64..1 << 40], 0..30)
}

proptest! {
    #[test]
    fn buckets_are_where_they_were_one_index_up(offset in -1000_i32..1000, counts in counts()) {
        let side = Side { offset, counts };
        let (spans, deltas) = side.layout(1).unwrap();
        let want: Vec<_> = (i64::from(offset) + 1..).zip(side.counts).filter(|(_, count)| *count > 0).collect();
        prop_assert_eq!(read(&spans, &deltas), want);
    }

    #[test]
    fn downscaling_adds_up_what_a_coarser_bucket_covers(offset in -1000_i32..1000, counts in counts(), down in 0_u32..40) {
        let side = Side { offset, counts };
        let merged = side.downscaled(down).unwrap();
        let mut want = std::collections::BTreeMap::<i64, u64>::new();
        for (index, count) in (i64::from(offset)..).zip(&side.counts) {
            // Floor division, also of negative indexes.
            *want.entry(index.div_euclid(1 << down)).or_default() += count;
        }
        let got = (i64::from(merged.offset)..).zip(merged.counts);
        prop_assert!(got.eq(want));
    }

    #[test]
    fn a_distribution_that_adds_up_is_one_that_prometheus_takes(
        scale in -4_i32..30, zero_count in 0_u64..9, offset in -500_i32..500, counts in counts(),
    ) {
        let count = zero_count + counts.iter().sum::<u64>();
        let exponential =
            Exponential { scale, zero_count, positive: Side { offset, counts }, ..Exponential::default() };
        let native = exponential.native(&overall(count)).unwrap();
        let buckets: u64 = read(&native.positive_spans, &native.positive_deltas).iter().map(|(_, count)| count).sum();
        prop_assert_eq!(buckets + zero_count, count);
        prop_assert!(native.schema <= 8);
        prop_assert_eq!(exponential.native(&overall(count + 1)), Err(Reason::BucketSumMismatch));
    }

    #[test]
    fn no_buckets_make_it_panic(
        scale: i32, flags in 0_u32..2, offset: i32, other: i32, counts in prop::collection::vec(any::<u64>(), 0..9),
    ) {
        let negative = Side { offset: other, counts: counts.clone() };
        let exponential =
            Exponential { scale, positive: Side { offset, counts: counts.clone() }, negative, ..Exponential::default() };
        let count = counts.iter().fold(0_u64, |sum, count| sum.wrapping_add(*count)).wrapping_mul(2);
        exponential.native(&Overall { flags, ..overall(count) }).ok();
        custom(&Overall { flags, ..overall(count) }, vec![1.0; counts.len().saturating_sub(1)], counts).ok();
    }
}

/// Prometheus's own converter puts a part of such a bucket one index too low.
#[test]
fn a_merged_bucket_behind_empty_ones_stays_whole() {
    let positive = Side { offset: 0, counts: vec![0, 0, 3, 4] };
    let exponential = Exponential { scale: 9, positive, ..Exponential::default() };
    let native = exponential.native(&overall(7)).unwrap();
    assert_eq!(read(&native.positive_spans, &native.positive_deltas), [(2, 7)]);
}

#[test]
fn an_index_beyond_all_numbers_is_refused() {
    let far = |offset| Exponential { positive: Side { offset, counts: vec![1] }, ..Exponential::default() };
    assert_eq!(far(i32::MAX).native(&overall(1)), Err(Reason::BucketIndexOutOfRange));
    assert!(far(i32::MIN).native(&overall(1)).is_ok());
}
