//! The one table of legal transitions, and the `Stepper` through which every SET goes.
//!
//! The kernel offers more arcs than a migration needs, and two of them are traps in 6.12: STOP_COPY to PRE_COPY*
//! never returns (an unkillable loop with the driver's mutex held), and any SET in ERROR is a WARN. So the table
//! lists what we may ask for, nothing else, and the stepper refuses the rest before any ioctl.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Device, DeviceState, MigrationFlags, StateStream};
use crate::error::{HelperError, Result};
use crate::message::{Event, EventSink};

use DeviceState::{PreCopy, PreCopyP2p, Resuming, Running, RunningP2p, Stop, StopCopy};

/// Every (from, to) pair we may ask a device for. The kernel's core steps through what lies between, skipping the
/// states the device lacks.
const LEGAL: &[(DeviceState, DeviceState)] = &[
    // Saving.
    (Running, PreCopy),
    (Running, RunningP2p),
    (PreCopy, PreCopyP2p),
    (RunningP2p, PreCopyP2p),
    (PreCopyP2p, StopCopy),
    (RunningP2p, StopCopy),
    (RunningP2p, Stop),
    (Stop, StopCopy),
    // A device without P2P, alone.
    (Running, StopCopy),
    (Running, Stop),
    (PreCopy, StopCopy),
    // Loading.
    (Running, Resuming),
    (RunningP2p, Resuming),
    (Stop, Resuming),
    (Resuming, Stop),
    (Stop, RunningP2p),
    // Back to RUNNING, and forward on a destination.
    (RunningP2p, Running),
    (Stop, Running),
    (StopCopy, Running),
    (StopCopy, RunningP2p),
    (StopCopy, Stop),
    (PreCopy, Running),
    (PreCopyP2p, Running),
    (PreCopyP2p, RunningP2p),
];

/// Whether a device with these flags has the state at all.
pub fn has_state(flags: MigrationFlags, state: DeviceState) -> bool {
    match state {
        DeviceState::Error => false,
        Stop | Running | StopCopy | Resuming => flags.stop_copy,
        RunningP2p => flags.p2p,
        PreCopy => flags.pre_copy,
        PreCopyP2p => flags.p2p && flags.pre_copy,
    }
}

/// Whether `to` may be asked for in `from`. Asking for the state a device is in is always allowed and does nothing.
pub fn is_legal(flags: MigrationFlags, from: DeviceState, to: DeviceState) -> bool {
    has_state(flags, from) && has_state(flags, to) && (from == to || LEGAL.contains(&(from, to)))
}

/// The state in which a device no longer starts DMA to its peers while its stream session, if any, stays open.
pub fn quiesced(flags: MigrationFlags, from: DeviceState) -> Option<DeviceState> {
    match from {
        PreCopy => flags.p2p.then_some(PreCopyP2p),
        Running => flags.p2p.then_some(RunningP2p),
        _ => None,
    }
}

/// How long a device may take to be RUNNING after RESET answered, and how often it is looked at meanwhile.
const RESET_SETTLES: Duration = Duration::from_secs(1);
const RESET_LOOK: Duration = Duration::from_millis(5);

/// A device behind the table. Nothing else in the helper calls `Device::set_state` or `Device::reset`.
pub struct Stepper {
    device: Box<dyn Device>,
    events: Arc<dyn EventSink>,
    clock: Instant,
    touched: bool,
    reset_settles: Duration,
}

impl Stepper {
    /// `clock` is this helper's zero of time, for the events' `atUs`.
    pub fn new(device: Box<dyn Device>, events: Arc<dyn EventSink>, clock: Instant) -> Self {
        Self { device, events, clock, touched: false, reset_settles: RESET_SETTLES }
    }

    pub fn name(&self) -> &str {
        self.device.name()
    }

    pub fn flags(&self) -> MigrationFlags {
        self.device.flags()
    }

    pub fn device(&mut self) -> &mut dyn Device {
        self.device.as_mut()
    }

    pub fn state(&mut self) -> Result<DeviceState> {
        self.device.state()
    }

    /// Whether a SET or RESET was ever made here. A device that was never touched and does not run was stopped by
    /// somebody else who holds its descriptor, and is theirs to start.
    pub fn is_touched(&self) -> bool {
        self.touched
    }

    /// That the device is where it was left: others may hold its descriptor.
    ///
    /// # Errors
    /// `device/not-running`, `device/state-changed`, with the state it is in.
    pub fn must_be(&mut self, expected: DeviceState) -> Result<()> {
        let found = self.device.state()?;
        if found == expected {
            return Ok(());
        }
        let error = if expected == Running {
            HelperError::new(
                "device/not-running",
                format!("it is in {found}, and a device that moves starts in RUNNING"),
            )
            .suggest("start it by what stopped it, or reset it, then run again")
        } else {
            HelperError::new("device/state-changed", format!("it is in {found}; Ferry had left it in {expected}"))
                .suggest("find out which other process holds the device: no other process may change its state while it moves")
        };
        Err(error.device(self.name()).state(found))
    }

    /// Brings the device to `target` by one SET, reading the state before (the table decides) and after (nothing is
    /// believed). Returns the stream when the arc enters a session.
    ///
    /// # Errors
    /// `device/illegal-transition` before any SET; otherwise the SET's own error, carrying the state the device was
    /// found in afterwards; `device/state-mismatch` when SET succeeded and the device is elsewhere.
    pub fn set(&mut self, target: DeviceState) -> Result<Option<Box<dyn StateStream>>> {
        let from = self.device.state()?;
        if !is_legal(self.flags(), from, target) {
            return Err(HelperError::new(
                "device/illegal-transition",
                format!("{from} to {target} is not a transition ferry asks for"),
            )
            .device(self.name())
            .state(from));
        }
        if from == target {
            return Ok(None);
        }
        let began = Instant::now();
        self.touched = true;
        let set = self.device.set_state(target);
        let found = self.device.state();
        let stream = match (set, found) {
            (Ok(stream), Ok(found)) if found == target => stream,
            (Ok(_), Ok(found)) => {
                self.report(from, found, began);
                return Err(HelperError::new(
                    "device/state-mismatch",
                    format!("SET {target} succeeded but did not hold"),
                )
                .device(self.name())
                .state(found));
            }
            (Ok(_), Err(error)) => return Err(error),
            (Err(error), Ok(found)) => {
                self.report(from, found, began);
                return Err(error.device(self.name()).state(found));
            }
            (Err(error), Err(_)) => return Err(error.device(self.name())),
        };
        self.report(from, target, began);
        Ok(stream)
    }

    /// Brings a source's device back to RUNNING, gently: SET RUNNING, and only where the kernel offers nothing else
    /// (ERROR, RESUMING) or SET failed, RESET, which loses what the device held. Checked by reading the state.
    ///
    /// Returns whether the device had to be reset.
    ///
    /// # Errors
    /// `device/needs-person` naming the state, when RESET failed too.
    pub fn recover(&mut self) -> Result<bool> {
        let from = self.device.state()?;
        if from == Running {
            return Ok(false);
        }
        let gentle = if is_legal(self.flags(), from, Running) { self.set(Running).err() } else { None };
        let now = self.device.state()?;
        if now == Running {
            return Ok(false);
        }
        let began = Instant::now();
        self.touched = true;
        let reset = self.device.reset();
        let found = if reset.is_ok() { self.state_after_reset() } else { self.device.state() };
        match (reset, found) {
            (Ok(()), Ok(Running)) => {
                self.report(now, Running, began);
                Ok(true)
            }
            (reset, found) => {
                let cause = reset.err().or(gentle).map_or(String::new(), |error| format!(": {error}"));
                let mut error = HelperError::new(
                    "device/needs-person",
                    format!("neither SET RUNNING nor RESET brought it back{cause}"),
                )
                .device(self.name())
                .operation("VFIO_DEVICE_RESET")
                .suggest("reset the device by its driver or by the bus, or restart what uses it");
                error.state = found.ok();
                Err(error)
            }
        }
    }

    /// Leaves a destination's device without the workload: by RESET, which is the only way out of RESUMING.
    ///
    /// # Errors
    /// What RESET says; `device/needs-person` when it claims success and the device is not RUNNING after it.
    pub fn discard(&mut self) -> Result<()> {
        let from = self.device.state()?;
        let began = Instant::now();
        self.touched = true;
        self.device.reset()?;
        let found = self.state_after_reset()?;
        self.report(from, found, began);
        if found == Running {
            return Ok(());
        }
        Err(HelperError::new("device/needs-person", format!("RESET reported success and left it in {found}"))
            .device(self.name())
            .operation("VFIO_DEVICE_RESET")
            .state(found)
            .suggest("reset the device by its driver or by the bus, or restart what uses it"))
    }

    /// A RESET ends in RUNNING; mlx5 may finish it a moment after it has answered.
    fn state_after_reset(&mut self) -> Result<DeviceState> {
        let until = Instant::now() + self.reset_settles;
        loop {
            let found = self.device.state()?;
            if found == Running || Instant::now() >= until {
                return Ok(found);
            }
            std::thread::sleep(RESET_LOOK);
        }
    }

    fn report(&self, from: DeviceState, to: DeviceState, began: Instant) {
        self.events.emit(Event::DeviceState {
            device: self.name().to_owned(),
            from,
            to,
            elapsed_us: began.elapsed().as_micros() as u64,
            at_us: self.clock.elapsed().as_micros() as u64,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;
    use crate::device::DeviceState::Error;

    struct Silent;
    impl EventSink for Silent {
        fn emit(&self, _event: Event) {}
    }

    /// A device whose SETs are scripted: each says whether SET succeeds and where the device then is.
    struct Scripted {
        flags: MigrationFlags,
        state: DeviceState,
        script: VecDeque<(bool, Option<DeviceState>)>,
        reset: Option<DeviceState>,
        asked: Arc<Mutex<Vec<(DeviceState, DeviceState)>>>,
    }

    impl Device for Scripted {
        fn name(&self) -> &str {
            "d"
        }
        fn flags(&self) -> MigrationFlags {
            self.flags
        }
        fn state(&mut self) -> Result<DeviceState> {
            Ok(self.state)
        }
        fn set_state(&mut self, target: DeviceState) -> Result<Option<Box<dyn StateStream>>> {
            self.asked.lock().expect("lock").push((self.state, target));
            let (ok, lands) = self.script.pop_front().unwrap_or((true, None));
            self.state = lands.unwrap_or(if ok { target } else { self.state });
            if ok { Ok(None) } else { Err(HelperError::new("device/set-state", "scripted")) }
        }
        fn stop_copy_bytes(&mut self) -> Result<Option<u64>> {
            Ok(None)
        }
        fn reset(&mut self) -> Result<()> {
            match self.reset {
                Some(state) => {
                    self.state = state;
                    Ok(())
                }
                None => Err(HelperError::new("device/reset", "scripted")),
            }
        }
    }

    fn stepper(
        raw_flags: u64,
        state: DeviceState,
        script: &[(bool, Option<DeviceState>)],
        reset: Option<DeviceState>,
    ) -> Stepper {
        let device = Scripted {
            flags: MigrationFlags::from_raw(raw_flags),
            state,
            script: script.iter().copied().collect(),
            reset,
            asked: Arc::default(),
        };
        let mut stepper = Stepper::new(Box::new(device), Arc::new(Silent), Instant::now());
        stepper.reset_settles = Duration::ZERO;
        stepper
    }

    fn any_state() -> impl Strategy<Value = DeviceState> {
        prop::sample::select(DeviceState::ALL.to_vec())
    }

    proptest! {
        /// The kernel's traps: from STOP_COPY into the PRE_COPY states, anything in ERROR, ERROR as a target, and
        /// states the device's flags do not have. None of them reaches the device, whatever is asked in whatever order.
        #[test]
        fn traps_cannot_be_reached(
            raw in prop::sample::select(vec![1u64, 3, 5, 7]),
            start in any_state(),
            targets in prop::collection::vec((any_state(), any::<bool>(), prop::option::of(any_state())), 1..20),
        ) {
            let asked = Arc::new(Mutex::new(Vec::new()));
            let device = Scripted {
                flags: MigrationFlags::from_raw(raw),
                state: start,
                script: targets.iter().map(|(_, ok, lands)| (*ok, *lands)).collect(),
                reset: Some(Running),
                asked: Arc::clone(&asked),
            };
            let mut stepper = Stepper::new(Box::new(device), Arc::new(Silent), Instant::now());
            for (target, _, _) in &targets {
                let before = stepper.state().expect("state");
                if let Err(error) = stepper.set(*target) {
                    prop_assert_eq!(error.state, Some(stepper.state().expect("state")), "failed SET is read back");
                } else {
                    prop_assert_eq!(stepper.state().expect("state"), *target, "success is checked, from {}", before);
                }
            }
            for (from, to) in asked.lock().expect("lock").iter() {
                let flags = MigrationFlags::from_raw(raw);
                prop_assert!(*from != Error && *to != Error);
                prop_assert!(!(*from == StopCopy && matches!(to, PreCopy | PreCopyP2p)));
                prop_assert!(has_state(flags, *from) && has_state(flags, *to));
            }
        }

        #[test]
        fn recovery_ends_in_running_or_names_the_device(
            raw in prop::sample::select(vec![1u64, 3, 5, 7]),
            start in any_state(),
            ok in any::<bool>(),
            lands in prop::option::of(any_state()),
            reset in prop::option::of(any_state()),
        ) {
            let mut stepper = stepper(raw, start, &[(ok, lands)], reset);
            match stepper.recover() {
                Ok(_) => prop_assert_eq!(stepper.state().expect("state"), Running),
                Err(error) => {
                    prop_assert_eq!(error.code, "device/needs-person");
                    prop_assert_eq!(error.state, Some(stepper.state().expect("state")));
                    prop_assert_eq!(error.device.as_deref(), Some("d"));
                }
            }
        }
    }

    #[test]
    fn a_gentle_way_back_does_not_reset() {
        for from in [PreCopy, PreCopyP2p, StopCopy, Stop, RunningP2p] {
            assert!(!stepper(7, from, &[], None).recover().expect("SET RUNNING is enough"), "{from}");
        }
        assert!(stepper(7, Resuming, &[], Some(Running)).recover().expect("reset"));
        assert!(stepper(7, Error, &[], Some(Running)).recover().expect("reset"));
    }

    #[test]
    fn a_reset_that_changes_nothing_is_no_discarding() {
        for stays in [Resuming, Error, Stop, PreCopy] {
            let error = stepper(7, stays, &[], Some(stays)).discard().expect_err("it is where it was");
            assert_eq!((error.code, error.state), ("device/needs-person", Some(stays)));
        }
        stepper(7, Resuming, &[], Some(Running)).discard().expect("it runs");
    }

    #[test]
    fn a_set_that_lies_is_found_out() {
        let error = stepper(7, Running, &[(true, Some(Stop))], None).set(RunningP2p).err().expect("refused");
        assert_eq!((error.code, error.state), ("device/state-mismatch", Some(Stop)));
    }
}
