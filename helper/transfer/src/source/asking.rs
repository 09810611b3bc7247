//! What the trackers are asked, and how long their answers are waited for: a kernel that does not return from a read would
//! hold the source for ever otherwise.

use std::time::Instant;

use crate::dirty::union::{Read, Union};
use crate::error::{FailureKind, HelperError, Result};
use crate::source::Source;
use crate::streams::link::Patience;

impl Source {
    /// Reads all trackers into what is still to be sent.
    ///
    /// # Errors
    /// Those of the trackers; `tracker/no-answer`; a cancel; the destination's ABORT; the link's end.
    pub(crate) fn read(&mut self, union: &mut Union) -> Result<Read> {
        let link = &mut self.link;
        let mut patient = patient(link.patience());
        union.read(&mut self.pending, &mut || {
            patient()?;
            link.check_alive()
        })
    }
}

/// As long as the owner has patience: until a cancel, and until the end of the downtime limit or, before the blackout, for
/// as long as a silent peer would be waited for.
pub(crate) fn patient(patience: &Patience) -> impl FnMut() -> Result<()> + use<> {
    let (patience, began) = (patience.clone(), Instant::now());
    move || {
        patience.check()?;
        if patience.deadline.is_some() || began.elapsed() < patience.silence {
            return Ok(());
        }
        let message = "`migration.linkTimeout` is over";
        Err(HelperError::of(FailureKind::Deadline, "tracker/no-answer", message))
    }
}
