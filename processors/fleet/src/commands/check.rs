//! `weir check`: is the topology good, and what does it come to? And is the world as it needs it?

use std::fmt::Write;

use serde_json::{Value, json};
use weir_config::Problems;
use weir_metrics::config::Endpoint;

use crate::cli::{Answer, Common};
use live::Outcome;

use crate::topology::{self, Kind, LoadError, Origin, Topic, Topology, Worker};

mod acls;
mod live;

/// Flags of `weir check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir check\n  weir check --topology deploy/topology.toml --json\n  \
    weir check --live\n  weir check --acls\n\n\
    --live changes nothing: it asks the brokers about topics, settings and what this client may do, uses a\n\
    transactional ID that no worker has (GROUP-check-...), and sends each sink a request without samples.\n\n\
    Exit codes: 0 no problem, 1 problems, 2 the file could not be read.")]
pub struct Args {
    /// Write one JSON object instead: `ok`, `file`, `problems`, `fleet`, and `live` or `acls` where they are asked for.
    #[arg(long)]
    pub json: bool,
    /// Try the cluster, its topics, the ACLs and the sinks.
    #[arg(long)]
    pub live: bool,
    /// Show the ACLs that each worker needs, those of the operator's commands, and what adds them.
    #[arg(long, conflicts_with = "live")]
    pub acls: bool,
}

/// Reads the topology and says what it comes to, or every problem of it.
///
/// # Errors
/// The file cannot be read, or standard output not written.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Answer> {
    match topology::load(common.topology.as_deref()) {
        Ok((topology, origin)) => show(args, &topology, &origin),
        Err(LoadError::Invalid { path, problems }) => {
            if args.json {
                let file = path.display().to_string();
                let found = json!({"ok": false, "file": file, "problems": problems.as_slice(), "fleet": null});
                super::print(&format!("{found:#}\n"))?;
            } else {
                super::print(&format!("{problems}\n"))?;
                super::remark(&count(&problems));
            }
            Ok(Answer::No)
        }
        Err(error) => Err(error.into()),
    }
}

/// Shows a topology without problems, and what was tried with it.
fn show(args: &Args, topology: &Topology, origin: &Origin) -> anyhow::Result<Answer> {
    let live = if args.live { live::look(topology) } else { Vec::new() };
    let problems = live.iter().filter(|one| one.outcome == Outcome::Problem).count();
    if args.json {
        let file = match origin {
            Origin::File(path) => Some(path.display().to_string()),
            Origin::Defaults => None,
        };
        let mut found = json!({"ok": problems == 0, "file": file, "problems": [], "fleet": fleet(topology)});
        if let Some(found) = found.as_object_mut() {
            found.extend(args.live.then(|| ("live".to_owned(), json!(live))));
            let needed = || [acls::of_workers(topology), acls::of_commands(topology)].concat();
            found.extend(args.acls.then(|| ("acls".to_owned(), json!(needed()))));
        }
        super::print(&format!("{found:#}\n"))?;
    } else {
        if *origin == Origin::Defaults {
            super::remark("there is no topology.toml here: these are the defaults");
        }
        super::print(&match (args.live, args.acls) {
            (true, _) => live::shown(&live),
            (_, true) => acls::shown(topology),
            _ => tables(topology),
        })?;
        for (name, worker) in &topology.workers {
            if let Kind::Enrich(config) = &worker.kind {
                config
                    .mask
                    .notices()
                    .iter()
                    .for_each(|notice| super::remark(&format!("worker.{name}: mask: {notice}")));
            }
        }
    }
    if problems > 0 {
        super::remark(&format!("{problems} problem{}", if problems == 1 { "" } else { "s" }));
        return Ok(Answer::No);
    }
    Ok(Answer::Yes)
}

fn count(problems: &Problems) -> String {
    match problems.as_slice().len() {
        1 => "1 problem".to_owned(),
        many => format!("{many} problems"),
    }
}

/// The fleet for a script; nothing secret is in it, nor any other librdkafka property's value.
fn fleet(topology: &Topology) -> Value {
    let (kafka, process) = (&topology.kafka, &topology.process);
    let properties: Vec<_> = kafka.properties.keys().map(|name| name.get_ref()).collect();
    let workers = topology.workers.iter().map(|(name, worker)| (name.clone(), worker_json(worker)));
    let topics = topology.topics.iter().map(|(name, topic)| (name.clone(), topic_json(topic)));
    json!({
        "kafka": {
            "brokers": kafka.brokers.get_ref(),
            "protocol": kafka.security.protocol.get_ref(),
            "mechanism": kafka.security.mechanism.as_ref().map(|mechanism| mechanism.get_ref()),
            "properties": properties,
        },
        "process": {
            "budget": process.budget.get_ref(),
            "lanes": process.lanes.get_ref(),
            "instance_id": process.instance_id.as_ref().map(|id| id.get_ref()),
            "admin": process.admin,
        },
        "workers": workers.collect::<serde_json::Map<_, _>>(),
        "topics": topics.collect::<serde_json::Map<_, _>>(),
    })
}

fn worker_json(worker: &Worker) -> Value {
    let mut found = json!({
        "kind": worker.kind.name(),
        "topics": worker.topics,
        "group": worker.group,
        "start": worker.start.to_string(),
        "group_protocol": worker.group_protocol,
        "drain_timeout": worker.drain_timeout,
        "revoke_timeout": worker.revoke_timeout,
        "commit_interval": worker.commit_interval,
        "encoding": worker.encoding,
    });
    let own = match &worker.kind {
        Kind::RemoteWrite(config) => json!(config),
        Kind::Enrich(config) => json!({ "output": config.output.get_ref(), "measures": worker.kind.measures() }),
    };
    if let (Some(found), Value::Object(own)) = (found.as_object_mut(), own) {
        found.extend(own);
    }
    found
}

fn topic_json(topic: &Topic) -> Value {
    json!({
        "partitions": topic.partitions,
        "retention": topic.retention,
        "compression": topic.compression,
        "max_message_bytes": topic.max_message_bytes,
        "replication_factor": topic.replication_factor,
        "min_insync_replicas": topic.min_insync_replicas,
    })
}

/// Where a worker delivers; of a URL, what is before its query, which may hold a token.
fn sinks(kind: &Kind) -> Vec<String> {
    match kind {
        Kind::RemoteWrite(config) => config.remote_write.iter().map(Endpoint::shown_url).collect(),
        Kind::Enrich(_) => {
            kind.output().into_iter().chain(kind.measures()).map(|topic| format!("topic {topic}")).collect()
        }
    }
}

/// The fleet for people.
fn tables(topology: &Topology) -> String {
    let (kafka, process) = (&topology.kafka, &topology.process);
    let mut text = String::new();
    let facts = [
        ("kafka", format!("{} ({})", kafka.brokers.get_ref().join(", "), kafka.security.protocol)),
        ("process", format!("budget {}, lanes {}, admin {}", process.budget, process.lanes, process.admin)),
    ];
    for (name, fact) in facts {
        // Writing to a string cannot fail.
        writeln!(text, "{name:<9}{fact}").unwrap_or_default();
    }

    let mut workers = super::table(["worker", "kind", "topics", "group", "start", "delivers to"]);
    for (name, worker) in &topology.workers {
        workers.add_row([
            name.clone(),
            worker.kind.name().to_owned(),
            worker.topics.join("\n"),
            worker.group.clone(),
            worker.start.to_string(),
            sinks(&worker.kind).join("\n"),
        ]);
    }
    let mut endpoints = super::table(["worker", "endpoint", "protocol", "shards", "authorization", "relabelling"]);
    for (name, worker) in &topology.workers {
        let Kind::RemoteWrite(config) = &worker.kind else { continue };
        for endpoint in config.remote_write.iter() {
            let security = endpoint.security.shown();
            endpoints.add_row([
                name.clone(),
                endpoint.name(),
                endpoint.protocol.to_string(),
                endpoint.shards.to_string(),
                if security.is_empty() { "none".to_owned() } else { security.join(", ") },
                match (endpoint.external_labels.len(), endpoint.write_relabel_configs.len()) {
                    (0, 0) => "none".to_owned(),
                    (labels, rules) => format!("external labels {labels}, rules {rules}"),
                },
            ]);
        }
    }
    let mut topics =
        super::table(["topic", "partitions", "retention", "compression", "largest record", "replicas (in sync)"]);
    for (name, topic) in &topology.topics {
        topics.add_row([
            name.clone(),
            topic.partitions.to_string(),
            topic.retention.to_string(),
            topic.compression.to_string(),
            topic.max_message_bytes.to_string(),
            format!("{} ({})", topic.replication_factor, topic.min_insync_replicas),
        ]);
    }
    for table in [workers, endpoints, topics] {
        write!(text, "\n{}", super::lines(&table)).unwrap_or_default();
    }
    text
}
