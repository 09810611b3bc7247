//! Random schedules of SETs, reads, resets and failures against a plain model of the kernel's interface.

use proptest::prelude::*;

use crate::device::testing::{check, device, fill_all, flags, memory, position, spec, state, wait_writes, with_faults};
use crate::device::{SimFault, SimModel};
use crate::stamps::Fill;
use ferry_vfio::device::{Device, DeviceState, MigrationFlags, StateStream};

use DeviceState::{Error, PreCopy, PreCopyP2p, Resuming, Running, RunningP2p, Stop, StopCopy};

#[derive(Debug, Clone, Copy)]
enum Op {
    Set(DeviceState),
    Read(usize),
    Info,
    Reset,
    Wait,
    Check,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        10 => prop::sample::select(DeviceState::ALL.to_vec()).prop_map(Op::Set),
        3 => (1usize..9_000).prop_map(Op::Read),
        1 => Just(Op::Info),
        1 => Just(Op::Reset),
        2 => Just(Op::Wait),
        2 => Just(Op::Check),
    ];
    prop::collection::vec(op, 1..30)
}

/// The kernel's states as the fact sheet words them: which arcs a driver sees, found by searching for the shortest
/// path over native arcs with the core's preferences, not by the core's table.
#[derive(Debug)]
struct Model {
    flags: MigrationFlags,
    state: DeviceState,
    entries: Vec<(DeviceState, u32)>,
    /// Arc (state, nth) that fails, into ERROR or not.
    fails: (DeviceState, u32, bool),
}

impl Model {
    fn has(&self, state: DeviceState) -> bool {
        match state {
            Error => false,
            RunningP2p => self.flags.p2p,
            PreCopy => self.flags.pre_copy,
            PreCopyP2p => self.flags.p2p && self.flags.pre_copy,
            _ => true,
        }
    }

    /// The states on the way, by the words of the specification: leave the session one is in, come to STOP or
    /// RUNNING by way of P2P, enter the session asked for.
    fn path(&self, to: DeviceState) -> Option<Vec<DeviceState>> {
        let full: Vec<DeviceState> = match (self.state, to) {
            (from, to) if from == to => vec![],
            (PreCopy, PreCopyP2p) => vec![PreCopyP2p],
            (PreCopy, StopCopy) => vec![PreCopyP2p, StopCopy],
            (PreCopyP2p, PreCopy | StopCopy) => vec![to],
            (StopCopy, PreCopy | PreCopyP2p) => return None,
            (from, to) => {
                let mut path = match from {
                    Running => vec![],
                    PreCopy => vec![Running],
                    PreCopyP2p | RunningP2p => vec![RunningP2p],
                    _ => vec![Stop],
                };
                let at = path.last().copied().unwrap_or(Running);
                path.extend(match (at, to) {
                    (Running, Running) | (RunningP2p, RunningP2p) | (Stop, Stop) => vec![],
                    (Running, PreCopy) => vec![PreCopy],
                    (Running, RunningP2p | PreCopyP2p) => vec![RunningP2p, to],
                    (Running, _) => vec![RunningP2p, Stop, to],
                    (RunningP2p, Running) => vec![Running],
                    (RunningP2p, PreCopy) => vec![Running, PreCopy],
                    (RunningP2p, PreCopyP2p) => vec![PreCopyP2p],
                    (RunningP2p, _) => vec![Stop, to],
                    (_, Running) => vec![RunningP2p, Running],
                    (_, PreCopy) => vec![RunningP2p, Running, PreCopy],
                    (_, RunningP2p | PreCopyP2p) => vec![RunningP2p, to],
                    (_, _) => vec![to],
                });
                path
            }
        };
        let mut path: Vec<DeviceState> = full.into_iter().filter(|state| self.has(*state)).collect();
        path.dedup();
        if path.first() == Some(&self.state) {
            path.remove(0);
        }
        self.has(to).then_some(path)
    }

    /// Errno of the SET, and whether it gives a stream.
    fn set(&mut self, to: DeviceState) -> Result<bool, i32> {
        if self.state == Error {
            return Err(libc::EIO);
        }
        let path = self.path(to).ok_or(libc::EINVAL)?;
        let mut stream = false;
        for next in path {
            let count = self.entries.iter_mut().find(|entry| entry.0 == next).expect("all states");
            count.1 += 1;
            if (next, count.1) == (self.fails.0, self.fails.1) {
                if self.fails.2 {
                    self.state = Error;
                }
                return Err(libc::EBUSY);
            }
            if self.state == Resuming {
                return Err(libc::EINVAL); // Nothing was written: no state to load.
            }
            let inside = matches!(self.state, PreCopy | PreCopyP2p);
            stream = matches!(next, PreCopy | PreCopyP2p | StopCopy) && !inside || next == Resuming;
            self.state = next;
        }
        Ok(stream)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_schedule_goes_as_the_model_says(
        raw in prop::sample::select(vec![1u64, 3, 5, 7]),
        mdev: bool,
        fails in (prop::sample::select(DeviceState::ALL.to_vec()), 1u32..4, any::<bool>()),
        ops in ops(),
    ) {
        let memory = memory(&[(0, 64), (0x100_0000, 8)]);
        let initial = Fill { seed: 1, zero_percent: 50 };
        fill_all(&memory, initial);
        let mut spec = spec(if mdev { SimModel::Mdev } else { SimModel::Function }, 0, 64);
        spec.flags = flags(raw);
        let fault = SimFault::Transition {
            state: fails.0, nth: Some(fails.1), errno: Some("EBUSY".into()), enter_error: Some(fails.2),
        };
        let (backend, mut device) = device(&memory, with_faults(spec, &[fault]));
        let mut model = Model {
            flags: MigrationFlags::from_raw(raw),
            state: Running,
            entries: DeviceState::ALL.map(|state| (state, 0)).to_vec(),
            fails,
        };
        let mut stream: Option<Box<dyn StateStream>> = None;
        let mut programmed = true;
        for op in ops {
            let before = state(&mut device);
            match op {
                Op::Set(target) => {
                    let expected = model.set(target);
                    match device.set_state(target) {
                        Ok(got) => {
                            prop_assert_eq!(expected, Ok(got.is_some()), "{} to {}", before, target);
                            stream = got.or(stream);
                        }
                        Err(error) => {
                            prop_assert_eq!(expected, Err(error.errno.expect("errno")), "{} to {}", before, target);
                            prop_assert_eq!(error.state, Some(model.state));
                        }
                    }
                }
                Op::Read(length) => if let Some(stream) = &mut stream {
                    let saving = matches!(model.state, PreCopy | PreCopyP2p | StopCopy);
                    prop_assert_eq!(stream.read(&mut vec![0; length]).is_ok(), saving, "{}", model.state);
                },
                Op::Info => if let Some(stream) = &mut stream {
                    let precopy = matches!(model.state, PreCopy | PreCopyP2p);
                    prop_assert_eq!(stream.precopy_info().is_ok(), precopy, "{}", model.state);
                },
                Op::Reset => {
                    device.reset().expect("reset");
                    model.state = Running;
                    programmed = false;
                }
                Op::Wait => if programmed && model.state.writes_memory() {
                    wait_writes(&device, 50);
                },
                Op::Check => if programmed {
                    let report = check(&mut [&mut device], &memory, &|_| Some(initial)).expect("check");
                    prop_assert_eq!((report.lost_pages, report.pages), (0, 72));
                },
            }
            prop_assert_eq!(state(&mut device), model.state, "after {:?} in {}", op, before);
            if !model.state.writes_memory() {
                let at = position(&device);
                std::thread::sleep(std::time::Duration::from_micros(300));
                prop_assert_eq!(position(&device), at, "writes in {}", model.state);
            }
        }
        if programmed {
            let report = check(&mut [&mut device], &memory, &|_| Some(initial)).expect("check");
            prop_assert_eq!((report.lost, report.writes >= position(&device) / 2), (vec![], true));
        }
        prop_assert_eq!(backend.iommu().dma_faults(), 0);
    }
}
