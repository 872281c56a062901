//! Dropping the state of a partition, on an operator's word.

use std::sync::Arc;

use weir_contract::TopicPartition;

use crate::client::{Class, Client, ClientError, Offset};
use crate::mark::Mark;
use crate::open::{OpenError, read_state};
use crate::state;

/// How often an end of a transaction that is undecided is asked for; each try waits as long as the
/// client's calls do.
const END_TRIES: usize = 6;

/// Drops what a worker has remembered of a source partition, in one transaction with the group's
/// offset, which stays what it is and claims no state any more: the partition then opens there,
/// with an empty state. How many entries there were.
///
/// The client is a member of the group that the partition was given to: nobody else opens it
/// meanwhile, and should the group have moved on, Kafka refuses the offset and so all of it. (A group
/// that has committed nothing of the partition has no offset to say, and this no such guard.)
///
/// # Errors
/// A retriable or abortable one changes nothing; a fatal one may leave the end undecided, which doing
/// it again with a new client clears up.
pub async fn reset<C: Client>(client: &C, source: &TopicPartition, changelog: &Arc<str>) -> Result<usize, OpenError> {
    let group = client.group()?;
    let committed = client.committed(source).await?;
    let kept = read_state(client, source, changelog).await?;
    let offsets = committed.map(|committed| {
        let mark = Mark { state: false, ..Mark::read(&committed.metadata).unwrap_or_default() };
        let (offset, metadata) = (committed.offset, mark.write(committed.offset));
        Offset { partition: source.clone(), offset, metadata }
    });
    client.begin()?;
    let write = async {
        for key in kept.entries.keys() {
            client.produce(&state::entry(changelog, source, key, None)).await?;
        }
        client.produce(&state::position(changelog, source, None)).await?;
        match offsets {
            Some(offset) => client.send_offsets(&[offset], &group).await,
            None => Ok(()),
        }
    };
    let (written, ending) = match write.await {
        Ok(()) => (end(client).await, true),
        failed => (failed, false),
    };
    match written {
        Ok(()) => Ok(kept.entries.len()),
        Err(error) => {
            if error.class == Class::Abortable || !ending && error.class == Class::Retriable {
                client.abort().await?;
            }
            Err(error.into())
        }
    }
}

/// An undecided transaction is asked to end again, and never aborted; after that a new client has to
/// find out what became of it.
async fn end<C: Client>(client: &C) -> Result<(), ClientError> {
    for _ in 1..END_TRIES {
        match client.commit().await {
            Err(error) if error.class == Class::Retriable => {}
            ended => return ended,
        }
    }
    client.commit().await.map_err(|error| match error.class {
        Class::Retriable => ClientError { class: Class::Fatal, ..error },
        _ => error,
    })
}
