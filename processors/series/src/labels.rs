//! The labels of one series.

use std::collections::BTreeMap;

/// The label that holds a metric's name.
pub(crate) const NAME: &str = "__name__";

/// Labels under construction, in order of their names. An empty value is no label.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft(BTreeMap<String, String>);

impl Draft {
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        if value.is_empty() {
            self.0.remove(&name);
        } else {
            self.0.insert(name, value);
        }
    }

    /// Sets a label, or appends to the one that is there.
    pub(crate) fn join(&mut self, name: String, value: &str) {
        match self.0.get_mut(&name) {
            Some(have) => {
                have.push(';');
                have.push_str(value);
            }
            None => self.set(name, value),
        }
    }

    /// Sets a label unless it is there.
    pub(crate) fn set_missing(&mut self, name: &str, value: &str) {
        if !self.0.contains_key(name) {
            self.set(name, value);
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
