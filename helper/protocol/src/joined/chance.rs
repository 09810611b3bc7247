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
    RecordDoubtful { on_disk: bool },
    CommitHalfSent { left: bool },
    RepeatToDestination,
    RepeatToSource,
    Cut,
    CancelSource,
    CancelDestination,
    SourceCrashes,
    DestinationCrashes,
    OwnerAsksSource,
    OwnerAsksDestination,
    OwnerRelaysCommit,
    OwnerRollsBackSource,
}

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
