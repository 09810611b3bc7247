//! The destination's side: takes in what comes, loads it, and runs only when the machine says so.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::abort::Abort;
use super::link::{Link, Patience, SOURCE, Wait, unexpected};
use super::loading::Loading;
use super::pages::{Carried, store_pages, store_zeros};
use super::payload::{Ask, Layout, Manifest, Took, from_json, to_json};
use super::precopy::micros;
use super::record::CommitRecord;
use super::source::states;
use super::verify::answer;
use super::wire::{Frame, Kind};
use crate::control::message::{CutoverStep, Event as Told, EventSink, ReceiveOutcome, ReceiveReply, RollbackReply};
use crate::control::num::Bytes;
use crate::device::DeviceState;
use crate::device::transitions::Stepper;
use crate::error::{HelperError, Result};
use crate::memory::Memory;
use crate::protocol::destination::{Action, Destination as Machine, Event, State};

/// How long a destination that dropped the run stays to refuse a late COMMIT, at most: the source closes before.
const FAREWELL: Duration = Duration::from_secs(2);

pub struct Destination {
    link: Link,
    memory: Arc<Memory>,
    events: Arc<dyn EventSink>,
    cancel: Arc<AtomicBool>,
    machine: Machine,
    introduced: bool,
    /// In the order of the devices.
    loading: Vec<Loading>,
    carried: Carried,
    manifest: Option<Manifest>,
    ask: Ask,
    took: Took,
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
            machine: Machine::default(),
            introduced: false,
            loading: Vec::new(),
            carried: Carried::default(),
            manifest: None,
            ask: Ask::Blocks,
            took: Took::default(),
            cause: None,
            needs_person: Vec::new(),
        }
    }

    /// Whether COMMIT was received and recorded.
    pub fn is_committed(&self) -> bool {
        self.machine.is_committed()
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
                    return Err(self
                        .cause
                        .clone()
                        .unwrap_or_else(|| HelperError::new("helper/bug", "stuck without a cause")));
                }
                State::Discarded => {
                    self.say_farewell(devices, record);
                    return Ok(self.reply(ReceiveOutcome::Discarded));
                }
                State::Receiving | State::Prepared | State::Doing(_) => {}
            }
            event = self.listen(devices).unwrap_or_else(|error| Some(self.event_of(error)));
        }
    }

    /// Drops the run on the owner's word.
    ///
    /// # Errors
    /// `protocol/committed` when it runs here, or some of it may.
    pub fn rollback(&mut self, devices: &mut [Stepper], record: &mut dyn CommitRecord) -> Result<RollbackReply> {
        self.cause.get_or_insert_with(|| HelperError::new("run/rolled-back", "the run was rolled back"));
        self.follow(Event::RollbackAsked, devices, record);
        match self.machine.state() {
            State::Discarded => Ok(RollbackReply { devices: states(devices), needs_person: self.needs_person.clone() }),
            State::NeedsPerson if !self.machine.is_committed() => Err(self
                .cause
                .clone()
                .unwrap_or_else(|| HelperError::new("record/write", "the dropping is not recorded"))),
            _ => Err(HelperError::new("protocol/committed", "COMMIT was received: the run is here")
                .suggest("finish the run; its source stays stopped")),
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
        let event = match error.code {
            "run/cancelled" => Event::RollbackAsked,
            "wire/truncated" => Event::LinkLost,
            code if code.starts_with("link/") => Event::LinkLost,
            _ => Event::Failed,
        };
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
                self.events.emit(Told::Cutover { step, done: false, elapsed_us: 0 });
            }
            let event = match self.carry_out(action, devices, record) {
                Ok(()) => Event::Succeeded,
                Err(error) => self.event_of(error),
            };
            if let Some(step) = part {
                self.events.emit(Told::Cutover { step, done: true, elapsed_us: micros(began.elapsed()) });
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
            Action::SendPrepared => self.link.send(Frame::plain(Kind::Prepared), &to_json(&self.took)?),
            Action::Hash => answer(&mut self.link, &self.memory, self.ask),
            Action::RecordCommit => {
                let silence = self.link.patience().silence;
                self.link.set_patience(Patience { cancel: None, deadline: None, silence })?;
                record.commit().map_err(|failure| failure.error)
            }
            Action::RunP2p => devices
                .iter_mut()
                .filter(|device| device.flags().p2p)
                .try_for_each(|device| device.set(DeviceState::RunningP2p).map(drop)),
            Action::Run => devices.iter_mut().try_for_each(|device| device.set(DeviceState::Running).map(drop)),
            Action::SendRunning => self.link.send(Frame::plain(Kind::Running), &to_json(&Took::default())?),
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
                self.events.emit(Told::Log {
                    level: "error",
                    message: error.to_string(),
                    device: error.device.clone(),
                });
                self.needs_person.push(error);
            }
        }
        Ok(())
    }

    fn check_manifest(&self, devices: &[Stepper]) -> Result<()> {
        let Some(manifest) = &self.manifest else {
            return Err(HelperError::new("helper/bug", "no manifest to check"));
        };
        let promised = Carried { page_bytes: manifest.page_bytes, zero_bytes: manifest.zero_bytes };
        if promised != self.carried {
            return Err(HelperError::new(
                "wire/manifest",
                format!(
                    "{} bytes of pages and {} of zeros arrived, the source sent {} and {}",
                    self.carried.page_bytes, self.carried.zero_bytes, promised.page_bytes, promised.zero_bytes
                ),
            ));
        }
        let named = manifest.streams.iter().map(|stream| stream.device.as_str());
        if !named.eq(devices.iter().map(Stepper::name)) {
            return Err(HelperError::new(
                "wire/manifest",
                "the manifest's devices are not the ones that were announced",
            ));
        }
        self.loading.iter().zip(&manifest.streams).try_for_each(|(loading, stream)| loading.check(stream))
    }

    /// Takes one frame; most need no decision.
    fn listen(&mut self, devices: &[Stepper]) -> Result<Option<Event>> {
        let receiving = self.machine.state() == State::Receiving;
        let (frame, payload) = self.link.receive(Wait::Idle)?;
        match frame.kind {
            Kind::Abort => {
                self.cause.get_or_insert(Abort::read(payload).error(SOURCE));
                return Ok(Some(Event::PeerAborted));
            }
            Kind::Commit => return Ok(Some(Event::Commit)),
            Kind::Verify if !receiving => {
                self.ask = from_json(payload)?;
                return Ok(Some(Event::Verify));
            }
            Kind::Layout if receiving && !self.introduced => {
                let differ = from_json::<Layout>(payload)?
                    .differences(&Layout::of(&self.memory, devices.iter().map(Stepper::name)));
                if !differ.is_empty() {
                    return Err(HelperError::new(
                        "wire/layout",
                        format!("the two sides differ: {}", differ.join("; ")),
                    )
                    .suggest("both helpers must be set up from one plan"));
                }
                self.introduced = true;
                self.link.send(Frame::plain(Kind::Ready), &[])?;
            }
            _ if !receiving || !self.introduced => return Err(unexpected(frame, Kind::Layout)),
            Kind::Pages => self.carried.add(store_pages(&self.memory, frame.at, payload)?),
            Kind::Zeros => self.carried.add(store_zeros(&self.memory, frame.at, frame.count)?),
            Kind::State => {
                let index = usize::from(frame.index);
                let (Some(loading), Some(device)) = (self.loading.get_mut(index), devices.get(index)) else {
                    return Err(HelperError::new("wire/unexpected-frame", format!("state for device number {index}")));
                };
                loading.write(device.name(), frame.at, payload)?;
            }
            Kind::RoundEnd => {
                self.link.send(Frame { at: frame.at, ..Frame::plain(Kind::RoundAck) }, &[])?;
            }
            Kind::Manifest => {
                self.manifest = Some(from_json(payload)?);
                return Ok(Some(Event::Manifest));
            }
            _ => return Err(unexpected(frame, Kind::Pages)),
        }
        Ok(None)
    }

    /// Stays until the source has read why, refusing a COMMIT that was already on its way.
    fn say_farewell(&mut self, devices: &mut [Stepper], record: &mut dyn CommitRecord) {
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

fn part_of(action: Action) -> Option<CutoverStep> {
    match action {
        Action::Load => Some(CutoverStep::Load),
        Action::Hash => Some(CutoverStep::Verify),
        Action::RunP2p | Action::Run => Some(CutoverStep::Resume),
        Action::Discard => Some(CutoverStep::Rollback),
        _ => None,
    }
}
