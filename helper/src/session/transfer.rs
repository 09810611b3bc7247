//! listen, connect, receive, precopy, cutover, rollback, check: the run itself. Everything that decides is in
//! `protocol/`; this only lends the session's parts to `transfer/` and keeps the snapshot true.

use std::sync::Arc;

use super::shared::Shared;
use super::{Session, out_of_order};
use crate::device::DeviceState;
use crate::dirty::union::Union;
use crate::durable::record::FileRecord;
use crate::error::{HelperError, Result};
use crate::log::say;
use crate::message::{
    CheckReply, ConnectParams, ConnectReply, CutoverOutcome, CutoverParams, CutoverReply, Event, EventSink,
    ListenParams, ListenReply, Phase, PrecopyParams, PrecopyReply, ReceiveOutcome, ReceiveReply, Role, RollbackParams,
    RollbackReply,
};
use crate::transfer::commit_record::{CommitRecord, RecordFailure};
use crate::transfer::destination::Destination;
use crate::transfer::source::{Source, Workload};
use crate::transfer::streams::link::{Link, Listener};

/// The run's connection, from the side it is seen.
pub(super) enum Side {
    Listening(Box<Listener>),
    Source(Box<Source>),
    Destination(Box<Destination>),
}

impl Session {
    pub fn listen(&mut self, params: &ListenParams) -> Result<ListenReply> {
        let claimed = self.claimed()?;
        if claimed.role != Role::Destination || self.side.is_some() {
            return Err(HelperError::new("request/out-of-order", "only a destination listens, and only once"));
        }
        let listener = Listener::bind(params, &self.identity, &claimed.run, claimed.epoch)?;
        let address = listener.address();
        self.side = Some(Side::Listening(Box::new(listener)));
        Ok(ListenReply { address: address.ip().to_string(), port: address.port() })
    }

    pub fn connect(&mut self, params: &ConnectParams) -> Result<ConnectReply> {
        self.not_cancelled()?;
        let memory = self.memory()?;
        let claimed = self.claimed()?;
        if claimed.role != Role::Source || self.side.is_some() {
            return Err(HelperError::new("request/out-of-order", "only a source connects, and only once"));
        }
        let cancel = self.shared.cancel_flag();
        let link = Link::connect(params, &self.identity, &claimed.run, claimed.epoch, &cancel)?;
        let round_trip_us = link.round_trip().as_micros() as u64;
        self.shared.steer.connected(link.streams());
        let source = Source::new(link, memory, self.events(), cancel).steered(Arc::clone(&self.shared.steer));
        self.side = Some(Side::Source(Box::new(source)));
        Ok(ConnectReply { round_trip_us })
    }

    /// Destination: waits for the source and serves it until the run runs here, is dropped, or waits for a word. Asked
    /// again it says what became of that: an owner who took the run up meanwhile has not heard it.
    pub fn receive(&mut self) -> Result<ReceiveReply> {
        if let Some(received) = &self.received {
            return received.clone();
        }
        let received = self.serve_source();
        if matches!(self.side, Some(Side::Destination(_))) {
            self.received = Some(received.clone());
        }
        received
    }

    fn serve_source(&mut self) -> Result<ReceiveReply> {
        self.not_cancelled()?;
        let memory = self.memory()?;
        let mut record = self.record()?;
        // Taken out: the listener is gone once the source is here, or did not come.
        let listener = match self.side.take() {
            Some(Side::Listening(listener)) => listener,
            other => {
                self.side = other;
                return Err(out_of_order("listen"));
            }
        };
        let cancel = self.shared.cancel_flag();
        let link = listener.accept(&cancel, &self.events())?;
        let destination = Destination::new(link, memory, self.events(), cancel).note_doubt(self.shared.doubt_flag());
        // In its place before it serves: whatever becomes of this call, its machine knows how far the run is.
        let side = self.side.insert(Side::Destination(Box::new(destination)));
        let Side::Destination(destination) = side else { return Err(out_of_order("receive")) };
        self.shared.set_phase(Phase::PreCopy);
        let reply = destination.receive(&mut self.devices, &mut record);
        self.note_end(reply.as_ref().ok());
        reply
    }

    /// Destination that waits: runs the workload, because the owner found that the source recorded COMMIT and the link
    /// cannot say so any more. Repeating it is safe. A cancel changes nothing: the source has no way back.
    ///
    /// # Errors
    /// `protocol/phase` when it does not wait; a device that did not come up.
    pub fn finish(&mut self) -> Result<ReceiveReply> {
        let mut record = self.record()?;
        let Some(Side::Destination(destination)) = &mut self.side else { return Err(out_of_order("receive")) };
        let reply = destination.finish(&mut self.devices, &mut record);
        self.note_end(reply.as_ref().ok());
        reply
    }

    fn note_end(&self, reply: Option<&ReceiveReply>) {
        match reply.map(|reply| reply.outcome) {
            Some(ReceiveOutcome::Running) => self.shared.set_phase(Phase::Running),
            Some(ReceiveOutcome::Discarded) => self.shared.set_phase(Phase::Discarded),
            Some(ReceiveOutcome::Waiting) | None => {}
        }
    }

    pub fn precopy(&mut self, params: &PrecopyParams) -> Result<PrecopyReply> {
        self.not_cancelled()?;
        let union = self.union.as_mut().ok_or_else(|| out_of_order("track"))?;
        let Some(Side::Source(source)) = &mut self.side else { return Err(out_of_order("connect")) };
        self.shared.set_phase(Phase::PreCopy);
        source.precopy(Workload { devices: &mut self.devices, union }, params)
    }

    pub fn cutover(&mut self, params: &CutoverParams) -> Result<CutoverReply> {
        self.not_cancelled()?;
        let mut record = self.record()?;
        let union = self.union.as_mut().ok_or_else(|| out_of_order("track"))?;
        let Some(Side::Source(source)) = &mut self.side else { return Err(out_of_order("connect")) };
        self.shared.set_phase(Phase::Cutover);
        let reply = source.cutover(Workload { devices: &mut self.devices, union }, params, &mut record)?;
        match reply.outcome {
            CutoverOutcome::Running => self.shared.set_phase(Phase::Running),
            CutoverOutcome::RolledBack | CutoverOutcome::NeedsPerson => self.shared.set_phase(Phase::RolledBack),
            CutoverOutcome::Unknown => {}
        }
        let standing = if source.is_committed() { union.writers() } else { Vec::new() };
        if !standing.is_empty() {
            let names = standing.join(", ");
            let message = format!(
                "stands still, and stays so, because the workload was handed over: {names}; end it, unless the run is recovered to this side"
            );
            self.shared.emit(Event::Log { level: "warn", message, device: None });
        }
        Ok(reply)
    }

    /// Brings this side to rest by itself. Repeating it is safe and answers with the devices as they are.
    pub fn rollback(&mut self, params: &RollbackParams) -> Result<RollbackReply> {
        let role = self.claimed()?.role;
        // Devices go back whether or not there is a folder for records: before COMMIT nothing is written.
        let mut record = WhenNeeded(self.record());
        let reply = match &mut self.side {
            Some(Side::Source(source)) => {
                let mut undone = source.rollback(&mut self.devices, params, &mut record)?;
                // Behind the devices, which they use.
                if let Err(error) = self.union.as_mut().map_or(Ok(()), Union::wake_writers) {
                    source.needs(error.clone());
                    undone.needs_person.push(error);
                }
                undone
            }
            Some(Side::Destination(destination)) => destination.rollback(&mut self.devices, &mut record)?,
            // No one was ever connected, so no device left RUNNING.
            Some(Side::Listening(_)) | None => RollbackReply { devices: self.states()?, needs_person: Vec::new() },
        };
        self.shared.set_phase(if role == Role::Source { Phase::RolledBack } else { Phase::Discarded });
        Ok(reply)
    }

    /// Replays what the simulated devices wrote and compares every page.
    pub fn check(&mut self) -> Result<CheckReply> {
        let memory = self.memory()?;
        self.simulated.check(&memory)
    }

    /// That this side of the run is over as it should be, and what is closed next is closed on purpose: a destination
    /// whose workload runs, a source whose devices run again. For an owner who does not hear of it; without it the run
    /// would need a person, and nothing else is lost.
    pub fn note_settled(&mut self) {
        let Ok(claimed) = self.claimed() else { return };
        let (role, record) =
            (claimed.role, FileRecord::new(&claimed.record_dir, &claimed.run, claimed.epoch, claimed.role));
        let over = match role {
            Role::Destination => self.shared.phase() == Phase::Running,
            Role::Source => self.shared.phase() == Phase::RolledBack && self.is_back(),
        };
        if !over {
            return;
        }
        if let Err(error) = record.and_then(|record| record.settled()) {
            // The owner may be gone, and an event unheard.
            say(&format!("that the run is over here could not be written down: {error}"));
        }
    }

    /// A device that only a reset brought back runs, too, and not as it was.
    fn is_back(&mut self) -> bool {
        let undone = match &self.side {
            Some(Side::Source(source)) => source.is_back(),
            // No one was ever connected.
            None => true,
            Some(Side::Listening(_) | Side::Destination(_)) => false,
        };
        undone && self.states().is_ok_and(|devices| devices.iter().all(|at| at.state == DeviceState::Running))
    }

    fn record(&self) -> Result<NotedRecord> {
        let claimed = self.claimed()?;
        let record = FileRecord::new(&claimed.record_dir, &claimed.run, claimed.epoch, claimed.role)?;
        Ok(NotedRecord { record, shared: Arc::clone(&self.shared) })
    }
}

/// A record that may not be had; that is an error once something is to be written.
struct WhenNeeded(Result<NotedRecord>);

impl CommitRecord for WhenNeeded {
    fn prepare(&mut self) -> Result<()> {
        self.0.as_mut().map_err(|error| error.clone())?.prepare()
    }

    fn commit(&mut self) -> std::result::Result<(), RecordFailure> {
        match &mut self.0 {
            Ok(record) => record.commit(),
            Err(error) => Err(RecordFailure { error: error.clone(), doubtful: false }),
        }
    }

    fn discard(&mut self) -> Result<()> {
        self.0.as_mut().map_err(|error| error.clone())?.discard()
    }
}

/// The record on disk; once it says COMMIT, so does the snapshot.
struct NotedRecord {
    record: FileRecord,
    shared: Arc<Shared>,
}

impl CommitRecord for NotedRecord {
    fn prepare(&mut self) -> Result<()> {
        self.record.prepare()
    }

    fn commit(&mut self) -> std::result::Result<(), RecordFailure> {
        self.record.commit()?;
        self.shared.set_phase(Phase::Committed);
        Ok(())
    }

    fn discard(&mut self) -> Result<()> {
        self.record.discard()
    }
}
