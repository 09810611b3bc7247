//! What the owner may change while a long request is under way: told by the reading thread, looked at by the worker.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::control::message::{ContinueParams, TuneParams};
use crate::error::Result;

#[derive(Debug, Default)]
struct State {
    tuned: TuneParams,
    proceed: bool,
    answers: Vec<ContinueParams>,
}

#[derive(Debug, Default)]
pub struct Steer {
    state: Mutex<State>,
    changed: Condvar,
}

impl Steer {
    /// What is absent stays as it was.
    pub fn tune(&self, params: TuneParams) -> Result<()> {
        let mut state = self.lock();
        state.tuned.bandwidth = params.bandwidth.or(state.tuned.bandwidth);
        state.tuned.streams = params.streams.or(state.tuned.streams);
        state.tuned.downtime_limit_ms = params.downtime_limit_ms.or(state.tuned.downtime_limit_ms);
        self.changed.notify_all();
        Ok(())
    }

    /// Ends the hold, now or when it begins.
    pub fn proceed(&self) {
        self.lock().proceed = true;
        self.changed.notify_all();
    }

    /// The answer to a pause.
    pub fn go_on(&self, params: ContinueParams) {
        self.lock().answers.push(params);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
