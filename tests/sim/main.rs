//! The seeded simulation: thousands of histories, each reproducible from its number.

use std::env;
use std::process::Command;

use weir_tests::sim::{Many, Mutation, run, table};

/// Seeds of an ordinary run; two minutes on two cores at most.
const SEEDS: u64 = 10_000;
/// Seeds within which a bug on purpose has to be found.
const MUTATION_SEEDS: u64 = 4_000;

#[expect(clippy::expect_used, reason = "what is no number fails the test")]
fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().expect(name))
}

/// The bug that a replay is to have, by its name.
fn mutation() -> Option<Mutation> {
    let name = env::var("WEIR_SIM_MUTATION").ok()?;
    Mutation::ALL.into_iter().find(|mutation| format!("{mutation:?}") == name)
}

#[test]
fn every_history_keeps_the_invariants() {
    let first = number("WEIR_SIM_FIRST").unwrap_or(0);
    let seeds = number("WEIR_SIM_SEEDS").unwrap_or(SEEDS);
    let found = Many { first, seeds, lasting: None }.run(None, |_, _| {});
    println!("{}{} seeds in {:.1} s", found.failures(), found.seeds, found.took.as_secs_f64());
    for (what, count) in &found.covered {
        println!("  {count:>8}  {what}");
    }
    assert!(found.failed.is_empty(), "seeds {:?}", found.failed.keys());
}

/// What every run of some length has to have met; else it proves less than it says.
const HAPPENS: [&str; 30] = [
    "a changelog that is lost",
    "a commit after a rebalance, refused",
    "a commit whose outcome is unknown",
    "a compaction that removes tombstones",
    "a dead letter that is too large",
    "a decision that is journalled",
    "a gap that was counted",
    "a marker that comes late",
    "a partition that is added",
    "a partition that is revoked",
    "a partition that opens while the budget is spent",
    "a partition that refuses to open",
    "a partition that was added and begins at its first record",
    "a process that is killed",
    "a process that is stopped past its session timeout",
    "a processor that dies",
    "a redriven record",
    "a state that is too large",
    "a static member that comes back without a rebalance",
    "a transaction of a dead owner that the next one aborts",
    "a transaction that times out",
    "a twin that is fenced",
    "an acknowledgement that comes late",
    "an assignment that is lost",
    "an end of a transaction whose answer is lost",
    "an instance ID that is not released yet",
    "an offset that expires",
    "an offset that is set back",
    "an offset that is set on",
    "an output that is too large",
];

#[test]
fn all_kinds_of_trouble_happen_in_a_thousand_histories() {
    let found = Many { first: 0, seeds: 1_000, lasting: None }.run(None, |_, _| {});
    let missed: Vec<_> = HAPPENS.iter().filter(|what| !found.covered.contains_key(*what)).collect();
    assert!(missed.is_empty(), "never happened: {missed:?}");
}

#[test]
fn a_failing_seed_names_the_command_whose_history_shows_what_does_not_hold() {
    let found = Many { first: 0, seeds: 50, lasting: None }.run(Some(Mutation::CommitsTheNewest), |_, _| {});
    let (seed, violation) = found.failed.first_key_value().unwrap();
    let command = format!(
        "WEIR_SIM_MUTATION=CommitsTheNewest WEIR_SIM_SEED={seed} \
         cargo test -p weir-tests --test sim replay -- --exact --nocapture"
    );
    assert!(found.failures().contains(&command), "{}", found.failures());

    // What that command runs, without building it once more.
    let replayed = Command::new(env::current_exe().unwrap())
        .args(["replay", "--exact", "--nocapture"])
        .env("WEIR_SIM_MUTATION", "CommitsTheNewest")
        .env("WEIR_SIM_SEED", seed.to_string())
        .output()
        .unwrap();
    assert!(!replayed.status.success());
    let told = String::from_utf8(replayed.stdout).unwrap();
    let lines: Vec<_> = told.lines().filter(|line| line.contains(" ms  ")).collect();
    assert!(lines.len() > 20, "{told}");
    let check = lines.iter().position(|line| line.contains(" CHECK ")).unwrap();
    assert!(lines[check].ends_with(violation), "{}", lines[check]);
    for who in ["scenario", "operator", "kafka", "application", "life 1"] {
        assert!(lines[..check].iter().any(|line| line.contains(&format!("  {who} "))), "{who} does nothing in {told}");
    }
}

#[test]
fn replay() {
    let seed = number("WEIR_SIM_SEED").unwrap_or(1);
    let report = run(seed, mutation(), true);
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
