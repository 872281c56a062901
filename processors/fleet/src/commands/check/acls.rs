//! The ACLs that each worker needs; pure.

use std::fmt::Write;

use serde::Serialize;
use weir_kafka::real::Operation;

use crate::connection;
use crate::topology::Topology;

/// What one worker needs of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Acl {
    /// The worker.
    pub worker: String,
    /// What kind of resource it is.
    pub resource: Resource,
    /// Its name, or how the names begin.
    pub name: String,
    /// How the name is meant.
    pub pattern: Pattern,
    /// What the worker does with it, as Kafka's tools write it.
    #[serde(serialize_with = "names")]
    pub operations: Vec<Operation>,
    /// What for.
    pub why: &'static str,
}

/// Kinds of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Resource {
    Group,
    Topic,
    TransactionalId,
}

/// How a resource's name is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Pattern {
    /// It is the name.
    Literal,
    /// The names begin with it.
    Prefixed,
    /// The names match this regular expression, which no ACL can say: each topic needs one of its own.
    Expression,
}

fn names<S: serde::Serializer>(operations: &[Operation], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(operations.iter().map(ToString::to_string))
}

/// What every worker needs. READ and WRITE imply DESCRIBE with Kafka's own authorizer, not with every other.
///
/// The cluster's IDEMPOTENT_WRITE is not among it: whoever writes in transactions needs the transactional ID instead.
pub(super) fn needed(topology: &Topology) -> Vec<Acl> {
    use Operation::{Describe, Read, Write};
    let mut all = Vec::new();
    for (name, worker) in &topology.workers {
        let identity = connection::identity(topology, name, worker);
        let mut add = |resource, name: &str, pattern, operations: &[Operation], why| {
            let (worker, name, operations) = (identity.worker.clone(), name.to_owned(), operations.to_vec());
            all.push(Acl { worker, resource, name, pattern, operations, why });
        };
        add(Resource::Group, &identity.group, Pattern::Literal, &[Read, Describe], "to be a member, and to commit");
        for topic in &worker.topics {
            let pattern = if topic.starts_with('^') { Pattern::Expression } else { Pattern::Literal };
            add(Resource::Topic, topic, pattern, &[Read, Describe], "to read its records");
        }
        if let Some(state) = &identity.state_topic {
            add(Resource::Topic, state, Pattern::Literal, &[Read, Write, Describe], "to keep its state");
        }
        let letters = &identity.dead_letter_topic;
        add(Resource::Topic, letters, Pattern::Literal, &[Write, Describe], "to write what it cannot use");
        let ids = connection::transactional_id(&identity.group, "");
        add(Resource::TransactionalId, &ids, Pattern::Prefixed, &[Write, Describe], "to commit in transactions");
    }
    all
}

impl Acl {
    /// It in a few words.
    pub(super) fn subject(&self) -> String {
        format!("{} {}{}", self.resource.shown(), self.name, if self.pattern == Pattern::Prefixed { "*" } else { "" })
    }

    /// Its operations, for people.
    pub(super) fn operations(&self) -> String {
        self.operations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// The command that adds it; a remark where the topics have to be named first.
    pub(super) fn command(&self, topology: &Topology) -> String {
        let brokers = topology.kafka.brokers.get_ref().join(",");
        let principal = match &topology.kafka.security.username {
            Some(user) => quoted(&format!("User:{}", user.get_ref())),
            None => "\"$PRINCIPAL\"".to_owned(),
        };
        let mut text = String::new();
        if self.pattern == Pattern::Expression {
            // Writing to a string cannot fail.
            write!(text, "# for each topic that {} matches:\n# ", self.name).unwrap_or_default();
        }
        write!(text, "kafka-acls.sh --bootstrap-server {brokers} --add --allow-principal {principal}")
            .unwrap_or_default();
        for operation in &self.operations {
            write!(text, " --operation {operation}").unwrap_or_default();
        }
        let name = if self.pattern == Pattern::Expression { "TOPIC".to_owned() } else { quoted(&self.name) };
        write!(text, " --{} {name}", self.resource.shown().replace(' ', "-")).unwrap_or_default();
        if self.pattern == Pattern::Prefixed {
            text.push_str(" --resource-pattern-type prefixed");
        }
        text
    }
}

impl Resource {
    fn shown(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Topic => "topic",
            Self::TransactionalId => "transactional id",
        }
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:,".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// A table and the commands, for people.
pub(super) fn shown(topology: &Topology) -> String {
    let all = needed(topology);
    let mut table = super::super::table(["worker", "resource", "pattern", "operations", "why"]);
    for acl in &all {
        let pattern = match acl.pattern {
            Pattern::Literal => "literal",
            Pattern::Prefixed => "prefixed",
            Pattern::Expression => "each topic it matches",
        };
        let row = [&acl.worker, &acl.subject(), pattern, &acl.operations(), acl.why];
        table.add_row(row.map(ToOwned::to_owned));
    }
    let commands: String = all.iter().map(|acl| acl.command(topology) + "\n").collect();
    format!("{}\n{commands}", super::super::lines(&table))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(text: &str) -> Topology {
        let resolve = |_: weir_config::Reference<'_>| Ok("secret".to_owned());
        Topology::parse("topology.toml", text, &[], &resolve).unwrap()
    }

    #[test]
    fn a_worker_needs_its_group_its_topics_the_dead_letters_and_its_transactional_ids() {
        let needed: Vec<_> = needed(&Topology::default()).iter().map(|acl| (acl.subject(), acl.operations())).collect();
        let expected = [
            ("group weir-metrics", "READ, DESCRIBE"),
            ("topic telemetry-metrics", "READ, DESCRIBE"),
            ("topic weir-dead-letters", "WRITE, DESCRIBE"),
            ("transactional id weir-metrics-*", "WRITE, DESCRIBE"),
        ];
        assert_eq!(needed, expected.map(|(subject, operations)| (subject.to_owned(), operations.to_owned())));
    }

    #[test]
    fn commands_name_the_principal_where_it_is_known_and_are_safe_for_a_shell() {
        let text = "[kafka]\nbrokers = [\"a:1\", \"b:2\"]\n[worker.metrics]\ntopics = [\"^m.*\"]\ngroup = \"it's\"\n";
        let topology = topology(text);
        let commands: Vec<_> = needed(&topology).iter().map(|acl| acl.command(&topology)).collect();
        let start = "kafka-acls.sh --bootstrap-server a:1,b:2 --add --allow-principal \"$PRINCIPAL\" --operation";
        assert_eq!(commands[0], format!(r"{start} READ --operation DESCRIBE --group 'it'\''s'"));
        let each = "# for each topic that ^m.* matches:\n# ";
        assert_eq!(commands[1], format!("{each}{start} READ --operation DESCRIBE --topic TOPIC"));
        let prefixed = "--transactional-id 'it'\\''s-' --resource-pattern-type prefixed";
        assert_eq!(commands[3], format!("{start} WRITE --operation DESCRIBE {prefixed}"));
    }
}
