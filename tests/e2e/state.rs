//! `weir state` of a worker that keeps one. No kind of worker does so far, so its identity is made up here.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use weir_contract::{Partition, TopicPartition};
use weir_fleet::cli::Answer;
use weir_fleet::cluster::Cluster;
use weir_fleet::commands::state::{ResetArgs, ShowArgs, Stateful, changelog};
use weir_fleet::connection::{self, Connection};
use weir_fleet::topology::{self, Topology};
use weir_kafka::{Class, Client, Committer, Identity, Mark, Open, Outcome, Partitions, Rebalance};
use weir_tests::stack::{Kafka, folder};
use weir_tests::wait::wait_until;

use crate::commands::topology as written;

const ENDS: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A worker of two partitions that keeps state.
struct Kept {
    topology: Topology,
    identity: Identity,
}

impl Kept {
    fn new(kafka: &Kafka, protocol: &str) -> Self {
        let (name, folder) = (kafka.topic("kept", 2), folder("state"));
        let file = folder.join("topology.toml");
        let worker =
            format!("[worker.metrics]\ntopics = [\"{name}\"]\ngroup = \"{name}\"\ngroup_protocol = \"{protocol}\"\n");
        fs::write(&file, written(kafka, &worker)).unwrap();
        let topology = loaded(&file);
        let changelog = format!("weir-{name}-state");
        kafka.create_topic(&changelog, 2, &[("cleanup.policy", "compact")]);
        let identity = connection::identity(&topology, "metrics", &topology.workers["metrics"]);
        Self { topology, identity: Identity { state_topic: Some(changelog.into()), ..identity } }
    }

    /// A member that has both partitions, as an instance of the worker does.
    fn member(&self) -> Arc<weir_kafka::real::Kafka> {
        let worker = &self.topology.workers["metrics"];
        let brokers = connection::brokers(&self.topology, false);
        let kafka = Arc::new(Connection::new(&self.topology, worker, brokers, 1 << 20).connect().unwrap());
        wait_until(ENDS, "transactions", || match block_on(kafka.init_transactions()) {
            Err(error) => {
                assert_eq!(error.class, Class::Retriable, "{error}");
                Err(error)
            }
            done => done,
        });
        let mut mine = 0;
        wait_until(ENDS, "both partitions", || {
            if let Some(Rebalance::Assigned(given)) = block_on(kafka.poll(POLL, &mut |_| true)).unwrap() {
                kafka.assign(&[]).unwrap();
                mine += given.len();
            }
            if mine == 2 { Ok(()) } else { Err(mine) }
        });
        kafka
    }

    /// Commits records up to `next` with what they change.
    fn remember(
        &self,
        kafka: &Arc<weir_kafka::real::Kafka>,
        partition: i32,
        next: i64,
        changes: &[(&[u8], Option<&str>)],
    ) {
        let id = TopicPartition::new(self.identity.group.as_str(), partition);
        let open = Partition::open(id.clone(), 0);
        let (entry, processing) = open.admit(Some((0, next)), 0);
        entry.carried().state = changes.iter().map(|(key, value)| (key.to_vec(), value.map(Into::into))).collect();
        processing.release();
        let partitions = Partitions::default();
        partitions.lock().insert(id, Open { partition: open, mark: Mark::default() });
        let outcome = block_on(Committer::new(Arc::clone(kafka), partitions, self.identity.clone()).commit());
        assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    }

    #[track_caller]
    fn with<T>(&self, look: impl FnOnce(&Stateful<'_>) -> T) -> T {
        let worker = &self.topology.workers["metrics"];
        let cluster = Cluster::reach(&self.topology, &worker.group).unwrap();
        look(&Stateful::new(&cluster, &self.identity, changelog(&self.identity).unwrap(), worker).unwrap())
    }

    /// What is shown once it is what is expected: markers become visible a little later.
    #[track_caller]
    fn shows(&self, args: &ShowArgs, expected: &str, answer: Answer) {
        let expected = expected.replace("NAME", &self.identity.group);
        wait_until(ENDS, "state", || {
            let (shown, said) = self.with(|stateful| stateful.show(args)).unwrap();
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            let lines: Vec<_> = shown.lines().map(words).collect();
            if (lines.join("\n"), said) == (expected.clone(), answer) {
                Ok(())
            } else {
                Err(format!("{shown}, {said:?}"))
            }
        });
    }

    fn reset(&self, partition: &[i32]) -> Result<Answer, String> {
        let args = ResetArgs { worker: "metrics".into(), partition: partition.to_vec(), yes: true };
        let worker = &self.topology.workers["metrics"];
        self.with(|stateful| stateful.reset(&args, &self.topology, worker)).map_err(|error| format!("{error:#}"))
    }
}

fn loaded(file: &Path) -> Topology {
    topology::load(Some(file)).unwrap().0
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn show(partition: &[i32], key: &str, payload: bool) -> ShowArgs {
    ShowArgs { worker: "metrics".into(), partition: partition.to_vec(), key: key.into(), payload }
}

/// Scenario: a worker remembers, is looked at, is told to forget while it runs and when it has stopped.
/// Guards: what is shown, that values are shown on demand alone and nothing raw, the refusal, and what is left.
#[test]
fn state_is_shown_measured_and_dropped() {
    let kafka = Kafka::shared();
    for protocol in ["classic", "consumer"] {
        let kept = Kept::new(kafka, protocol);
        let member = kept.member();
        kept.remember(&member, 0, 3, &[(b"api", Some("secret")), (b"gone", Some("x"))]);
        kept.remember(&member, 0, 5, &[(b"api\x1b[2J", Some("\u{1b}secret")), (b"gone", None), (b"\xff", Some("y"))]);
        let head = "partition position committed state";
        let both = "NAME[0] 5 5 equal\nNAME[1] - - none";
        let keys = "NAME[0] api 6 -\nNAME[0] api\\u{1b}[2J 7 -\nNAME[0] 0xff 1 -";
        let all = format!("{head}\n{both}\n\npartition key bytes value\n{keys}");
        kept.shows(&show(&[], "", false), &all, Answer::Yes);
        let found = kept.with(|stateful| stateful.show(&show(&[0], "api\\u", true))).unwrap().0;
        assert!(found.ends_with("\\u{1b}secret\n") && !found.contains("0xff") && !found.contains('\u{1b}'), "{found}");
        let size = kept.with(|stateful| stateful.size()).unwrap();
        let rows: Vec<Vec<&str>> = size.lines().map(|line| line.split_whitespace().collect()).collect();
        let name = |partition| format!("{}[{partition}]", kept.identity.group);
        assert_eq!(rows[0], ["partition", "keys", "bytes", "records"]);
        assert_eq!(rows[1], [&*name(0), "3", "25", "7"], "five changes and two positions");
        assert_eq!(rows[2], [&*name(1), "0", "0", "0"]);
        let wrong = kept.with(|stateful| stateful.show(&show(&[2], "", false))).unwrap_err();
        assert_eq!(wrong.to_string(), "worker metrics reads no partition 2");

        let refused = kept.reset(&[]).unwrap_err();
        let group = &kept.identity.group;
        assert_eq!(refused, format!("worker metrics still runs: stop the workers: group {group} has 1 member"));
        kept.shows(&show(&[1], "", false), &format!("{head}\nNAME[1] - - none"), Answer::Yes);
        member.close();
        drop(member);

        wait_until(ENDS, "empty group", || match kept.reset(&[0]) {
            Err(error) if error.contains("stop the workers") => Err(error),
            ended => {
                assert_eq!(ended, Ok(Answer::Yes));
                Ok(())
            }
        });
        let dropped = format!("{head}\nNAME[0] - 5 none\nNAME[1] - - none");
        kept.shows(&show(&[], "", true), &dropped, Answer::Yes);

        // The worker goes on, and what it remembers from then on is equal again.
        let member = kept.member();
        kept.remember(&member, 0, 8, &[(b"new", Some("1"))]);
        member.close();
        let again = format!("{head}\nNAME[0] 8 8 equal");
        kept.shows(&show(&[0], "none of them", false), &again, Answer::Yes);
    }
}
