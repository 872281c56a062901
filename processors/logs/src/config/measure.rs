//! `[worker.NAME.enrich.measure]`: what lines are counted to.

use std::collections::BTreeMap;

use serde::Deserialize;
use weir_config::{Checker, Duration, Spanned, unset};
use weir_mask::Class;

use super::{Conditions, Config, names, not_empty, ready_made};
use crate::process::enrich::class;
use crate::process::enrich::severity::Level;
use crate::process::parse::Parser;

/// The topic that metrics go to where nothing is written.
pub const OUTPUT: &str = "telemetry-metrics";

/// How many labels a rule may have: more make series that nobody reads.
const LABELS_MAX: usize = 16;
/// How many bounds a histogram may have: OpenTelemetry's own have 15, and each is a series.
const BOUNDS_MAX: usize = 100;
/// How long a name or a unit may be, in bytes, and a description.
const NAME_BYTES_MAX: usize = 256;
const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// Labels, as Prometheus has them, that are others' already: those of every series, of histograms and summaries, and
/// the one of what is over a rule's limit.
const TAKEN: [&str; 6] = ["job", "instance", "le", "quantile", "_name_", "otel_metric_overflow"];
/// What units are called in the names of metrics, where that is not what they are.
const UNITS: [(&str, &str); 25] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
];

/// What lines are counted to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Measure {
    /// Whether the ready-made rules are there, before those that are written.
    pub ready_made: bool,
    /// The topic that the metrics go to.
    pub output: Spanned<String>,
    /// How often the totals are told, 1s to 5m.
    pub interval: Spanned<Duration>,
    /// Series of one rule in one partition, 1 to 100,000; more are counted together.
    pub max_series: Spanned<u32>,
    /// What is counted or observed.
    pub rule: Vec<MeasureRule>,
}

/// Counts lines, or observes a number in them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureRule {
    /// The name of the metric, as OpenTelemetry has it: `payments.declined`.
    pub name: Spanned<String>,
    /// What it is, for people.
    #[serde(default)]
    pub description: String,
    /// What is observed is measured in: `s`, `By`; lines by default, of which a count is.
    pub unit: Option<String>,
    /// Classes of lines; all where none is written.
    #[serde(default = "nothing")]
    pub class: Spanned<Vec<Class>>,
    /// At least so severe.
    pub severity: Option<Spanned<Level>>,
    /// The parser that took the line.
    pub parser: Option<Spanned<Parser>>,
    /// A regular expression that `service.name` matches.
    pub service: Option<Spanned<String>>,
    /// The name of an attribute that the line or its resource has.
    pub attribute: Option<Spanned<String>>,
    /// A regular expression that this attribute's value matches.
    pub value: Option<Spanned<String>>,
    /// A regular expression that the body matches.
    pub body: Option<Spanned<String>>,
    /// The attribute whose number is observed; lines are counted where none is written.
    pub observe: Option<Spanned<String>>,
    /// The upper bounds of the histogram's buckets; [`MeasureRule::BOUNDS`] where none is written.
    #[serde(default = "nothing")]
    pub bounds: Spanned<Vec<f64>>,
    /// Attributes whose values part the series; `severity`, `weir.class` and `weir.parser` are those of the line.
    #[serde(default = "nothing")]
    pub labels: Spanned<Vec<String>>,
}

fn nothing<T>() -> Spanned<Vec<T>> {
    unset(Vec::new())
}

impl Default for Measure {
    fn default() -> Self {
        Self {
            ready_made: true,
            output: unset(OUTPUT.to_owned()),
            interval: unset(Duration::from_secs(15)),
            max_series: unset(1_000),
            rule: Vec::new(),
        }
    }
}

impl Measure {
    /// Whether anything is measured.
    pub fn is_on(&self) -> bool {
        self.ready_made || !self.rule.is_empty()
    }

    /// All rules, the ready-made ones first.
    pub fn rules(&self) -> Vec<MeasureRule> {
        let mut rules = if self.ready_made { ready_made::rules() } else { Vec::new() };
        rules.extend(self.rule.iter().cloned());
        rules
    }

    pub(super) fn check(&self, config: &Config, at: &mut Checker<'_>) {
        at.within(&self.interval, "interval", Duration::from_secs(1)..=Duration::from_mins(5));
        at.within(&self.max_series, "max_series", 1..=100_000);
        if self.output.get_ref() == config.output.get_ref() {
            at.problem(self.output.span(), "output", "is the topic of the lines: metrics need one of their own");
        }
        let ready_made = if self.ready_made { ready_made::rules() } else { Vec::new() };
        let mut seen: BTreeMap<_, _> =
            ready_made.iter().map(|rule| (rule.exposed(), "a ready-made rule".to_owned())).collect();
        for (index, rule) in self.rule.iter().enumerate() {
            let path = format!("rule[{index}]");
            rule.check(&path, config, at);
            if let Some(other) = seen.get(&rule.exposed()) {
                let message = format!("{other} has this name already: two rules cannot make one metric");
                at.problem(rule.name.span(), &format!("{path}.name"), message);
            }
            seen.insert(rule.exposed(), path.clone());
            let same = |earlier: &&MeasureRule| rule.does_what(earlier);
            if let Some(earlier) = self.rule.iter().take(index).find(same) {
                let message = format!("adds nothing: {} measures the same", earlier.name.get_ref());
                at.problem(rule.name.span(), &path, message);
            }
        }
    }
}

/// A label's name as Prometheus has it, about.
fn exposed(name: &str) -> String {
    let mut exposed = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            exposed.push(c);
        } else if !exposed.ends_with('_') {
            exposed.push('_');
        }
    }
    exposed
}

impl MeasureRule {
    /// The bounds of a histogram where none are written, in seconds as OpenTelemetry advises for durations.
    pub const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

    /// A rule that counts every line.
    pub(super) fn named(name: &str, description: &str) -> Self {
        Self {
            name: unset(name.to_owned()),
            description: description.to_owned(),
            unit: None,
            class: nothing(),
            severity: None,
            parser: None,
            service: None,
            attribute: None,
            value: None,
            body: None,
            observe: None,
            bounds: nothing(),
            labels: nothing(),
        }
    }

    /// What has to be so, class and severity apart.
    pub fn conditions(&self) -> Conditions<'_> {
        Conditions {
            parser: self.parser.as_ref(),
            service: self.service.as_ref(),
            attribute: self.attribute.as_ref(),
            value: self.value.as_ref(),
            body: self.body.as_ref(),
        }
    }

    /// What two metrics share that are one in Prometheus: the words of their names and units, `total` apart.
    fn exposed(&self) -> Vec<String> {
        let words = |text: &str| -> Vec<String> {
            text.split(|c: char| !c.is_ascii_alphanumeric())
                .filter(|word| !word.is_empty())
                .map(str::to_ascii_lowercase)
                .collect()
        };
        let mut all = words(self.name.get_ref());
        let (main, per) = self
            .unit
            .as_deref()
            .and_then(|unit| unit.split_once('/'))
            .map_or_else(|| (self.unit.as_deref().unwrap_or_default(), None), |(main, per)| (main, Some(per)));
        // A number alone and a note in braces say nothing.
        if main != "1" && !main.contains(['{', '}']) {
            let main = UNITS.iter().find(|(unit, _)| *unit == main).map_or(main, |(_, word)| word);
            let new: Vec<_> = words(main).into_iter().filter(|word| !all.contains(word)).collect();
            all.extend(new);
        }
        all.extend(per.into_iter().flat_map(words));
        all.retain(|word| word != "total");
        all
    }

    /// Whether it measures the same of the same lines, by the same labels.
    fn does_what(&self, other: &Self) -> bool {
        let renamed = |rule: &Self| Self { name: unset(String::new()), description: String::new(), ..rule.clone() };
        renamed(self) == renamed(other)
    }

    fn check(&self, path: &str, config: &Config, at: &mut Checker<'_>) {
        self.check_names(path, at);
        self.conditions().check(path, config, at);
        self.check_labels(&format!("{path}.labels"), at);
        if let Some(observe) = &self.observe {
            not_empty(observe, &format!("{path}.observe"), at);
        }
        self.check_bounds(&format!("{path}.bounds"), at);
        self.check_class(&format!("{path}.class"), config, at);
    }

    fn check_names(&self, path: &str, at: &mut Checker<'_>) {
        if !self.name.get_ref().contains(|c: char| c.is_ascii_alphabetic()) {
            let message = "expected a name with a letter from a to z: Prometheus keeps no others";
            at.problem(self.name.span(), &format!("{path}.name"), message);
        }
        let unit = self.unit.as_deref().unwrap_or_default();
        for (key, text, most) in [
            ("name", self.name.get_ref().as_str(), NAME_BYTES_MAX),
            ("unit", unit, NAME_BYTES_MAX),
            ("description", self.description.as_str(), DESCRIPTION_BYTES_MAX),
        ] {
            if text.len() > most {
                at.problem(self.name.span(), &format!("{path}.{key}"), format!("is longer than {most} bytes"));
            }
        }
    }

    /// Reports labels that would not reach Prometheus, or would take another's place there: what they part would be one
    /// series then, with two values at a time.
    fn check_labels(&self, path: &str, at: &mut Checker<'_>) {
        let labels = self.labels.get_ref();
        names(&self.labels, path, at);
        if labels.len() > LABELS_MAX {
            at.problem(self.labels.span(), path, format!("has more than {LABELS_MAX} labels"));
        }
        for (index, name) in labels.iter().enumerate().filter(|(_, name)| !name.trim().is_empty()) {
            let shown = exposed(name);
            let earlier = labels.iter().take(index).find(|earlier| *earlier != name && exposed(earlier) == shown);
            let message = if shown == "_" {
                "expected a name with a letter from a to z or a digit: Prometheus keeps no others".to_owned()
            } else if name.len() > NAME_BYTES_MAX {
                format!("is longer than {NAME_BYTES_MAX} bytes")
            } else if TAKEN.contains(&shown.as_str()) {
                format!("is {shown} in Prometheus, which says something else there: give the attribute another name")
            } else if let Some(earlier) = earlier {
                format!("is {shown} in Prometheus, as {earlier} is: one of them would be lost")
            } else {
                continue;
            };
            at.problem(self.labels.span(), &format!("{path}[{index}]"), message);
        }
    }

    fn check_bounds(&self, path: &str, at: &mut Checker<'_>) {
        let bounds = self.bounds.get_ref();
        let rise = bounds.windows(2).all(|pair| pair.first() < pair.last());
        let message = if bounds.is_empty() {
            return;
        } else if self.observe.is_none() {
            "says of nothing: add observe = \"...\", or leave it out and lines are counted".to_owned()
        } else if bounds.len() > BOUNDS_MAX {
            format!("has more than {BOUNDS_MAX} bounds, and each is a series")
        } else if !rise || !bounds.iter().all(|bound| bound.is_finite()) {
            "expected numbers that rise, each above the one before".to_owned()
        } else {
            return;
        };
        at.problem(self.bounds.span(), path, message);
    }

    /// Reports classes that are there twice, and those that no line of its parser can have.
    fn check_class(&self, path: &str, config: &Config, at: &mut Checker<'_>) {
        let classes = self.class.get_ref();
        let doubled =
            (1..classes.len()).find(|last| classes.iter().take(*last).any(|one| Some(one) == classes.get(*last)));
        if doubled.is_some() {
            at.problem(self.class.span(), path, "a class is listed twice");
        }
        let Some(parser) = self.parser.as_ref().map(|parser| *parser.get_ref()) else { return };
        let may_be = |class: &Class| {
            class::built_in_of(parser).contains(class) || config.class.iter().any(|rule| rule.class.get_ref() == class)
        };
        if !classes.is_empty() && !classes.iter().any(may_be) {
            let message = format!(
                "can never hold: lines of parser {} have other classes, unless a rule in class says so",
                parser.as_str()
            );
            at.problem(self.class.span(), path, message);
        }
    }
}
