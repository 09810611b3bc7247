//! What both sides need of the record of a run, wherever it is kept.

use crate::error::{HelperError, Result};

/// Why a COMMIT could not be recorded, and whether it may be on disk all the same.
#[derive(Debug, Clone)]
pub struct RecordFailure {
    pub error: HelperError,
    /// True once the rename was tried: what the folder holds after a crash is then not known.
    pub doubtful: bool,
}

pub trait CommitRecord {
    /// Does ahead of the blackout whatever can be done ahead. Repeatable.
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }
    /// Records COMMIT; durable when it returns.
    fn commit(&mut self) -> std::result::Result<(), RecordFailure>;
    /// Records that this side dropped the run, in place of whatever was recorded; durable when it returns.
    fn discard(&mut self) -> Result<()>;
}
