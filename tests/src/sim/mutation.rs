//! Bugs on purpose. A simulation that does not find them finds no others either.

/// A bug on purpose, in what surrounds the code under test or in the test worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The outside's answer is given before anything was delivered.
    AcknowledgesBeforeDelivering,
    /// Offsets are committed up to the newest record, whatever is under way.
    CommitsTheNewest,
    /// A transaction is ended without its offsets.
    SendsNoOffsets,
    /// A commit is vouched for by the group as it is when it is sent, not when it was collected.
    FetchesGroupLate,
    /// A revoke is answered before the last commit, which then passes under the new generation.
    AnswersBeforeTheCommit,
    /// The changelog's end is taken to be what is visible of it.
    TrustsTheStableEnd,
    /// The committed offset is read in spite of a pending transaction.
    ReadsOffsetsUnstable,
    /// A transaction whose end was not answered is taken for aborted, and its content sent again.
    SendsTheUndecidedAgain,
    /// Where the group begins is not committed before records are read.
    BeginsUncommitted,
    /// A partition that was added since the group began is taken for one that was there.
    TakesAddedPartitionsForOld,
    /// What is opening is fetched as soon as the budget lets anything be fetched.
    ResumesWhatIsOpening,
    /// A pause goes on behind the records that it threw away.
    PauseSkips,
    /// A pause does nothing.
    PauseIsIgnored,
    /// A seek does nothing.
    SeekIsIgnored,
    /// A processor passes over a record.
    SkipsARecord,
    /// The state of a batch is written with the next one.
    StateIsOneBatchLate,
    /// The state of a batch is written before its offset, like a decision.
    StateIsOneBatchAhead,
    /// A rejected record is passed over.
    SkipsTheRejected,
    /// An acknowledgement that comes after its partition was opened again counts for the next request.
    CountsLateAcknowledgements,
    /// A shard has two requests in flight.
    TwoInFlight,
    /// Items that must stay in order are spread over shards.
    SpreadsOverShards,
    /// What is kept leaves before its decision is committed.
    LeavesBeforeTheDecision,
    /// What is kept is released without being delivered.
    ReleasesWhatIsKept,
    /// Items that the outside refused are passed over.
    SwallowsRefusals,
    /// A rejected record is altered on its way.
    AltersDeadLetters,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::AcknowledgesBeforeDelivering,
        Self::CommitsTheNewest,
        Self::SendsNoOffsets,
        Self::FetchesGroupLate,
        Self::AnswersBeforeTheCommit,
        Self::TrustsTheStableEnd,
        Self::ReadsOffsetsUnstable,
        Self::SendsTheUndecidedAgain,
        Self::BeginsUncommitted,
        Self::TakesAddedPartitionsForOld,
        Self::ResumesWhatIsOpening,
        Self::PauseSkips,
        Self::PauseIsIgnored,
        Self::SeekIsIgnored,
        Self::SkipsARecord,
        Self::StateIsOneBatchLate,
        Self::StateIsOneBatchAhead,
        Self::SkipsTheRejected,
        Self::CountsLateAcknowledgements,
        Self::TwoInFlight,
        Self::SpreadsOverShards,
        Self::LeavesBeforeTheDecision,
        Self::ReleasesWhatIsKept,
        Self::SwallowsRefusals,
        Self::AltersDeadLetters,
    ];
}
