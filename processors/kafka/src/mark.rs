//! What a worker commits beside an offset, in the offset's metadata.

use std::collections::BTreeSet;

/// The format's name and version: the first word.
const FORMAT: &str = "weir:1";

/// What is known of a partition at its committed offset: words after the format's name, as in
/// `weir:1 state topic=L1RoDJ2FTTOPVdZ8yFuyCw partitions=12 skip=17,23`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Whether the changelog has a state that belongs to the offset.
    pub state: bool,
    /// The ID of the topic that the offset is of, where the client can tell.
    pub topic_id: Option<String>,
    /// How many partitions the topic had when the group began to read this one, where the client can tell.
    pub partitions: Option<i32>,
    /// Offsets of records that an operator passes over: rejected unread.
    pub skip: BTreeSet<i64>,
}

/// A mark of a later version of Weir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaterFormat;

impl Mark {
    /// Reads an offset's metadata; what others than Weir have written says nothing.
    ///
    /// # Errors
    /// It is of a later version, whose meaning is unknown.
    pub fn read(metadata: &str) -> Result<Self, LaterFormat> {
        let mut words = metadata.split(' ');
        match words.next() {
            Some(FORMAT) => {}
            Some(later) if later.starts_with("weir:") => return Err(LaterFormat),
            _ => return Ok(Self::default()),
        }
        let mut mark = Self::default();
        for word in words {
            match word.split_once('=') {
                None if word == "state" => mark.state = true,
                Some(("topic", id)) => mark.topic_id = Some(id.to_owned()),
                Some(("partitions", count)) => mark.partitions = count.parse().ok(),
                Some(("skip", offsets)) => mark.skip = offsets.split(',').flat_map(str::parse).collect(),
                _ => return Err(LaterFormat),
            }
        }
        Ok(mark)
    }

    /// The metadata for an offset: what is to be skipped before it is done.
    pub fn write(&self, offset: i64) -> String {
        let mut metadata = FORMAT.to_owned();
        if self.state {
            metadata.push_str(" state");
        }
        if let Some(id) = &self.topic_id {
            metadata.push_str(" topic=");
            metadata.push_str(id);
        }
        if let Some(count) = self.partitions {
            metadata.push_str(" partitions=");
            metadata.push_str(&count.to_string());
        }
        let skip: Vec<_> = self.skip.range(offset..).map(ToString::to_string).collect();
        if !skip.is_empty() {
            metadata.push_str(" skip=");
            metadata.push_str(&skip.join(","));
        }
        metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_as_it_was_written_without_what_is_done() {
        let topic_id = Some("L1RoDJ2FTTOPVdZ8yFuyCw".into());
        let mark = Mark { state: true, topic_id, partitions: Some(12), skip: [3, 17, 23].into() };
        let written = mark.write(17);
        assert_eq!(written, "weir:1 state topic=L1RoDJ2FTTOPVdZ8yFuyCw partitions=12 skip=17,23");
        assert_eq!(Mark::read(&written), Ok(Mark { skip: [17, 23].into(), ..mark }));
        assert_eq!(Mark::read(&Mark::default().write(0)), Ok(Mark::default()));
    }

    #[test]
    fn what_others_wrote_says_nothing_and_what_a_later_version_wrote_is_an_error() {
        assert_eq!(Mark::read(""), Ok(Mark::default()));
        assert_eq!(Mark::read("leader-1 consumed"), Ok(Mark::default()));
        assert_eq!(Mark::read("weir:2 state"), Err(LaterFormat));
        assert_eq!(Mark::read("weir:1 shape=round"), Err(LaterFormat));
    }
}
