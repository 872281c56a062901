use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use prometheus_client::registry::Registry;
use tokio::sync::mpsc::unbounded_channel;
use weir_contract::{Budget, Entry, Partition, TopicPartition};

use super::*;

/// An item of a tenant: its number, and what it is.
type Thing = (u64, &'static str);

/// What the outside was sent, and what it says to it, by tenant; it takes everything else.
#[derive(Clone, Default)]
struct Outside {
    got: Arc<Mutex<Vec<Vec<Thing>>>>,
    answers: Arc<Mutex<VecDeque<(u64, Next)>>>,
}

struct TestSink {
    outside: Outside,
    packed: Vec<Thing>,
}

#[derive(Debug, thiserror::Error)]
#[error("no")]
struct No(Next);

impl Failure for No {
    fn next(&self) -> Next {
        self.0
    }
}

impl Sink for TestSink {
    type Out = Thing;
    type Error = No;

    fn divide(&self, items: Vec<Item<Thing>>) -> Vec<(u64, Vec<Item<Thing>>)> {
        let mut parts: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        for item in items {
            parts.entry(item.value.0).or_default().push(item);
        }
        parts.into_iter().collect()
    }

    fn pack(&mut self, items: &[Item<Thing>]) -> usize {
        self.packed = items.iter().map(|item| item.value).collect();
        items.len()
    }

    async fn deliver(&mut self) -> Result<(), No> {
        self.outside.got.lock().unwrap().push(self.packed.clone());
        let mut answers = self.outside.answers.lock().unwrap();
        let own = answers.iter().position(|(tenant, _)| *tenant == self.packed[0].0);
        own.and_then(|place| answers.remove(place)).map_or(Ok(()), |(_, next)| Err(No(next)))
    }
}

/// A partition with batches under way.
struct Batches {
    partition: Arc<Partition>,
    entries: Vec<Arc<Entry>>,
}

impl Batches {
    /// Batches whose records are one item each.
    fn of(batches: &[&[Thing]]) -> (Self, Vec<Parcel<Thing>>) {
        let partition = Partition::open(TopicPartition::new("t", 0), 0);
        let (mut entries, mut parcels, mut offset) = (Vec::new(), Vec::new(), 0);
        for batch in batches {
            let next = offset + i64::try_from(batch.len()).unwrap();
            let (entry, processing) = partition.admit(Some((offset, next)), 0);
            let items = (offset..).zip(*batch).map(|(offset, value)| Item { offset, value: *value }).collect();
            parcels.push(Parcel { hold: entry.hold(), items, charge: Budget::new(100).charge(1) });
            processing.release();
            entries.push(entry);
            offset = next;
        }
        (Self { partition, entries }, parcels)
    }

    /// Offsets that the outside refused.
    fn refused(&self) -> Vec<i64> {
        let of = |entry: &Arc<Entry>| entry.carried().refused.iter().map(|refused| refused.offset).collect::<Vec<_>>();
        self.entries.iter().flat_map(of).collect()
    }
}

/// Delivers batches to an outside that gives those answers; what it got.
async fn delivered(batches: &[&[Thing]], answers: &[(u64, Next)]) -> (Vec<Vec<Thing>>, Batches) {
    packed(Packing { max_items: 100, linger: Duration::from_millis(200) }, batches, answers).await
}

/// The same, packed in some way.
async fn packed(packing: Packing, batches: &[&[Thing]], answers: &[(u64, Next)]) -> (Vec<Vec<Thing>>, Batches) {
    let outside = Outside::default();
    outside.answers.lock().unwrap().extend(answers);
    let shard = Shard {
        outlet: "out".into(),
        sink: TestSink { outside: outside.clone(), packed: Vec::new() },
        packing,
        instruments: Instruments::new(&mut Registry::default()),
        status: Status::default(),
        seed: 1,
    };
    let (sender, received) = unbounded_channel();
    let (batches, parcels) = Batches::of(batches);
    for parcel in parcels {
        sender.send(parcel).ok().unwrap();
    }
    drop(sender);
    shard.run(received).await;
    let got = outside.got.lock().unwrap().clone();
    assert_eq!(batches.partition.forgotten(), None);
    (got, batches)
}

const INTERLEAVED: [&[Thing]; 2] = [&[(1, "a"), (2, "b"), (1, "c")], &[(2, "d"), (1, "e"), (3, "f")]];

/// Guards: a request has as many items of its tenant as there are, in their order.
#[tokio::test(start_paused = true)]
async fn interleaved_items_make_one_request_for_each_tenant() {
    let (got, batches) = delivered(&INTERLEAVED, &[]).await;
    assert_eq!(got, [vec![(1, "a"), (1, "c"), (1, "e")], vec![(2, "b"), (2, "d")], vec![(3, "f")]]);
    assert_eq!(batches.partition.front().position, 6, "all holds are released");
}

/// Guards: as long as there is more, requests are full; and nothing waits for longer than `linger`.
#[tokio::test(start_paused = true)]
async fn what_a_full_request_leaves_begins_the_next_one_while_more_is_there_in_time() {
    let batches: [&[Thing]; 4] = [&[(1, "a"); 3], &[(1, "b"); 3], &[(1, "c"); 3], &[(2, "d"), (1, "e")]];
    for (linger_ms, wanted) in [(200, vec![4, 4, 2, 1]), (0, vec![4, 2, 4, 1])] {
        let packing = Packing { max_items: 4, linger: Duration::from_millis(linger_ms) };
        let (got, batches) = packed(packing, &batches, &[]).await;
        assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), wanted);
        assert_eq!(batches.partition.front().position, 11, "all holds are released");
    }
}

/// Scenario: the outside takes the request of one tenant on the third try, and those of the others at once.
#[tokio::test(start_paused = true)]
async fn a_retry_is_of_one_tenants_request_alone() {
    let again = (2, Next::Retry { after: None });
    let (got, batches) = delivered(&INTERLEAVED, &[again, again]).await;
    let tenants: Vec<_> = got.iter().map(|request| request[0].0).collect();
    assert_eq!(tenants, [1, 2, 2, 2, 3]);
    assert_eq!((batches.partition.front().position, batches.refused()), (6, vec![]));
}

/// Scenario: the outside does not know the form of a request, which its sink learns from the answer.
#[tokio::test(start_paused = true)]
async fn what_is_to_be_packed_anew_is_at_once_and_halves_stay_halves() {
    let split = (1, Next::Split { reason: "bad" });
    let began = Instant::now();
    let (got, batches) = delivered(&INTERLEAVED, &[(1, Next::Repack), split, (1, Next::Repack)]).await;
    let got: Vec<String> = got.iter().map(|request| request.iter().map(|(_, what)| *what).collect()).collect();
    assert_eq!(got, ["ace", "ace", "a", "a", "ce", "bd", "f"]);
    assert_eq!(began.elapsed(), Duration::ZERO, "nothing is waited for");
    assert_eq!((batches.partition.front().position, batches.refused()), (6, vec![]));
}

/// Guards: what is refused of one tenant's request is looked for among its items, and the others' are not sent again.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_of_one_tenants_items_alone() {
    let split = (1, Next::Split { reason: "bad" });
    // The three of them, the first half alone, the others, of these the first alone.
    let (got, batches) = delivered(&INTERLEAVED, &[split, split, split]).await;
    let want = [vec!["a", "c", "e"], vec!["a"], vec!["c", "e"], vec!["c"], vec!["e"], vec!["b", "d"], vec!["f"]];
    let got: Vec<Vec<_>> = got.into_iter().map(|request| request.into_iter().map(|(_, what)| what).collect()).collect();
    assert_eq!(got, want);
    assert_eq!((batches.partition.front().position, batches.refused()), (6, vec![0]));

    let (_, batches) = delivered(&INTERLEAVED, &[(2, Next::Reject { reason: "bad" })]).await;
    assert_eq!((batches.partition.front().position, batches.refused()), (6, vec![1, 3]));
}

/// Scenario: the partition is let go of while one tenant's request is tried again.
#[tokio::test(start_paused = true)]
async fn what_is_not_wanted_any_more_is_dropped_of_all_tenants() {
    let outside = Outside::default();
    outside.answers.lock().unwrap().extend([(1, Next::Blocked); 1000]);
    let status = Status::default();
    let shard = Shard {
        outlet: "out".into(),
        sink: TestSink { outside: outside.clone(), packed: Vec::new() },
        packing: Packing { max_items: 100, linger: Duration::ZERO },
        instruments: Instruments::new(&mut Registry::default()),
        status: status.clone(),
        seed: 1,
    };
    let (sender, received) = unbounded_channel();
    let (batches, parcels) = Batches::of(&INTERLEAVED);
    for parcel in parcels {
        sender.send(parcel).ok().unwrap();
    }
    drop(sender);
    let running = tokio::spawn(shard.run(received));
    while status.get().sinks.get("out").is_none_or(|sink| sink.blocked_shards == 0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status.get().sinks["out"].last_error.as_deref(), Some("no"));
    batches.partition.abandon();
    running.await.unwrap();
    assert!(outside.got.lock().unwrap().iter().all(|request| request[0].0 == 1));
    assert_eq!(status.get().sinks["out"].blocked_shards, 0);
}
