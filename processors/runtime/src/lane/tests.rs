use prometheus_client::registry::Registry;
use tokio::sync::mpsc::{channel, unbounded_channel};
use weir_contract::{BatchBuilder, StateError};

use super::*;

/// Sends each record by both outlets.
struct Both;

impl Processor for Both {
    type Out = i64;

    fn restore(&mut self, _: &[u8], _: &[u8]) -> Result<(), StateError> {
        Ok(())
    }

    fn process(&mut self, batch: &Batch, out: &mut Outbox<i64>) {
        for record in batch.records() {
            out.emit_to(0, record.offset, 0, record.offset, 1);
            out.emit_to(1, record.offset, u64::MAX, record.offset, 1);
        }
    }

    fn tick(&mut self, _: Timestamp, _: Memory, _: &mut Outbox<i64>) {}
}

/// Guards: invariant 1 with several ways to the outside: an offset waits for all of them.
#[tokio::test]
async fn a_batch_is_finished_once_every_outlet_has_acknowledged_it() {
    let (shards, mut received): (Vec<_>, Vec<_>) = (0..3).map(|_| unbounded_channel()).unzip();
    let lane: Lane<Both> = Lane {
        shards,
        outlets: vec![1, 2],
        budget: Budget::new(1000),
        limits: Limits::all(100),
        instruments: Instruments::new(&mut Registry::default()),
        made_bytes: Arc::default(),
    };
    let id = TopicPartition::new("t", 0);
    let partition = Partition::open(id.clone(), 4);
    let (work, works) = channel(4);
    let open = Work::Open { partition: Arc::clone(&partition), processor: Both, notices: unbounded_channel().0 };
    work.send(open).await.ok().unwrap();
    let mut builder = BatchBuilder::new(id);
    for offset in 4..6 {
        builder.push(offset, None, None, Some(b"x"), std::iter::empty());
    }
    let (entry, processing) = partition.admit(Some((4, 6)), 0);
    let charge = lane.budget.charge(1);
    let batch = Work::Batch { entry, processing, batch: builder.build().unwrap(), charge, unread: None };
    work.send(batch).await.ok().unwrap();
    drop(work);
    lane.run(works).await;

    let [first, between, second] = received.as_mut_slice() else { panic!("three shards") };
    assert!(between.try_recv().is_err());
    for (shard, position) in [(second, 4), (first, 6)] {
        assert_eq!(partition.front().position, 4);
        let parcel = shard.try_recv().unwrap();
        assert_eq!(parcel.items.iter().map(|item| item.value).collect::<Vec<_>>(), [4, 5]);
        parcel.hold.release();
        assert_eq!(partition.front().position, position);
    }
}
