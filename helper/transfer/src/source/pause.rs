//! Pauses inside the blackout: the owner has something done, on the blackout's clock, before COMMIT.

use std::time::{Duration, Instant};

use crate::error::{FailureKind, HelperError, Result};
use crate::message::{CutoverPause, Event as Notice};
use crate::source::Source;
use crate::source::blackout::Blackout;
use crate::source::steer::Answer;

/// Between two looks at the link, the clock and a cancel. An answer is noticed at once.
const TICK: Duration = Duration::from_millis(5);

impl Source {
    /// Tells the owner that the cutover has come to `at` and waits for its answer, if it asked for that.
    ///
    /// # Errors
    /// `hook/failed` when the owner wants the undoing; `limit/downtime` when the answer does not come in time; a
    /// cancel; the destination's ABORT; the link's end.
    pub(crate) fn pause(&mut self, at: CutoverPause, blackout: &mut Blackout<'_>) -> Result<()> {
        if !blackout.params.pauses.contains(&at) {
            return Ok(());
        }
        let since = Instant::now();
        self.steer.pause(at);
        self.events.emit(Notice::Paused { at });
        let answer = self.await_answer(at);
        blackout.paused(since.elapsed());
        match answer?.abort {
            None => Ok(()),
            Some(refusal) => {
                Err(HelperError::new("hook/failed", format!("{}: [{}] {}", name(at), refusal.code, refusal.message)))
            }
        }
    }

    fn await_answer(&mut self, at: CutoverPause) -> Result<Answer> {
        loop {
            if let Some(answer) = self.steer.answer(at, TICK) {
                return Ok(answer);
            }
            self.link.patience().check().map_err(|error| waited(at, error))?;
            self.link.check_alive()?;
        }
    }
}

/// Where the time went, when it ran out here.
fn waited(at: CutoverPause, mut error: HelperError) -> HelperError {
    if error.kind == FailureKind::Deadline {
        error.message = format!("{}, while the hook at {} was still at work", error.message, name(at));
        error.suggestion =
            Some("make the hook faster, give it a shorter timeout, or allow a longer blackout".to_owned());
    }
    error
}

fn name(at: CutoverPause) -> &'static str {
    match at {
        CutoverPause::PostQuiesce => "post-quiesce",
        CutoverPause::PostStop => "post-stop",
        CutoverPause::PreResume => "pre-resume",
    }
}
