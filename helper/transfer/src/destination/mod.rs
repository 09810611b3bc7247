//! The destination's side: takes in what comes, loads it, and runs only when the machine says so.

pub(crate) mod loading;

mod frames;
mod owner;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::clock::micros;
use crate::commit_record::CommitRecord;
use crate::destination::loading::Loading;
use crate::device::DeviceState;
use crate::device::transitions::Stepper;
use crate::error::{FailureKind, HelperError, Result};
use crate::memory::Memory;
use crate::message::num::Bytes;
use crate::message::{CutoverStep, Event as Notice, EventSink, ReceiveOutcome, ReceiveReply};
use crate::protocol::destination::{Action, Destination as Machine, Event, State};
use crate::streams::link::{Link, Patience, Wait};
use crate::streams::pages::Carried;
use crate::verify::answer;
use crate::wire::payload::{HashRequest, LoadTime, Manifest, to_json};
use crate::wire::{Frame, Kind};

/// How long a destination that dropped the run stays to refuse a late COMMIT, at most: the source closes before.
const FAREWELL: Duration = Duration::from_secs(2);

pub struct Destination {
    link: Link,
    memory: Arc<Memory>,
    events: Arc<dyn EventSink>,
    cancel: Arc<AtomicBool>,
    in_doubt: Arc<AtomicBool>,
    machine: Machine,
    introduced: bool,
    /// In the order of the devices.
    loading: Vec<Loading>,
    carried: Carried,
    manifest: Option<Manifest>,
    ask: HashRequest,
    took: LoadTime,
    /// Time the devices took for the state since the last round's end.
    intake: Duration,
    cause: Option<HelperError>,
    needs_person: Vec<HelperError>,
}

impl Destination {
    pub fn new(link: Link, memory: Arc<Memory>, events: Arc<dyn EventSink>, cancel: Arc<AtomicBool>) -> Self {
        Self {
            link,
            memory,
            events,
            cancel,
            in_doubt: Arc::default(),
            machine: Machine::default(),
            introduced: false,
            loading: Vec::new(),
            carried: Carried::default(),
            manifest: None,
            ask: HashRequest::Blocks,
            took: LoadTime::default(),
            intake: Duration::ZERO,
            cause: None,
            needs_person: Vec::new(),
        }
    }

    /// `flag` is set once PREPARED is about to be answered: from then on the source may commit, and this side must not
    /// give the run up for want of an owner.
    pub fn note_doubt(mut self, flag: Arc<AtomicBool>) -> Self {
        self.in_doubt = flag;
        self
    }

    /// Whether COMMIT was received and recorded.
    pub fn is_committed(&self) -> bool {
        self.machine.is_committed()
    }

    /// Whether only the source knows what becomes of the run.
    pub fn is_waiting(&self) -> bool {
        self.machine.state() == State::Waiting
    }

    /// Serves the connection until the run is running here, dropped, or waiting: `waiting` is what a link lost after
    /// PREPARED leaves behind, with every device loaded and in STOP, until [`Self::rollback`].
    ///
    /// # Errors
    /// A device that did not come up after COMMIT, or a dropped run whose record could not be written.
    pub fn receive(&mut self, devices: &mut [Stepper], record: &mut dyn CommitRecord) -> Result<ReceiveReply> {
        let patience = Patience { cancel: Some(Arc::clone(&self.cancel)), ..self.link.patience().clone() };
        self.link.set_patience(patience)?;
        let began = self.begin(devices, record);
        let mut event = began.unwrap_or_else(|error| Some(self.event_of(error)));
        loop {
            if let Some(event) = event {
                self.follow(event, devices, record);
            }
            match self.machine.state() {
                State::Running => return Ok(self.reply(ReceiveOutcome::Running)),
                State::Waiting => return Ok(self.reply(ReceiveOutcome::Waiting)),
                State::NeedsPerson => {
                    return Err(self.cause.clone().unwrap_or_else(stuck));
                }
                State::Discarded => {
                    self.stay_to_refuse(devices, record);
                    return Ok(self.reply(ReceiveOutcome::Discarded));
                }
                State::Receiving | State::Prepared | State::Doing(_) => {}
            }
            event = self.listen(devices).unwrap_or_else(|error| Some(self.event_of(error)));
        }
    }

    /// Devices to RESUMING before anything comes, so that none runs meanwhile and none needs time for it later.
    fn begin(&mut self, devices: &mut [Stepper], record: &mut dyn CommitRecord) -> Result<Option<Event>> {
        for device in devices.iter_mut() {
            self.loading.push(Loading::begin(device)?);
        }
        record.prepare()?;
        Ok(None)
    }

    fn event_of(&mut self, error: HelperError) -> Event {
        let heard = self.machine.heeds_abort() && self.link.peer_abort().is_some();
        let event = if heard { Event::PeerAborted } else { event_of_kind(error.kind) };
        self.cause.get_or_insert(error);
        event
    }

    /// Tells the machine and does what it asks for, until it has nothing more.
    fn follow(&mut self, event: Event, devices: &mut [Stepper], record: &mut dyn CommitRecord) {
        let mut next = self.machine.on(event);
        while let Some(action) = next {
            let part = part_of(action);
            let began = Instant::now();
            if let Some(step) = part {
                self.events.emit(Notice::Cutover { step, done: false, elapsed_us: 0 });
            }
            let event = match self.carry_out(action, devices, record) {
                Ok(()) => Event::Succeeded,
                Err(error) => self.event_of(error),
            };
            if let Some(step) = part {
                self.events.emit(Notice::Cutover { step, done: true, elapsed_us: micros(began.elapsed()) });
            }
            next = self.machine.on(event);
        }
    }

    fn carry_out(&mut self, action: Action, devices: &mut [Stepper], record: &mut dyn CommitRecord) -> Result<()> {
        match action {
            Action::CheckManifest => self.check_manifest(devices),
            Action::Load => {
                let began = Instant::now();
                for (loading, device) in self.loading.iter_mut().zip(devices) {
                    loading.finish(device)?;
                }
                self.took.elapsed_us = micros(began.elapsed());
                Ok(())
            }
            Action::SendPrepared => {
                self.memory.must_be_whole()?;
                self.in_doubt.store(true, Ordering::SeqCst);
                self.link.send(Frame::plain(Kind::Prepared), &to_json(&self.took)?)
            }
            Action::Hash => {
                answer(&mut self.link, &self.memory, self.ask)?;
                self.memory.must_be_untouched()
            }
            Action::RecordCommit => {
                self.memory.must_be_whole()?;
                // The devices write from here on, and nothing is as it was made.
                self.memory.forget_content();
                let silence = self.link.patience().silence;
                self.link.set_patience(Patience { cancel: None, deadline: None, silence })?;
                record.commit().map_err(|failure| failure.error)
            }
            Action::RunP2p => devices
                .iter_mut()
                .filter(|device| device.flags().p2p)
                .try_for_each(|device| device.set(DeviceState::RunningP2p).map(drop)),
            Action::Run => devices.iter_mut().try_for_each(|device| device.set(DeviceState::Running).map(drop)),
            Action::SendRunning => self.link.send(Frame::plain(Kind::Running), &to_json(&LoadTime::default())?),
            Action::Discard => self.discard(devices),
            Action::RecordDiscard => record.discard(),
            Action::SendDiscarded | Action::SendFailed => {
                if let Some(cause) = &self.cause {
                    self.link.abort(cause, action == Action::SendDiscarded);
                }
                Ok(())
            }
        }
    }

    /// Every device is tried; those that cannot be reset stay where they are, which is not running, and are named.
    fn discard(&mut self, devices: &mut [Stepper]) -> Result<()> {
        self.loading.clear();
        self.needs_person.clear();
        for device in devices {
            if let Err(error) = device.discard() {
                let error = error.device(device.name());
                self.events.emit(Notice::Log {
                    level: "error",
                    message: error.to_string(),
                    device: error.device.clone(),
                });
                self.needs_person.push(error);
            }
        }
        Ok(())
    }

    /// Stays until the source has read why, refusing a COMMIT that was already on its way.
    fn stay_to_refuse(&mut self, devices: &mut [Stepper], record: &mut dyn CommitRecord) {
        let patience = Patience { cancel: None, deadline: Some(Instant::now() + FAREWELL), silence: FAREWELL };
        if self.link.set_patience(patience.clone()).is_ok() {
            while let Ok((frame, _)) = self.link.receive(Wait::Idle) {
                match frame.kind {
                    Kind::Commit => self.follow(Event::Commit, devices, record),
                    Kind::Abort => self.follow(Event::PeerAborted, devices, record),
                    _ => {}
                }
                // Answering changed it.
                if self.link.set_patience(patience.clone()).is_err() {
                    break;
                }
            }
        }
        self.link.linger(FAREWELL);
    }

    fn reply(&self, outcome: ReceiveOutcome) -> ReceiveReply {
        ReceiveReply {
            outcome,
            reason: (outcome != ReceiveOutcome::Running)
                .then(|| self.cause.as_ref().map(|cause| format!("{}: {cause}", cause.code)))
                .flatten(),
            pages: self.carried.covered() / self.memory.page_size(),
            bytes: Bytes(self.carried.page_bytes),
        }
    }
}

fn stuck() -> HelperError {
    HelperError::new("helper/bug", "stuck without a cause")
}

fn part_of(action: Action) -> Option<CutoverStep> {
    match action {
        Action::Load => Some(CutoverStep::Load),
        Action::Hash => Some(CutoverStep::Verify),
        Action::RunP2p | Action::Run => Some(CutoverStep::Resume),
        Action::Discard => Some(CutoverStep::Rollback),
        _ => None,
    }
}

/// Whether the destination waits for the source or discards the run hangs on this.
const fn event_of_kind(kind: FailureKind) -> Event {
    match kind {
        FailureKind::Cancelled => Event::RollbackAsked,
        FailureKind::Lost | FailureKind::Refused | FailureKind::Link | FailureKind::Truncated => Event::LinkLost,
        FailureKind::Wire | FailureKind::Deadline | FailureKind::Other => Event::Failed,
    }
}

#[cfg(test)]
mod kinds {
    use super::*;

    #[test]
    fn only_a_lost_connection_lets_a_prepared_destination_wait() {
        let cases = [
            (FailureKind::Lost, Event::LinkLost),
            (FailureKind::Refused, Event::LinkLost),
            (FailureKind::Link, Event::LinkLost),
            (FailureKind::Truncated, Event::LinkLost),
            (FailureKind::Cancelled, Event::RollbackAsked),
            (FailureKind::Wire, Event::Failed),
            (FailureKind::Deadline, Event::Failed),
            (FailureKind::Other, Event::Failed),
        ];
        for (kind, event) in cases {
            // The code must not matter: this one says the opposite.
            let code = if event == Event::LinkLost { "device/busy" } else { "link/lost" };
            assert_eq!(event_of_kind(HelperError::of(kind, code, "").kind), event, "{kind:?}");
        }
    }
}
