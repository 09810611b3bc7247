//! What a destination does on its owner's word, once the connection has been served.

use super::{Destination, stuck};
use crate::commit_record::CommitRecord;
use crate::device::transitions::Stepper;
use crate::error::{HelperError, Result};
use crate::message::{ReceiveOutcome, ReceiveReply, RollbackReply};
use crate::protocol::destination::{Event, State};
use crate::source::states;

impl Destination {
    /// Runs what waits here, on the owner's word that the source recorded COMMIT. Repeating it is safe, and tries a device
    /// again that did not come up. `discarded` when COMMIT could not be recorded here: then the source may run again.
    ///
    /// # Errors
    /// `protocol/phase` when nothing waits here; a device that did not come up.
    pub fn finish(&mut self, devices: &mut [Stepper], record: &mut dyn CommitRecord) -> Result<ReceiveReply> {
        self.follow(Event::Interrupted, devices, record);
        if self.is_waiting() || self.machine.state() == State::NeedsPerson {
            // What led here is not what may go wrong now.
            self.cause = None;
            self.follow(Event::CommitRelayed, devices, record);
            match self.machine.state() {
                State::Discarded => return Ok(self.reply(ReceiveOutcome::Discarded)),
                State::NeedsPerson if self.machine.is_committed() => {
                    return Err(self.cause.clone().unwrap_or_else(stuck));
                }
                _ => {}
            }
        }
        if self.machine.state() == State::Running {
            return Ok(self.reply(ReceiveOutcome::Running));
        }
        Err(HelperError::new("protocol/phase", "nothing waits here for a COMMIT")
            .suggest("ask both sides for their status: only a destination that waits can be finished"))
    }

    /// Drops the run on the owner's word.
    ///
    /// # Errors
    /// `protocol/committed` when it runs here, or some of it may.
    pub fn rollback(&mut self, devices: &mut [Stepper], record: &mut dyn CommitRecord) -> Result<RollbackReply> {
        self.cause.get_or_insert_with(|| HelperError::new("run/rolled-back", "the run was rolled back"));
        // No loop is at work while this one is: an action still under way is one that died.
        self.follow(Event::Interrupted, devices, record);
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
}
