//! The source's side: what it keeps from connecting to the end, and the way back. Pre-copy is in `precopy`, the
//! cutover in `cutover`.

pub(crate) mod asking;
pub(crate) mod blackout;
pub(crate) mod blackout_send;
pub(crate) mod cutover;
pub(crate) mod estimate;
pub(crate) mod forecast;
pub(crate) mod hold;
pub(crate) mod pace;
pub(crate) mod pause;
pub(crate) mod precopy;
pub(crate) mod saving;
pub(crate) mod sending;
pub mod steer;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::clock::micros;
use crate::commit_record::CommitRecord;
use crate::device::DeviceState;
use crate::device::transitions::Stepper;
use crate::dirty::DirtyBitmap;
use crate::dirty::union::Union;
use crate::error::{HelperError, Result};
use crate::memory::Memory;
use crate::message::{BlackoutForecast, DeviceAt, EventSink, RollbackParams, RollbackReply};
use crate::protocol::source::{Action, Event, Source as Machine, State};
use crate::source::estimate::{Intake, Rate, Recent};
use crate::source::forecast::Basis;
use crate::source::saving::{Saving, estimate};
use crate::source::steer::Steer;
use crate::streams::link::{Link, Patience, Wait};
use crate::streams::pages::Carried;
use crate::verify::measure_hash_rate;
use crate::wire::payload::{Layout, to_json};
use crate::wire::{Frame, Kind};

/// What a source works on; the session owns it and lends it to each request.
pub struct Workload<'a> {
    pub devices: &'a mut [Stepper],
    pub union: &'a mut Union,
}

/// What the owner's request says of a blackout, besides its limit. Times in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expects {
    pub(crate) fixed_us: u64,
    pub(crate) hooks_us: u64,
    pub(crate) verify: bool,
}

/// A cutover as it would be now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outlook {
    pub(crate) dirty_bytes: u64,
    pub(crate) state_bytes: u64,
    pub(crate) forecast: BlackoutForecast,
}

/// The source's side of one connection. One attempt: once rolled back it is only good for [`Self::rollback`].
pub struct Source {
    pub(crate) link: Link,
    pub(crate) memory: Arc<Memory>,
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) machine: Machine,
    /// In the order of the devices, which is the order of the frames' index.
    pub(crate) saving: Vec<Saving>,
    /// Pages the destination does not hold as they are here: all of them at first. A page leaves it when it is sent,
    /// and comes back when a tracker names it.
    pub(crate) pending: DirtyBitmap,
    pub(crate) carried: Carried,
    pub(crate) rate: Rate,
    pub(crate) intake: Intake,
    /// Bytes dirty after each of the last rounds.
    pub(crate) dirt: Recent,
    /// Bytes of pre-copy state that no round's answer covers yet.
    pub(crate) state_on_way: u64,
    pub(crate) rounds: u32,
    /// What the owner changes on the way.
    pub(crate) steer: Arc<Steer>,
    /// Failures of the last undoing.
    pub(crate) needs_person: Vec<HelperError>,
    /// What the link's timeout is when no deadline is nearer.
    pub(crate) silence: Duration,
    cancel: Arc<AtomicBool>,
    hash_rate: Option<u64>,
    introduced: bool,
}

impl Source {
    pub fn new(link: Link, memory: Arc<Memory>, events: Arc<dyn EventSink>, cancel: Arc<AtomicBool>) -> Self {
        let mut pending = DirtyBitmap::new(memory.page_size(), &memory.areas());
        pending.set_all();
        let silence = link.patience().silence;
        Self {
            link,
            memory,
            events,
            machine: Machine::default(),
            saving: Vec::new(),
            pending,
            carried: Carried::default(),
            rate: Rate::default(),
            intake: Intake::default(),
            dirt: Recent::default(),
            state_on_way: 0,
            rounds: 0,
            steer: Arc::default(),
            needs_person: Vec::new(),
            silence,
            cancel,
            hash_rate: None,
            introduced: false,
        }
    }

    /// Lets the owner change the run on its way by `steer`.
    #[must_use]
    pub fn steered(mut self, steer: Arc<Steer>) -> Self {
        self.steer = steer;
        self
    }

    /// Whether COMMIT was, or may have been, recorded.
    pub fn is_committed(&self) -> bool {
        self.machine.is_committed()
    }

    /// Whether every device runs here again, as it was.
    pub fn is_back(&self) -> bool {
        self.machine.state() == State::RolledBack && self.needs_person.is_empty()
    }

    /// What the owner of this found out after the undoing: it is not back as it was.
    pub fn needs(&mut self, error: HelperError) {
        self.needs_person.push(error);
    }

    /// Tells the destination what will move; once per connection.
    pub(crate) fn introduce(&mut self, devices: &[Stepper]) -> Result<()> {
        if self.introduced {
            return Ok(());
        }
        let layout = to_json(&Layout::of(&self.memory, devices.iter().map(Stepper::name)))?;
        self.link.send(Frame::plain(Kind::Layout), &layout)?;
        self.link.expect(Kind::Ready, Wait::Due)?;
        self.saving = (0..devices.len() as u16).map(Saving::new).collect();
        self.introduced = true;
        Ok(())
    }

    /// Before the cutover: every device in RUNNING, or in PRE_COPY where a session is open. Anyone else who holds its
    /// descriptor may have moved it, and a session begun by somebody else cannot be read here.
    ///
    /// # Errors
    /// `device/not-running`, `device/state-changed`.
    pub(crate) fn must_be_as_left(&self, devices: &mut [Stepper]) -> Result<()> {
        for (saving, device) in self.saving.iter().zip(devices) {
            device.must_be(if saving.is_open() { DeviceState::PreCopy } else { DeviceState::Running })?;
        }
        Ok(())
    }

    /// # Errors
    /// `protocol/phase` when this attempt is over, or past its cutover.
    pub(crate) fn must_be_ready(&self, what: &str) -> Result<()> {
        if self.machine.state() == State::Ready {
            return Ok(());
        }
        Err(HelperError::new(
            "protocol/phase",
            format!("{what}: this attempt has already been cut over or rolled back"),
        ))
    }

    /// How long a wait may last, cancellable, with the deadline of the blackout if one runs.
    pub(crate) fn patience(&self, deadline: Option<Instant>) -> Patience {
        Patience { cancel: Some(Arc::clone(&self.cancel)), deadline, silence: self.silence }
    }

    /// What a cutover would cost now; times in microseconds.
    pub(crate) fn outlook(&mut self, devices: &mut [Stepper], expects: Expects) -> Outlook {
        let (mut state_bytes, mut state_most) = (0u64, 0u64);
        for (saving, device) in self.saving.iter().zip(devices) {
            let info = saving.info();
            let still = info.initial_bytes.saturating_add(info.dirty_bytes);
            let all = estimate(device).unwrap_or(0);
            // What pre-copy took is not sent again, and no device knows less than what it says is dirty.
            let left = all.saturating_sub(saving.bytes()).max(still);
            state_bytes = state_bytes.saturating_add(left);
            // A device that gave more than it ever announced sends some of it again: how much, no one knows.
            state_most = state_most.saturating_add(if saving.bytes() > all { left.max(all) } else { left });
        }
        let dirty_bytes = self.pending.dirty_bytes();
        let basis = Basis {
            dirty_bytes,
            dirty_span: self.dirt.span(dirty_bytes),
            state_bytes,
            state_most,
            link: self.rate.speed(),
            intake: self.intake.speed(),
            fixed_us: expects.fixed_us,
            verify_us: if expects.verify { micros(self.verify_time()) } else { 0 },
            round_trip_us: micros(self.link.round_trip()),
            hooks_us: expects.hooks_us,
        };
        Outlook { dirty_bytes, state_bytes, forecast: basis.forecast() }
    }

    /// Both sides hash at once, and on one host they share its cores: twice our own time.
    fn verify_time(&mut self) -> Duration {
        let memory = &self.memory;
        let rate = *self.hash_rate.get_or_insert_with(|| measure_hash_rate(memory));
        Duration::from_secs_f64(2.0 * memory.bytes() as f64 / rate.max(1) as f64)
    }

    /// Every device to RUNNING, checked, and the destination told. First those with P2P to RUNNING_P2P, so that none
    /// reaches into a peer that is still stopped.
    pub(crate) fn undo(&mut self, devices: &mut [Stepper], cause: &HelperError) -> Event {
        // What a reset lost stays lost, however often the devices are brought back after it.
        self.needs_person.retain(|error| error.code == STATE_LOST);
        for device in devices.iter_mut() {
            let stopped = device.state().is_ok_and(|state| {
                matches!(state, DeviceState::StopCopy | DeviceState::Stop | DeviceState::PreCopyP2p)
            });
            if stopped && device.flags().p2p && device.is_touched() {
                // A failure here shows again below, where it is dealt with.
                let _ = device.set(DeviceState::RunningP2p);
            }
        }
        for device in devices.iter_mut() {
            if !device.is_touched() {
                // Stopped by somebody else, who may have a reason: named, and left as it is.
                self.needs_person.extend(device.must_be(DeviceState::Running).err());
                continue;
            }
            match device.recover() {
                Ok(false) => {}
                Ok(true) => self.needs_person.push(lost(device.name())),
                Err(error) => self.needs_person.push(error),
            }
        }
        for saving in &mut self.saving {
            saving.leave();
        }
        self.link.abort(cause, false);
        self.link.finish();
        if self.needs_person.is_empty() { Event::Succeeded } else { Event::Failed }
    }

    /// A failure before the cutover began: everything goes back, and the failure is what is told.
    pub(crate) fn give_up(&mut self, devices: &mut [Stepper], cause: HelperError) -> HelperError {
        if self.machine.on(Event::Failed) == Some(Action::Undo) {
            let event = self.undo(devices, &cause);
            self.machine.on(event);
        }
        cause
    }

    /// Brings every device back to RUNNING on the owner's word. Repeatable: what is undone is checked again.
    ///
    /// # Errors
    /// `protocol/committed` when the destination may be running and is not known to have dropped the run.
    pub fn rollback(
        &mut self,
        devices: &mut [Stepper],
        params: &RollbackParams,
        record: &mut dyn CommitRecord,
    ) -> Result<RollbackReply> {
        let cause = HelperError::new("run/rolled-back", "the run was rolled back");
        let mut asked = false;
        // No loop is at work while this one is: an action still under way is one that died.
        for event in [Event::Interrupted, Event::RollbackAsked { peer_discarded: params.peer_discarded }] {
            let mut next = self.machine.on(event);
            asked = next.is_some();
            while let Some(action) = next {
                let event = match action {
                    Action::VoidRecord => record.discard().map_or(Event::Failed, |()| Event::Succeeded),
                    // Asked for by an owner who knows that the destination dropped the run.
                    Action::AskDiscard => Event::PeerAborted { discarded: params.peer_discarded },
                    _ => self.undo(devices, &cause),
                };
                next = self.machine.on(event);
            }
        }
        if !asked {
            return Err(HelperError::new("protocol/committed", "COMMIT was given: the destination may be running")
                .suggest("ask the destination; only when it has discarded the run may this side run again"));
        }
        Ok(RollbackReply { devices: states(devices), needs_person: self.needs_person.clone() })
    }
}

const STATE_LOST: &str = "device/state-lost";

/// The device runs again but not as it was: that needs somebody, even though it is RUNNING.
fn lost(device: &str) -> HelperError {
    HelperError::new(STATE_LOST, "only a reset brought it back to RUNNING; what it held is lost")
        .device(device)
        .operation("VFIO_DEVICE_RESET")
        .state(DeviceState::Running)
        .suggest("restart whatever uses the device, as after any reset")
}

/// Each device's state as read now; one that cannot be read counts as ERROR.
pub(crate) fn states(devices: &mut [Stepper]) -> Vec<DeviceAt> {
    devices
        .iter_mut()
        .map(|device| DeviceAt {
            device: device.name().to_owned(),
            state: device.state().unwrap_or(DeviceState::Error),
        })
        .collect()
}
