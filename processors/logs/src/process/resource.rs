//! What a resource is known by, and what is added to it.

use std::borrow::Cow;

use weir_otlp::{AnyValue, Error};

use super::enrich::tables::{Table, Tables};
use crate::config::Config;

/// The name of an attribute, and the one that it had before.
const RENAMED: [(&str, &str); 1] = [("deployment.environment.name", "deployment.environment")];

/// What a resource is known by.
#[derive(Debug, Default)]
pub struct Resource<'a> {
    /// Its attributes that are text, and those that were added.
    texts: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The names of its other attributes, and whether they have a value.
    others: Vec<(&'a str, bool)>,
    /// How many of the texts it came with; those after them were added.
    own: usize,
    /// Which of the required attributes it has not, by their place in the configuration.
    pub missing: Vec<usize>,
}

impl<'a> Resource<'a> {
    /// Reads a resource, and adds what the configuration and the tables say.
    ///
    /// # Errors
    /// An attribute is malformed.
    pub fn new(resource: &weir_otlp::Resource<'a>, config: &Config, tables: &Tables) -> Result<Self, Error> {
        let mut this = Self::default();
        for attribute in resource.attributes {
            match attribute? {
                (key, AnyValue::String(text)) if !text.is_empty() => this.texts.push((key.into(), text.into())),
                (key, AnyValue::Empty | AnyValue::String(_)) => this.others.push((key, false)),
                (key, _) => this.others.push((key, true)),
            }
        }
        this.own = this.texts.len();
        for (name, older) in RENAMED {
            if let Some(text) = this.text(older).map(str::to_owned) {
                this.add(name, &text);
            }
        }
        for (name, text) in &config.resource {
            this.add(name, text);
        }
        for (lookup, table) in config.lookup.iter().zip(tables) {
            let Some(Table::Lookup(table)) = table.as_deref() else { continue };
            let row = this.text(lookup.key.get_ref()).and_then(|key| table.get(key));
            for (name, text) in row.unwrap_or_default() {
                this.add(name, text);
            }
        }
        let required = config.required.get_ref().iter().enumerate();
        let lacks = |name: &str| this.text(name).is_none() && !this.others.contains(&(name, true));
        this.missing = required.filter(|(_, name)| lacks(name)).map(|(place, _)| place).collect();
        Ok(this)
    }

    /// The text of an attribute.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(key, _)| key == name).map(|(_, text)| text.as_ref())
    }

    /// What was added.
    pub fn added(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().skip(self.own).map(|(name, text)| (name.as_ref(), text.as_ref()))
    }

    fn has(&self, name: &str) -> bool {
        self.text(name).is_some() || self.others.iter().any(|(key, _)| *key == name)
    }

    fn add(&mut self, name: &str, text: &str) {
        if !self.has(name) && !text.is_empty() {
            self.texts.push((name.to_owned().into(), text.to_owned().into()));
        }
    }
}
