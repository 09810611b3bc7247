//! How the kernel's core steps a device from one state to another (`vfio_mig_get_next_state`, drivers/vfio/vfio_main.c).
//! Deliberately not shared with the table of transitions we allow ourselves: this is the other side of the interface.

use ferry_vfio::device::{DeviceState, MigrationFlags};

use DeviceState::{Error, PreCopy, PreCopyP2p, Resuming, Running, RunningP2p, Stop, StopCopy};

/// The next step on the way from `from` to `to`, states the device lacks being stepped over; `None` is EINVAL.
///
/// STOP_COPY to PRE_COPY* is EINVAL here, as documented; Linux 6.12 loops forever on it.
pub(super) fn next(flags: MigrationFlags, from: DeviceState, to: DeviceState) -> Option<DeviceState> {
    if !supported(flags, from) || !supported(flags, to) {
        return None;
    }
    let mut step = full_step(from, to);
    while step != Error && !supported(flags, step) {
        step = full_step(step, to);
    }
    (step != Error).then_some(step)
}

fn supported(flags: MigrationFlags, state: DeviceState) -> bool {
    match state {
        Error => false,
        Stop | Running | StopCopy | Resuming => flags.stop_copy,
        RunningP2p => flags.p2p,
        PreCopy => flags.pre_copy,
        PreCopyP2p => flags.pre_copy && flags.p2p,
    }
}

/// The kernel's `vfio_from_fsm_table`, for a device with every state.
fn full_step(from: DeviceState, to: DeviceState) -> DeviceState {
    match (from, to) {
        (Error, _) | (_, Error) => Error,
        (from, to) if from == to => to,
        (Stop, StopCopy | Resuming) => to,
        (Stop, _) => RunningP2p,
        (Running, PreCopy) => PreCopy,
        (Running, _) => RunningP2p,
        (PreCopy, PreCopyP2p | StopCopy) => PreCopyP2p,
        (PreCopy, _) => Running,
        (PreCopyP2p, PreCopy | StopCopy) => to,
        (PreCopyP2p, _) => RunningP2p,
        (StopCopy, PreCopy | PreCopyP2p) => Error,
        (StopCopy | Resuming, _) => Stop,
        (RunningP2p, Running | PreCopy) => Running,
        (RunningP2p, PreCopyP2p) => PreCopyP2p,
        (RunningP2p, _) => Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: u64, from: DeviceState, to: DeviceState) -> Option<Vec<DeviceState>> {
        let mut path = Vec::new();
        let mut at = from;
        while at != to {
            at = next(MigrationFlags::from_raw(raw), at, to)?;
            path.push(at);
            assert!(path.len() < 8, "endless path {from} to {to}: {path:?}");
        }
        Some(path)
    }

    /// Paths verified by running the kernel's own function in userspace.
    #[test]
    fn steps_as_the_kernel_does() {
        let known: &[(u64, DeviceState, DeviceState, &[DeviceState])] = &[
            (7, Running, StopCopy, &[RunningP2p, Stop, StopCopy]),
            (7, Running, Resuming, &[RunningP2p, Stop, Resuming]),
            (7, Running, PreCopyP2p, &[RunningP2p, PreCopyP2p]),
            (7, PreCopy, StopCopy, &[PreCopyP2p, StopCopy]),
            (7, PreCopy, Stop, &[Running, RunningP2p, Stop]),
            (7, PreCopy, RunningP2p, &[Running, RunningP2p]),
            (7, PreCopyP2p, Running, &[RunningP2p, Running]),
            (7, PreCopyP2p, Resuming, &[RunningP2p, Stop, Resuming]),
            (7, StopCopy, Running, &[Stop, RunningP2p, Running]),
            (7, Resuming, PreCopy, &[Stop, RunningP2p, Running, PreCopy]),
            (7, RunningP2p, PreCopy, &[Running, PreCopy]),
            (5, PreCopy, StopCopy, &[StopCopy]),
            (5, PreCopy, Stop, &[Running, Stop]),
            (3, Running, StopCopy, &[RunningP2p, Stop, StopCopy]),
            (1, Running, StopCopy, &[Stop, StopCopy]),
            (1, Resuming, Running, &[Stop, Running]),
        ];
        for (raw, from, to, steps) in known {
            assert_eq!(path(*raw, *from, *to).as_deref(), Some(*steps), "flags {raw}: {from} to {to}");
        }
    }

    #[test]
    fn only_the_documented_arcs_are_refused() {
        for raw in [1, 3, 5, 7] {
            let flags = MigrationFlags::from_raw(raw);
            for from in DeviceState::ALL {
                for to in DeviceState::ALL {
                    let refused = !supported(flags, from)
                        || !supported(flags, to)
                        || (from == StopCopy && matches!(to, PreCopy | PreCopyP2p));
                    assert_eq!(path(raw, from, to).is_none(), refused && from != to, "flags {raw}: {from} to {to}");
                }
            }
        }
    }
}
