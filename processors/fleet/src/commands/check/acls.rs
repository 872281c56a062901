//! The ACLs that each worker needs, and those that an operator's commands need beside them; pure.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::Serialize;
use weir_kafka::Identity;
use weir_kafka::real::Operation;

use crate::commands::dlq;
use crate::connection;
use crate::topology::{Topology, Worker};

/// What a worker or a command needs of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Acl {
    /// Who needs it.
    #[serde(flatten)]
    pub who: Who,
    /// What kind of resource it is.
    pub resource: Resource,
    /// Its name, or how the names begin.
    pub name: String,
    /// How the name is meant.
    pub pattern: Pattern,
    /// What is done with it, as Kafka's tools write it.
    #[serde(serialize_with = "names")]
    pub operations: Vec<Operation>,
    /// What for.
    pub why: &'static str,
}

/// Who needs an ACL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Who {
    /// The worker of that name, whenever it runs.
    Worker(String),
    /// An operator, for that command.
    Command(String),
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

/// The ACLs of somebody, as they are gathered.
struct Needs(Who, Vec<Acl>);

impl Needs {
    fn add(&mut self, resource: Resource, name: &str, pattern: Pattern, operations: &[Operation], why: &'static str) {
        let (who, name, operations) = (self.0.clone(), name.to_owned(), operations.to_vec());
        self.1.push(Acl { who, resource, name, pattern, operations, why });
    }

    fn sources<'t>(
        &mut self,
        topics: impl IntoIterator<Item = &'t String>,
        operations: &[Operation],
        why: &'static str,
    ) {
        for topic in topics {
            let pattern = if topic.starts_with('^') { Pattern::Expression } else { Pattern::Literal };
            self.add(Resource::Topic, topic, pattern, operations, why);
        }
    }
}

/// What every worker needs, by the names that Kafka's tools have for it. READ and WRITE imply DESCRIBE with Kafka's own
/// authorizer, not with every other.
///
/// The cluster's IDEMPOTENT_WRITE is not among it: whoever writes in transactions needs the transactional ID instead.
pub(super) fn of_workers(topology: &Topology) -> Vec<Acl> {
    use Operation::{Describe, Read, Write};
    let mut all = Vec::new();
    for (name, worker) in &topology.workers {
        let identity = connection::identity(topology, name, worker);
        let mut needs = Needs(Who::Worker(name.clone()), Vec::new());
        needs.add(
            Resource::Group,
            &identity.group,
            Pattern::Literal,
            &[Read, Describe],
            "to be a member, and to commit",
        );
        needs.sources(&worker.topics, &[Read, Describe], "to read its records");
        if let Some(state) = &identity.state_topic {
            needs.add(Resource::Topic, state, Pattern::Literal, &[Read, Write, Describe], "to keep its state");
        }
        if let Some(output) = worker.kind.output() {
            needs.add(Resource::Topic, output, Pattern::Literal, &[Write, Describe], "to write what it makes");
        }
        if let Some(metrics) = worker.kind.measures() {
            needs.add(Resource::Topic, metrics, Pattern::Literal, &[Write, Describe], "to write what it counts");
        }
        let letters = &identity.dead_letter_topic;
        needs.add(Resource::Topic, letters, Pattern::Literal, &[Write, Describe], "to write what it cannot use");
        let ids = connection::transactional_id(&identity.group, "");
        needs.add(Resource::TransactionalId, &ids, Pattern::Prefixed, &[Write, Describe], "to commit in transactions");
        all.extend(needs.1);
    }
    all
}

/// What the commands need that write: an operator's, not a worker's.
pub(super) fn of_commands(topology: &Topology) -> Vec<Acl> {
    let workers = topology.workers.iter();
    let of_each = workers.flat_map(|(name, worker)| {
        let identity = connection::identity(topology, name, worker);
        let mut all = skip(name, worker);
        all.extend(identity.state_topic.as_ref().map(|state| reset(name, worker, state)).into_iter().flatten());
        all.extend(worker.kind.replay().map(|()| replay(name, worker, &identity)).into_iter().flatten());
        all
    });
    redrive(topology).into_iter().chain(of_each).collect()
}

fn redrive(topology: &Topology) -> Vec<Acl> {
    use Operation::{Describe, Read, Write};
    let mut needs = Needs(Who::Command("dlq redrive".to_owned()), Vec::new());
    needs.add(Resource::Group, dlq::GROUP, Pattern::Literal, &[Read, Describe], "to read the letters");
    let why = "to read the letters, and to mark those that went back";
    let identities = topology.workers.iter().map(|(name, worker)| connection::identity(topology, name, worker));
    let letters: BTreeSet<_> = identities.map(|identity| identity.dead_letter_topic).collect();
    for topic in &letters {
        needs.add(Resource::Topic, topic, Pattern::Literal, &[Read, Write, Describe], why);
    }
    let topics: BTreeSet<_> = topology.workers.values().flat_map(|worker| &worker.topics).collect();
    needs.sources(topics, &[Write, Describe], "to put records back");
    let id = dlq::TRANSACTIONAL_ID;
    needs.add(Resource::TransactionalId, id, Pattern::Literal, &[Write, Describe], "to redrive in transactions");
    needs.1
}

fn skip(name: &str, worker: &Worker) -> Vec<Acl> {
    use Operation::{Describe, Read};
    let mut needs = Needs(Who::Command(format!("skip {name}")), Vec::new());
    needs.add(Resource::Group, &worker.group, Pattern::Literal, &[Read, Describe], "to note what is passed over");
    needs.sources(&worker.topics, &[Read, Describe], "to see that the record is there");
    needs.1
}

fn reset(name: &str, worker: &Worker, state: &str) -> Vec<Acl> {
    use Operation::{Describe, Read, Write};
    let mut needs = Needs(Who::Command(format!("state reset {name}")), Vec::new());
    needs.add(Resource::Group, &worker.group, Pattern::Literal, &[Read, Describe], "to stand in for the worker");
    needs.sources(&worker.topics, &[Read, Describe], "to commit its offsets as they are");
    needs.add(Resource::Topic, state, Pattern::Literal, &[Read, Write, Describe], "to read and to drop the state");
    let id = connection::transactional_id(&worker.group, connection::RESET);
    needs.add(Resource::TransactionalId, &id, Pattern::Literal, &[Write, Describe], "to drop it in transactions");
    needs.1
}

fn replay(name: &str, worker: &Worker, identity: &Identity) -> Vec<Acl> {
    use Operation::{Delete, Describe, DescribeConfigs, Read, Write};
    let mut needs = Needs(Who::Command(format!("replay {name}")), Vec::new());
    let groups = connection::replay_group(&worker.group, "");
    needs.add(Resource::Group, &worker.group, Pattern::Literal, &[Describe], "to look at the records beside it");
    let why = "to be a member, to commit, and to remove the group at the end";
    needs.add(Resource::Group, &groups, Pattern::Prefixed, &[Read, Describe, Delete], why);
    let why = "to read its records, and to know what retention has left of a time";
    needs.sources(&worker.topics, &[Read, Describe, DescribeConfigs], why);
    let letters = &identity.dead_letter_topic;
    needs.add(Resource::Topic, letters, Pattern::Literal, &[Write, Describe], "to write what it cannot use");
    let why = "to commit in transactions";
    needs.add(Resource::TransactionalId, &groups, Pattern::Prefixed, &[Write, Describe], why);
    needs.1
}

impl Who {
    /// In a few words.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Worker(name) => format!("worker {name}"),
            Self::Command(command) => format!("weir {command}"),
        }
    }
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
        let principal = match (&self.who, &topology.kafka.security.username) {
            (Who::Worker(_), Some(user)) => quoted(&format!("User:{}", user.get_ref())),
            (Who::Worker(_), None) => "\"$PRINCIPAL\"".to_owned(),
            // Whoever operates the fleet need not be who the workers are.
            (Who::Command(_), _) => "\"$OPERATOR\"".to_owned(),
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

/// Tables and the commands, for people: the workers', then the operator's.
pub(super) fn shown(topology: &Topology) -> String {
    let operator = "\nThe operator's commands need, as the workers' principal or as one of their own:\n\n";
    listed(topology, &of_workers(topology)) + operator + &listed(topology, &of_commands(topology))
}

fn listed(topology: &Topology, all: &[Acl]) -> String {
    let mut table = super::super::table(["for", "resource", "pattern", "operations", "why"]);
    for acl in all {
        let pattern = match acl.pattern {
            Pattern::Literal => "literal",
            Pattern::Prefixed => "prefixed",
            Pattern::Expression => "each topic it matches",
        };
        let row = [&acl.who.shown(), &acl.subject(), pattern, &acl.operations(), acl.why];
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
        let needed: Vec<_> =
            of_workers(&Topology::default()).iter().map(|acl| (acl.subject(), acl.operations())).collect();
        let expected = [
            ("group weir-logs", "READ, DESCRIBE"),
            ("topic telemetry-logs", "READ, DESCRIBE"),
            ("topic weir-logs-state", "READ, WRITE, DESCRIBE"),
            ("topic telemetry-logs-enriched", "WRITE, DESCRIBE"),
            ("topic telemetry-metrics", "WRITE, DESCRIBE"),
            ("topic weir-dead-letters-logs", "WRITE, DESCRIBE"),
            ("transactional id weir-logs-*", "WRITE, DESCRIBE"),
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
        let commands: Vec<_> = of_workers(&topology)
            .iter()
            .filter(|acl| acl.who == Who::Worker("metrics".to_owned()))
            .map(|acl| acl.command(&topology))
            .collect();
        let start = "kafka-acls.sh --bootstrap-server a:1,b:2 --add --allow-principal \"$PRINCIPAL\" --operation";
        assert_eq!(commands[0], format!(r"{start} READ --operation DESCRIBE --group 'it'\''s'"));
        let each = "# for each topic that ^m.* matches:\n# ";
        assert_eq!(commands[1], format!("{each}{start} READ --operation DESCRIBE --topic TOPIC"));
        let prefixed = "--transactional-id 'it'\\''s-' --resource-pattern-type prefixed";
        assert_eq!(commands[3], format!("{start} WRITE --operation DESCRIBE {prefixed}"));
    }

    #[test]
    fn the_commands_that_write_need_what_is_the_operators() {
        let topology = Topology::default();
        let all = of_commands(&topology);
        let of = |command: &str| -> Vec<_> {
            let own = all.iter().filter(|acl| acl.who == Who::Command(command.to_owned()));
            own.map(|acl| format!("{} on {}", acl.operations(), acl.subject())).collect()
        };
        assert_eq!(
            of("dlq redrive"),
            [
                "READ, DESCRIBE on group weir-dlq",
                "READ, WRITE, DESCRIBE on topic weir-dead-letters",
                "READ, WRITE, DESCRIBE on topic weir-dead-letters-logs",
                "WRITE, DESCRIBE on topic telemetry-logs",
                "WRITE, DESCRIBE on topic telemetry-metrics",
                "WRITE, DESCRIBE on transactional id weir-dlq-redrive",
            ]
        );
        assert_eq!(
            of("skip metrics"),
            ["READ, DESCRIBE on group weir-metrics", "READ, DESCRIBE on topic telemetry-metrics"]
        );
        assert_eq!(
            of("replay metrics"),
            [
                "DESCRIBE on group weir-metrics",
                "READ, DESCRIBE, DELETE on group weir-metrics-replay-*",
                "READ, DESCRIBE, DESCRIBE_CONFIGS on topic telemetry-metrics",
                "WRITE, DESCRIBE on topic weir-dead-letters",
                "WRITE, DESCRIBE on transactional id weir-metrics-replay-*",
            ]
        );
        assert!(of("state reset metrics").is_empty(), "it keeps no state");
        let worker = topology.worker("metrics").unwrap();
        let reset: Vec<_> = reset("metrics", worker, "weir-metrics-state").iter().map(Acl::subject).collect();
        assert_eq!(reset.last().map(String::as_str), Some("transactional id weir-metrics-reset"));

        let text = shown(&topology);
        let (workers, operators) = text.split_once("The operator's commands").unwrap();
        assert!(!workers.contains("$OPERATOR") && !workers.contains("redrive"), "{workers}");
        assert!(operators.contains("--allow-principal \"$OPERATOR\"") && !operators.contains("$PRINCIPAL"), "{text}");
    }
}
