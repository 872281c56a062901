//! How much of what is personal or secret in logs masking finds, and how much it takes for that: synthetic lines with
//! the truth beside them, made from the public definitions of the formats and not from the detectors.
//!
//! `WEIR_MASK_SEED=N` repeats a run, `WEIR_MASK_LINES=N` makes it longer, `WEIR_MASK_SHOW=N` shows that many of the
//! places that were missed or taken wrongly, by detector.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a step of a test that fails, fails the test"
)]

mod clean;
mod lines;
mod person;
mod random;
mod secret;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use lines::{Line, Truth};
use random::Random;
use weir_mask::{Class, Config, Counts, Detector, Field, Found, Masker, Outcome};

/// Bytes that a place may be larger than the truth: a bracket, a sign.
const SLACK_BYTES: usize = 2;

#[derive(Default)]
struct Score {
    there: usize,
    found: usize,
    right: usize,
    wrong: usize,
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

fn seed() -> u64 {
    let now =
        || u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() % 1_000_000_007).unwrap();
    let seed = number("WEIR_MASK_SEED").unwrap_or_else(now);
    eprintln!("repeat with WEIR_MASK_SEED={seed}");
    seed
}

fn covers(found: &Found, start: usize, end: usize) -> bool {
    found.span.start <= start && end <= found.span.end
}

/// What was there, found, taken rightly and taken wrongly, by detector; and what is shown of it.
#[derive(Default)]
struct Scores {
    by_detector: BTreeMap<&'static str, Score>,
    shown: BTreeMap<(&'static str, &'static str), u64>,
    show: u64,
}

impl Scores {
    fn new(show: u64) -> Self {
        Self { show, ..Self::default() }
    }

    fn add(&mut self, masker: &Masker, Line { text, truth }: &Line) {
        let found = masker.explain(Class::App, Field::BODY, text);
        for one in truth.iter().filter(|one| one.there) {
            let score = self.by_detector.entry(one.detector).or_default();
            score.there += 1;
            if found.iter().any(|found| covers(found, one.start, one.end)) {
                score.found += 1;
            } else {
                self.tell("missed", one.detector, &text[one.start..one.end], text);
            }
        }
        for one in &found {
            let detector = one.detector.name();
            let is = |start: usize, end: usize| {
                covers(one, start, end) && one.span.len() <= end - start + SLACK_BYTES
                    || start <= one.span.start && one.span.end <= end
            };
            let score = self.by_detector.entry(detector).or_default();
            if truth.iter().any(|one| is(one.start, one.end)) {
                score.right += 1;
            } else {
                score.wrong += 1;
                self.tell("wrong", detector, &text[one.span.clone()], text);
            }
        }
    }

    fn tell(&mut self, what: &'static str, detector: &'static str, part: &str, line: &str) {
        let count = self.shown.entry((what, detector)).or_default();
        *count += 1;
        if *count <= self.show {
            eprintln!("{what:6} {detector:13} {part:?} in {line:?}");
        }
    }

    /// Prints recall and precision of each detector; those that miss the goals.
    fn print(&self) -> Vec<(&'static str, f64, f64)> {
        let share = |part: usize, of: usize| if of == 0 { 100.0 } else { 100.0 * part as f64 / of as f64 };
        eprintln!("{:13} {:>7} {:>9} {:>9}", "detector", "there", "recall %", "precision %");
        let mut below = Vec::new();
        for (detector, score) in &self.by_detector {
            let (recall, precision) = (share(score.found, score.there), share(score.right, score.right + score.wrong));
            eprintln!("{detector:13} {:>7} {recall:>9.2} {precision:>9.2}", score.there);
            if recall < 99.0 || precision < 98.0 {
                below.push((*detector, recall, precision));
            }
        }
        below
    }
}

#[test]
fn the_goals_are_met_on_lines_never_seen_before() {
    let masker = Masker::new(&Config::default()).unwrap();
    let mut random = Random::new(seed());
    let mut scores = Scores::new(number("WEIR_MASK_SHOW").unwrap_or(3));
    let count = number("WEIR_MASK_LINES").unwrap_or(30_000);
    (0..count).for_each(|_| scores.add(&masker, &lines::line(&mut random)));
    eprintln!("{count} lines");
    let below = scores.print();
    assert!(scores.by_detector.len() >= 17, "only {} detectors met anything", scores.by_detector.len());
    assert!(below.is_empty(), "below the goals: {below:?}");
}

/// Lines in the forms that products document, with what is to be found marked in them; most have what only looks alike.
#[test]
fn lines_of_documented_formats_are_masked_where_they_should_be_and_nowhere_else() {
    let masker = Masker::new(&Config::default()).unwrap();
    let mut scores = Scores::new(u64::MAX);
    let all = include_str!("formats.txt").lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    let count = all.clone().inspect(|line| scores.add(&masker, &marked(line))).count();
    eprintln!("{count} lines");
    scores.print();
    let (there, missed, wrong) = scores.by_detector.values().fold((0, 0, 0), |(there, missed, wrong), score| {
        (there + score.there, missed + score.there - score.found, wrong + score.wrong)
    });
    assert!(count >= 190 && there >= 100, "{count} lines with {there} places");
    assert_eq!((missed, wrong), (0, 0), "of {there} places");
}

/// A line with what is to be found in it marked: `⟦email:eve@example.com⟧`.
fn marked(line: &str) -> Line {
    let (mut text, mut truth, mut rest) = (String::new(), Vec::new(), line);
    while let Some((before, (mark, after))) =
        rest.split_once('⟦').and_then(|(before, marked)| Some((before, marked.split_once('⟧')?)))
    {
        let (name, value) = mark.split_once(':').unwrap();
        let (name, there) = name.strip_prefix('~').map_or((name, true), |name| (name, false));
        let detector = Detector::ALL.into_iter().map(Detector::name).find(|detector| *detector == name).unwrap();
        text.push_str(before);
        truth.push(Truth { detector, start: text.len(), end: text.len() + value.len(), there });
        text.push_str(value);
        rest = after;
    }
    text.push_str(rest);
    Line { text, truth }
}

#[test]
fn a_masked_line_is_masked_for_good_and_json_stays_json() {
    let masker = Masker::new(&Config::default()).unwrap();
    let mut random = Random::new(seed());
    for _ in 0..number("WEIR_MASK_LINES").unwrap_or(10_000) {
        let Line { text, .. } = lines::line(&mut random);
        let (mut out, mut again, mut counts) = (String::new(), String::new(), Counts::default());
        if masker.text(Class::App, Field::BODY, &text, &mut out, &mut counts) != Outcome::Changed {
            continue;
        }
        assert_eq!(
            masker.text(Class::App, Field::BODY, &out, &mut again, &mut counts),
            Outcome::Same,
            "{text}\n{out}\n{again}"
        );
        // A number alone is JSON, too, and no document of a log.
        if text.starts_with(['{', '[']) && serde_json::from_str::<serde_json::Value>(&text).is_ok() {
            assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{text}\n{out}");
        }
    }
}
