//! `[worker.NAME.enrich.volume]`: how much of the lines leaves; nothing of it is on by default.

use serde::Deserialize;
use weir_config::{ByteSize, Checker, Spanned, unset};
use weir_mask::Class;

use crate::process::enrich::severity::Level;

/// The classes whose lines are never dropped or cut.
pub const KEPT: [Class; 2] = [Class::Audit, Class::Security];

/// How much of the lines leaves.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Volume {
    /// Whether a line that repeats another of its record is dropped, and counted in that one's `weir.repeated`.
    pub repeated: bool,
    /// The longest body that is a text, 256B to 1GiB; of longer ones the beginning leaves.
    pub max_body: Option<Spanned<ByteSize>>,
    /// The longest text in an attribute, 64B to 1GiB.
    pub max_attribute: Option<Spanned<ByteSize>>,
    /// Which lines are sampled, or bounded in number; of those that a line is of, the first counts.
    pub limit: Vec<Limit>,
}

/// Samples lines, or bounds their number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Classes of lines; all but audit and security where none is written.
    #[serde(default = "nothing")]
    pub class: Spanned<Vec<Class>>,
    /// At most so severe; lines of which that is not known are not among them.
    pub up_to: Option<Spanned<Level>>,
    /// The share that is kept, from 0 to below 1.
    pub keep: Option<Spanned<f64>>,
    /// How many leave a second, by the times of Kafka's records, in each partition.
    pub per_second: Option<Spanned<u32>>,
}

fn nothing() -> Spanned<Vec<Class>> {
    unset(Vec::new())
}

impl Volume {
    /// Whether it needs to know how many lines left in the second at hand.
    pub fn counts(&self) -> bool {
        self.limit.iter().any(|limit| limit.per_second.is_some())
    }

    pub(super) fn check(&self, at: &mut Checker<'_>) {
        let most = ByteSize::gib(1);
        if let Some(max) = &self.max_body {
            at.within(max, "max_body", ByteSize::bytes(256)..=most);
        }
        if let Some(max) = &self.max_attribute {
            at.within(max, "max_attribute", ByteSize::bytes(64)..=most);
        }
        for (index, limit) in self.limit.iter().enumerate() {
            let path = format!("limit[{index}]");
            limit.check(&path, at);
            let covers = |(_, earlier): &(usize, &Limit)| earlier.covers(limit);
            if let Some((before, earlier)) = self.limit.iter().take(index).enumerate().find(covers) {
                let message = if limit.covers(earlier) {
                    format!("contradicts limit[{before}], which is of the same lines, and comes first")
                } else {
                    format!("can never hold: limit[{before}] is of all its lines, and comes first")
                };
                at.problem(limit.place(), &path, message);
            }
        }
    }
}

impl Limit {
    /// Whether lines of a class are among its own.
    pub fn is_of(&self, class: Class) -> bool {
        let classes = self.class.get_ref();
        !KEPT.contains(&class) && (classes.is_empty() || classes.contains(&class))
    }

    /// Whether every line that is another's is its own, too.
    fn covers(&self, other: &Self) -> bool {
        let level = |limit: &Self| limit.up_to.as_ref().map(|level| *level.get_ref());
        let as_severe = match (level(self), level(other)) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(others)) => own >= others,
        };
        as_severe && Class::ALL.into_iter().filter(|class| other.is_of(*class)).all(|class| self.is_of(class))
    }

    fn place(&self) -> std::ops::Range<usize> {
        let keep = self.keep.as_ref().map(Spanned::span);
        keep.or(self.per_second.as_ref().map(Spanned::span)).unwrap_or_else(|| self.class.span())
    }

    fn check(&self, path: &str, at: &mut Checker<'_>) {
        if let Some(class) = self.class.get_ref().iter().find(|class| KEPT.contains(class)) {
            let message = format!("lines of class {} are never dropped", class.name());
            at.problem(self.class.span(), &format!("{path}.class"), message);
        }
        if let Some(keep) = self.keep.as_ref().filter(|keep| !(0.0..1.0).contains(keep.get_ref())) {
            let message = "expected the share that is kept, from 0 to below 1, such as 0.1";
            at.problem(keep.span(), &format!("{path}.keep"), message);
        }
        if self.keep.is_none() && self.per_second.is_none() {
            at.problem(
                self.place(),
                path,
                "says nothing: add keep = 0.1, a share, or per_second = 100, a number of lines",
            );
        }
    }
}
