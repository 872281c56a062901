//! The seeded simulation: thousands of histories, each reproducible from its number.

use std::env;
use std::time::Instant;

use weir_tests::sim::{Line, Mutation, run};

/// Seeds of an ordinary run; two minutes on one core at most.
const SEEDS: u64 = 10_000;
/// Seeds within which a bug on purpose has to be found.
const MUTATION_SEEDS: u64 = 4_000;

#[expect(clippy::expect_used, reason = "what is no number fails the test")]
fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().expect(name))
}

fn table(history: &[Line]) -> String {
    let who = history.iter().map(|line| line.who.len()).max().unwrap_or(0);
    let lines = history.iter().map(|line| format!("{:>8} ms  {:<who$}  {}\n", line.at_ms, line.who, line.what));
    lines.collect()
}

#[test]
fn every_history_keeps_the_invariants() {
    let first = number("WEIR_SIM_FIRST").unwrap_or(0);
    let seeds = number("WEIR_SIM_SEEDS").unwrap_or(SEEDS);
    let started = Instant::now();
    let mut failed = Vec::new();
    for seed in first..first + seeds {
        let report = run(seed, None, false);
        if let Some(violation) = report.violation {
            println!(
                "seed {seed}: {violation}\n  WEIR_SIM_SEED={seed} cargo test -p weir-tests --test sim replay -- --nocapture"
            );
            failed.push(seed);
            if failed.len() >= 10 {
                break;
            }
        }
    }
    println!("{seeds} seeds in {:.1} s", started.elapsed().as_secs_f64());
    assert!(failed.is_empty(), "seeds {failed:?}");
}

#[test]
fn replay() {
    let seed = number("WEIR_SIM_SEED").unwrap_or(1);
    let report = run(seed, None, true);
    println!("{}", table(&report.history));
    assert_eq!(report.violation, None, "seed {seed}");
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..20 {
        let (once, again) = (run(seed, None, true), run(seed, None, true));
        assert!(once.history.len() > 20, "seed {seed} is a history of {} lines", once.history.len());
        if once.history != again.history {
            let apart = once.history.iter().zip(&again.history).position(|(one, other)| one != other);
            panic!("seed {seed} takes two ways, at line {apart:?}");
        }
    }
    assert_ne!(run(1, None, true).history, run(2, None, true).history);
}

#[test]
fn every_bug_on_purpose_is_found() {
    let mut found = Vec::new();
    for mutation in Mutation::ALL {
        let first = (0..MUTATION_SEEDS).find_map(|seed| Some((seed, run(seed, Some(mutation), false).violation?)));
        match &first {
            Some((seed, violation)) => println!("{mutation:?}: seed {seed}: {violation}"),
            None => println!("{mutation:?}: not found in {MUTATION_SEEDS} seeds"),
        }
        found.push((mutation, first.is_some()));
    }
    let missed: Vec<_> = found.iter().filter(|(_, found)| !found).map(|(mutation, _)| mutation).collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
