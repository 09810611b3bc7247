//! What may happen next, and how often.

use proptest::prelude::*;

/// One step of a schedule. Steps that do not apply do nothing.
#[derive(Debug, Clone, Copy)]
pub enum Chance {
    SourceActs,
    DestinationActs,
    ToDestination,
    ToSource,
    SourceFails,
    DestinationFails,
    RecordDoubtful {
        on_disk: bool,
    },
    CommitHalfSent {
        left: bool,
    },
    RepeatToDestination,
    RepeatToSource,
    Cut,
    CancelSource,
    CancelDestination,
    SourceCrashes,
    DestinationCrashes,
    /// The loop dies in the middle of its action, before or after it took effect; its process lives on.
    SourceInterrupted {
        done: bool,
    },
    DestinationInterrupted {
        done: bool,
    },
    /// A cut loses what was sent last.
    LostToDestination,
    LostToSource,
    /// Its action ends by what the loop hears meanwhile: the link broke, a cancel, an ABORT that is heeded.
    DestinationLosesLink,
    DestinationCancelledInAction,
    DestinationHearsAbortInAction,
    /// A process that is neither helper places DISCARD where no COMMIT is recorded: a recovery on that host.
    DiscardPlacedAtSource,
    DiscardPlacedAtDestination,
    OwnerAsksSource,
    OwnerAsksDestination,
    OwnerRelaysCommit,
    OwnerRollsBackSource,
}

/// Every step there is.
pub const ALL: [Chance; 32] = [
    Chance::SourceActs,
    Chance::DestinationActs,
    Chance::ToDestination,
    Chance::ToSource,
    Chance::SourceFails,
    Chance::DestinationFails,
    Chance::RecordDoubtful { on_disk: false },
    Chance::RecordDoubtful { on_disk: true },
    Chance::CommitHalfSent { left: false },
    Chance::CommitHalfSent { left: true },
    Chance::RepeatToDestination,
    Chance::RepeatToSource,
    Chance::Cut,
    Chance::CancelSource,
    Chance::CancelDestination,
    Chance::SourceCrashes,
    Chance::DestinationCrashes,
    Chance::SourceInterrupted { done: false },
    Chance::SourceInterrupted { done: true },
    Chance::DestinationInterrupted { done: false },
    Chance::DestinationInterrupted { done: true },
    Chance::LostToDestination,
    Chance::LostToSource,
    Chance::DestinationLosesLink,
    Chance::DestinationCancelledInAction,
    Chance::DestinationHearsAbortInAction,
    Chance::DiscardPlacedAtSource,
    Chance::DiscardPlacedAtDestination,
    Chance::OwnerAsksSource,
    Chance::OwnerAsksDestination,
    Chance::OwnerRelaysCommit,
    Chance::OwnerRollsBackSource,
];

/// Anything.
pub fn chances() -> impl Strategy<Value = Chance> {
    prop_oneof![
        30 => Just(Chance::SourceActs),
        30 => Just(Chance::DestinationActs),
        20 => Just(Chance::ToDestination),
        20 => Just(Chance::ToSource),
        10 => Just(Chance::SourceFails),
        6 => Just(Chance::DestinationFails),
        15 => any::<bool>().prop_map(|on_disk| Chance::RecordDoubtful { on_disk }),
        6 => any::<bool>().prop_map(|left| Chance::CommitHalfSent { left }),
        2 => Just(Chance::RepeatToDestination),
        2 => Just(Chance::RepeatToSource),
        1 => Just(Chance::Cut),
        1 => Just(Chance::CancelSource),
        1 => Just(Chance::CancelDestination),
        1 => Just(Chance::SourceCrashes),
        1 => Just(Chance::DestinationCrashes),
        1 => any::<bool>().prop_map(|done| Chance::SourceInterrupted { done }),
        1 => any::<bool>().prop_map(|done| Chance::DestinationInterrupted { done }),
        1 => Just(Chance::LostToDestination),
        1 => Just(Chance::LostToSource),
        1 => Just(Chance::DestinationLosesLink),
        1 => Just(Chance::DestinationCancelledInAction),
        1 => Just(Chance::DestinationHearsAbortInAction),
        1 => Just(Chance::DiscardPlacedAtSource),
        1 => Just(Chance::DiscardPlacedAtDestination),
        2 => Just(Chance::OwnerAsksSource),
        2 => Just(Chance::OwnerAsksDestination),
        2 => Just(Chance::OwnerRelaysCommit),
        1 => Just(Chance::OwnerRollsBackSource),
    ]
}

/// What matters once COMMIT is near.
pub fn around_commit() -> impl Strategy<Value = Chance> {
    prop_oneof![
        4 => Just(Chance::SourceActs),
        3 => Just(Chance::DestinationActs),
        3 => Just(Chance::ToDestination),
        1 => Just(Chance::ToSource),
        1 => Just(Chance::SourceFails),
        2 => Just(Chance::Cut),
        1 => Just(Chance::CancelDestination),
        1 => Just(Chance::SourceCrashes),
        1 => Just(Chance::DestinationCrashes),
        3 => Just(Chance::OwnerAsksSource),
        2 => Just(Chance::OwnerAsksDestination),
        3 => Just(Chance::OwnerRelaysCommit),
        2 => Just(Chance::OwnerRollsBackSource),
    ]
}
