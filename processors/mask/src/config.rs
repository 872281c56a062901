//! `[worker.NAME.enrich.mask]`: what is done with what the detectors find, in which logs, and the keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_config::{Checker, Secret, Spanned, quoted};

use crate::key;
use crate::{Action, Class, Detector};

/// The longest name of a key, in bytes: it stands in every hash.
const KEY_ID_BYTES_MAX: usize = 32;

/// What is done with what the detectors find. The defaults need no key, and are those of
/// [`Detector::default_action`].
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Keys of `hash` and `pseudonymise`; the last one is the newest and the one that is used.
    pub keys: Keys,
    /// What is done with what a detector finds, in logs of every class.
    pub actions: Actions,
    /// The same for one class alone; goes before `actions`.
    pub class: BTreeMap<Class, Actions>,
    /// What is done with a field's whole value, whatever is in it: by its name, or the name's last parts.
    ///
    /// `user.id` is also `enduser.user.id`, and not `user.identity`; case does not matter. Goes before everything.
    pub fields: BTreeMap<Spanned<String>, Spanned<Action>>,
}

/// Actions by detector.
pub type Actions = BTreeMap<Detector, Spanned<Action>>;

/// Keys, the newest last.
pub type Keys = Vec<KeyConfig>;

/// A key of `hash` and `pseudonymise`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// Its name, which stands in every hash that was made with it.
    pub id: Spanned<String>,
    /// The key itself: `${file:/run/secrets/mask-2026}`.
    pub key: Spanned<Secret>,
    /// How it is written.
    #[serde(default)]
    pub encoding: Encoding,
}

/// How a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal digits: `openssl rand -hex 32`.
    #[default]
    Hex,
    /// Base64, with or without padding, of either alphabet: `openssl rand -base64 32`.
    Base64,
    /// The text itself.
    Raw,
}

impl Config {
    /// What is done with what `detector` finds in logs of `class`, before it is known whether there is a key.
    pub(crate) fn action(&self, class: Class, detector: Detector) -> Action {
        let configured =
            self.class.get(&class).and_then(|of| of.get(&detector)).or_else(|| self.actions.get(&detector));
        configured.map_or_else(|| detector.default_action(class), |action| *action.get_ref())
    }

    /// Reports keys that cannot be used, actions that do not fit their detector, and rules that contradict.
    pub fn check(&self, at: &mut Checker<'_>) {
        self.check_keys(at);
        check_actions(&self.actions, "actions", at);
        for (class, actions) in &self.class {
            check_actions(actions, &format!("class.{}", class.name()), at);
        }
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (name, action) in &self.fields {
            let path = format!("fields.{}", quoted(name.get_ref()));
            if name.get_ref().trim().is_empty() {
                at.problem(name.span(), &path, "expected a field's name, not an empty one");
            }
            if *action.get_ref() == Action::Pseudonymise {
                let message = "pseudonymise is for the detectors ipv4 and ipv6: use hash for a field's whole value";
                at.problem(action.span(), &path, message);
            }
            if let Some(other) = seen.insert(name.get_ref().to_ascii_lowercase(), name.get_ref()) {
                at.problem(
                    name.span(),
                    &path,
                    format_args!("{} is the same field: remove one of the two", quoted(other)),
                );
            }
        }
    }

    /// What a person should know though it is no problem: actions that need a key where there is none.
    pub fn notices(&self) -> Vec<String> {
        if !self.keys.is_empty() {
            return Vec::new();
        }
        let mut notices = Vec::new();
        for detector in Detector::ALL {
            let keyed = |class: &Class| matches!(self.action(*class, detector), Action::Hash | Action::Pseudonymise);
            let classes: Vec<_> = Class::ALL.into_iter().filter(keyed).map(Class::name).collect();
            if let Some(class) = Class::ALL.into_iter().find(keyed) {
                let action = self.action(class, detector).name();
                notices.push(format!(
                    "{}: {action} needs a key, and keys has none: it is redacted (class {})",
                    detector.name(),
                    classes.join(", ")
                ));
            }
        }
        for (name, action) in self.fields.iter().filter(|(_, action)| *action.get_ref() == Action::Hash) {
            let action = action.get_ref().name();
            notices.push(format!(
                "field {}: {action} needs a key, and keys has none: it is redacted",
                quoted(name.get_ref())
            ));
        }
        notices
    }

    fn check_keys(&self, at: &mut Checker<'_>) {
        let mut seen = Vec::new();
        for (index, each) in self.keys.iter().enumerate() {
            let id = each.id.get_ref();
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if id.is_empty() || id.len() > KEY_ID_BYTES_MAX || !id.chars().all(legal) {
                let message = format!(
                    "expected 1 to {KEY_ID_BYTES_MAX} letters, digits, dashes, dots or underscores as a key's name"
                );
                at.problem(each.id.span(), &format!("keys[{index}].id"), message);
            } else if seen.contains(&id) {
                at.problem(each.id.span(), &format!("keys[{index}].id"), "another key has this name already");
            }
            seen.push(id);
            if let Err(error) = key::decode(each) {
                at.problem(each.key.span(), &format!("keys[{index}].key"), error);
            }
        }
    }
}

/// Reports actions that a detector does not have.
fn check_actions(actions: &Actions, path: &str, at: &mut Checker<'_>) {
    for (detector, action) in actions {
        let path = format!("{path}.{}", detector.name());
        let ip = matches!(detector, Detector::Ipv4 | Detector::Ipv6);
        if *action.get_ref() == Action::Pseudonymise && !ip {
            let message = "only ipv4 and ipv6 can be pseudonymised: use hash, so that equal values stay equal";
            at.problem(action.span(), &path, message);
        }
        if *detector == Detector::Field {
            at.problem(action.span(), &path, "what is done with a field stands at its name, in fields");
        }
    }
}

#[cfg(test)]
mod tests;
