//! What becomes of a session whose owner is gone.

use super::Session;
use super::Standing;
use super::transfer::Side;
use crate::error::HelperError;
use crate::log::say;
use crate::message::RollbackParams;

impl Session {
    /// A run past COMMIT, or that may be: nothing is undone any more without the other side's word.
    pub(super) fn is_committed(&self) -> bool {
        match &self.side {
            Some(Side::Source(source)) => source.is_committed(),
            Some(Side::Destination(destination)) => destination.is_committed() || destination.is_waiting(),
            Some(Side::Listening(_)) | None => false,
        }
    }

    /// Undoes a run that was never rolled back and is closed all the same: a source's device that is closed in PRE_COPY or
    /// STOP is reset by the kernel, and its workload lost.
    pub fn undo_if_open(&mut self) {
        if self.is_committed() || !matches!(self.side, Some(Side::Source(_) | Side::Destination(_))) {
            return;
        }
        for error in self.undo() {
            say(&format!("closed in the middle of its run: {error}"));
        }
    }

    /// What kept a rollback from putting everything back.
    fn undo(&mut self) -> Vec<HelperError> {
        self.apart_or_here(|session| session.rollback(&RollbackParams::default()))
            .map_or_else(|error| vec![error], |undone| undone.needs_person)
    }

    /// The owner is gone: what is not committed is undone and, except for what a holder holds, given back. What cannot
    /// be undone is left as it stands, for the next owner or the record to tell.
    pub fn settle(&mut self) -> Standing {
        if self.is_committed() {
            // It stopped what was under way; the next owner's requests are new.
            self.shared.uncancel();
            return Standing::Unfinished;
        }
        if self.claimed.is_some() {
            let problems = self.undo();
            for error in problems.into_iter().chain(self.untrack().err()) {
                say(&format!("the owner is gone: {error}"));
            }
        }
        if self.held.is_some() {
            self.back_to_holding();
            return Standing::Holding;
        }
        self.note_settled();
        self.release();
        Standing::Nothing
    }
}
