//! What the control thread may see and set while the worker is inside a long request: the cancel flag and a snapshot
//! of where the run stands. The snapshot is fed by the very events the owner gets, so the two cannot disagree.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::late::{old_epoch, other_run};
use crate::device::DeviceState;
use crate::error::Result;
use crate::message::num::Bytes;
use crate::message::{DeviceAt, Event, EventSink, Phase, Role, StatusReply};
use crate::resident::resident_bytes;
use crate::transfer::source::steer::Steer;

struct Snapshot {
    role: Option<Role>,
    run: Option<String>,
    epoch: Option<u64>,
    phase: Phase,
    devices: Vec<DeviceAt>,
    workload: Option<String>,
    /// The run by which it came to this holder.
    came_by: Option<String>,
}

impl Snapshot {
    /// Of no run.
    fn idle() -> Self {
        Self {
            role: None,
            run: None,
            epoch: None,
            phase: Phase::Idle,
            devices: Vec::new(),
            workload: None,
            came_by: None,
        }
    }
}

pub struct Shared {
    cancel: Arc<AtomicBool>,
    /// A destination has answered PREPARED.
    in_doubt: Arc<AtomicBool>,
    peak_resident: AtomicU64,
    /// How long the run waits for another owner, in milliseconds.
    grace_ms: AtomicU64,
    /// The stop has begun, by this helper's own events.
    stopping: AtomicBool,
    snapshot: Mutex<Snapshot>,
    next: Arc<dyn EventSink>,
    /// What the owner changes meanwhile.
    pub steer: Arc<Steer>,
}

impl Shared {
    /// Events are noted and handed on to `next`.
    pub fn new(next: Arc<dyn EventSink>) -> Self {
        Self {
            cancel: Arc::default(),
            in_doubt: Arc::default(),
            peak_resident: AtomicU64::new(0),
            grace_ms: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            snapshot: Mutex::new(Snapshot::idle()),
            next,
            steer: Arc::default(),
        }
    }

    /// Asks the request under way to undo itself and end. Stays set until the session is released: a cancelled run
    /// goes nowhere but back. Past COMMIT it is ignored by those who read it.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::SeqCst);
    }

    /// The owner is gone: the request under way ends, unless this is a destination that has answered PREPARED. Its source
    /// may have committed, and may be all but gone itself: it waits for the source's word, or for the link to end.
    pub fn orphan(&self) {
        if !self.in_doubt.load(Ordering::SeqCst) {
            self.cancel();
        }
    }

    /// As the claim has it.
    pub fn set_grace(&self, milliseconds: u64) {
        self.stopping.store(false, Ordering::SeqCst);
        self.grace_ms.store(milliseconds, Ordering::SeqCst);
    }

    /// How long the run waits for another owner; `None`: not at all.
    pub fn grace(&self) -> Option<Duration> {
        let milliseconds = self.grace_ms.load(Ordering::SeqCst);
        (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
    }

    /// The run is in its stop: the grace is over before it begins.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    pub fn doubt_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.in_doubt)
    }

    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::SeqCst)
    }

    pub fn begin(&self, role: Role, run: &str, epoch: u64) {
        let mut snapshot = self.lock();
        snapshot.role = Some(role);
        snapshot.run = Some(run.to_owned());
        snapshot.epoch = Some(epoch);
        snapshot.phase = Phase::Claimed;
    }

    /// Back to idle, ready for another run.
    pub fn end(&self) {
        *self.lock() = Snapshot::idle();
        self.steer.reset();
        self.uncancel();
    }

    /// As [`Self::end`], but `workload` is held, and its devices stay.
    pub fn hold(&self, workload: &str) {
        let mut snapshot = self.lock();
        let devices = std::mem::take(&mut snapshot.devices);
        let came_by =
            if snapshot.role == Some(Role::Destination) { snapshot.run.take() } else { snapshot.came_by.take() };
        *snapshot = Snapshot { devices, workload: Some(workload.to_owned()), came_by, ..Snapshot::idle() };
        drop(snapshot);
        self.steer.reset();
        self.uncancel();
    }

    /// The cancel that came with the end of an owner is carried out.
    pub fn uncancel(&self) {
        self.cancel.store(false, Ordering::SeqCst);
        self.in_doubt.store(false, Ordering::SeqCst);
    }

    /// A request of this epoch was admitted: older ones are late from now on.
    pub fn note_epoch(&self, epoch: u64) {
        let mut snapshot = self.lock();
        snapshot.epoch = snapshot.epoch.map(|known| known.max(epoch));
    }

    /// For requests that are answered beside the worker, and so pass no guard: they concern the run that is claimed,
    /// and come from its newest owner.
    ///
    /// # Errors
    /// `protocol/other-run`, `protocol/old-epoch`.
    pub fn must_concern(&self, op: &str, run: Option<&str>, epoch: Option<u64>) -> Result<()> {
        let snapshot = self.lock();
        let (Some(claimed), Some(run)) = (&snapshot.run, run) else { return Ok(()) };
        if claimed != run {
            return Err(other_run(op, run, claimed));
        }
        match (snapshot.epoch, epoch) {
            (Some(newest), Some(epoch)) if epoch < newest => Err(old_epoch(op, run, epoch, newest)),
            _ => Ok(()),
        }
    }

    /// Whether a run is claimed.
    pub fn has_run(&self) -> bool {
        self.lock().run.is_some()
    }

    pub fn phase(&self) -> Phase {
        self.lock().phase
    }

    pub fn set_phase(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    pub fn note_device(&self, device: &str, state: DeviceState) {
        let mut snapshot = self.lock();
        match snapshot.devices.iter_mut().find(|at| at.device == device) {
            Some(at) => at.state = state,
            None => snapshot.devices.push(DeviceAt { device: device.to_owned(), state }),
        }
    }

    /// Largest resident set seen so far at a round's end or after a request, in bytes.
    pub fn note_resident(&self) -> u64 {
        let now = resident_bytes();
        self.peak_resident.fetch_max(now, Ordering::Relaxed).max(now)
    }

    pub fn status(&self) -> StatusReply {
        let resident_bytes = Bytes(self.note_resident());
        let snapshot = self.lock();
        StatusReply {
            role: snapshot.role,
            run: snapshot.run.clone(),
            epoch: snapshot.epoch,
            phase: snapshot.phase,
            devices: snapshot.devices.clone(),
            resident_bytes,
            workload: snapshot.workload.clone(),
            came_by: snapshot.came_by.clone(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Snapshot> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Shared {
    fn emit(&self, event: Event) {
        if matches!(event, Event::Cutover { .. }) {
            self.stopping.store(true, Ordering::SeqCst);
        }
        if let Event::DeviceState { device, to, .. } = &event {
            self.note_device(device, *to);
        }
        // Reads /proc: not for every event, and none in the blackout.
        if matches!(event, Event::RoundEnd { .. }) {
            self.note_resident();
        }
        self.next.emit(event);
    }
}
