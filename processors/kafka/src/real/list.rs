//! Lists of partitions, as librdkafka wants them.

use rdkafka::error::KafkaError;
use rdkafka::{Offset as Place, TopicPartitionList};
use weir_contract::TopicPartition;

/// Partitions without offsets.
pub(super) fn of(partitions: &[TopicPartition]) -> Result<TopicPartitionList, KafkaError> {
    at(partitions.iter().map(|id| (id, None)))
}

/// One partition at an offset.
pub(super) fn one(id: &TopicPartition, offset: i64) -> Result<TopicPartitionList, KafkaError> {
    at([(id, Some(offset))])
}

/// Partitions, each at an offset where it has one.
pub(super) fn at<'p>(
    partitions: impl IntoIterator<Item = (&'p TopicPartition, Option<i64>)>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for (id, offset) in partitions {
        std::ffi::CString::new(&*id.topic)?; // the list panics on a zero byte
        let mut element = list.add_partition(&id.topic, id.partition);
        if let Some(offset) = offset {
            element.set_offset(Place::Offset(offset))?;
        }
    }
    Ok(list)
}

/// The names in a list.
pub(super) fn names(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|element| TopicPartition::new(element.topic(), element.partition())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_no_topic_is_an_error_and_no_panic() {
        assert!(of(&[TopicPartition::new("a\0b", 0)]).is_err());
        assert!(one(&TopicPartition::new("a", 0), -7).is_err());
        let ids = [TopicPartition::new("a", 0), TopicPartition::new("b", 3)];
        assert_eq!(names(&of(&ids).unwrap()), ids);
    }
}
