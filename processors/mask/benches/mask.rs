//! Masking by one thread: lines without hits, and lines with them.

#![expect(clippy::unwrap_used, clippy::string_slice, reason = "a benchmark may panic")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir_mask::{Class, Config, Counts, Field, Masker};

/// Lines of an application: times, words, numbers, identifiers, and nothing to be masked.
fn plain(bytes: usize) -> String {
    let lines = [
        "2026-11-21T22:03:11.123Z INFO order-service handled request route=/api/v1/orders/{id} status=200 duration_ms=12 ",
        "2026-11-21 22:03:12,456 WARN [worker-7] c.e.shop.Inventory - stock of item 4711 is low, 3 left of 250 ",
        "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7 level=info msg=\"cache refreshed\" entries=1024 ",
        "Connection to database pool established after 3 attempts; retrying the remaining statements in the background ",
        "{\"time\":\"2026-11-21T22:03:13Z\",\"level\":\"error\",\"logger\":\"billing\",\"message\":\"invoice not found\",\"id\":98213} ",
    ];
    lines.iter().cycle().flat_map(|line| line.chars()).take(bytes).collect()
}

/// Prose: words alone.
fn prose(bytes: usize) -> String {
    "the quick brown fox jumps over the lazy dog while servers keep on writing what they have done to their logs "
        .chars()
        .cycle()
        .take(bytes)
        .collect()
}

fn bench(c: &mut Criterion) {
    let masker = Masker::new(&Config::default()).unwrap();
    let hit = |line: &str| format!("{} user=eve@example.com from 192.0.2.19", &line[..line.len() - 40]);
    let mut group = c.benchmark_group("mask");
    for (name, lines) in [
        ("log_300B_no_hits", (0..64).map(|at| plain(300 + at)[at..].to_owned()).collect::<Vec<_>>()),
        ("log_2KiB_no_hits", (0..64).map(|at| plain(2048 + at)[at..].to_owned()).collect()),
        ("prose_300B_no_hits", (0..64).map(|at| prose(300 + at)[at..].to_owned()).collect()),
        (
            "log_300B_1_in_10_hit_twice",
            (0..60)
                .map(|at| {
                    let line = plain(300 + at)[at..].to_owned();
                    if at % 10 == 0 { hit(&line) } else { line }
                })
                .collect(),
        ),
        ("log_300B_2_hits_each", (0..60).map(|at| hit(&plain(300 + at)[at..])).collect()),
    ] {
        group.throughput(Throughput::Bytes(lines.iter().map(|line| line.len() as u64).sum()));
        let (mut out, mut counts) = (String::new(), Counts::default());
        group.bench_function(name, |b| {
            b.iter(|| {
                for line in &lines {
                    out.clear();
                    std::hint::black_box(masker.text(Class::App, Field::BODY, line, &mut out, &mut counts));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
