//! What the owner may change while a long request is under way: told by the reading thread, looked at by the worker.
//!
//! What was tuned holds until the run ends, over whatever a later request of that run says: it is the newer word.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{HelperError, Result};
use crate::message::{ContinueParams, CutoverPause, Refusal, TuneParams};

#[derive(Debug, Default)]
struct State {
    tuned: TuneParams,
    /// Data connections there are; 0 before `connect`.
    connected: u16,
    proceed: bool,
    /// No owner is there: nothing may end the rounds but a cancel.
    waits: bool,
    /// Counts the owners that went on with the run of another one.
    owners: u32,
    /// Pauses that began, with their answers.
    pauses: Vec<(CutoverPause, Option<Answer>)>,
    /// Counts what was told, so that a sleeper sees that something was.
    told: u64,
}

/// How a pause ends: by going on, or by the undoing.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub abort: Option<Refusal>,
}

#[derive(Debug, Default)]
pub struct Steer {
    state: Mutex<State>,
    changed: Condvar,
}

impl Steer {
    /// Stores what is given; what is absent stays as it was. All of it or, when something is wrong, nothing.
    ///
    /// # Errors
    /// `request/bad-params` naming everything that is wrong.
    pub fn tune(&self, params: TuneParams) -> Result<()> {
        let mut state = self.lock();
        let mut wrong = Vec::new();
        if params.bandwidth.flatten().is_some_and(|cap| cap.0 == 0) {
            wrong.push("a bandwidth of 0 would stop the run: give null to take the cap away".to_owned());
        }
        match (params.streams, state.connected) {
            (Some(streams), 0) => wrong.push(format!("{streams} streams: not connected yet")),
            (Some(streams), most) if streams == 0 || streams > most => {
                wrong.push(format!("{streams} streams: must be 1 to {most}, as many as were connected"));
            }
            _ => {}
        }
        if !wrong.is_empty() {
            return Err(HelperError::new("request/bad-params", wrong.join("; ")));
        }
        state.tuned.bandwidth = params.bandwidth.or(state.tuned.bandwidth);
        state.tuned.streams = params.streams.or(state.tuned.streams);
        state.tuned.downtime_limit_ms = params.downtime_limit_ms.or(state.tuned.downtime_limit_ms);
        self.tell(state);
        Ok(())
    }

    /// Ends the hold, now or when it begins.
    pub fn proceed(&self) {
        let mut state = self.lock();
        state.proceed = true;
        self.tell(state);
    }

    /// The answer to a pause. Repeating it changes nothing: the first one counts.
    ///
    /// # Errors
    /// `request/out-of-order` when the cutover has not come to that pause: an answer ahead of its question must not
    /// let a later one pass.
    pub fn go_on(&self, params: ContinueParams) -> Result<()> {
        let mut state = self.lock();
        let Some((_, answer)) = state.pauses.iter_mut().find(|(at, _)| *at == params.at) else {
            return Err(HelperError::new("request/out-of-order", "the cutover does not wait there"));
        };
        answer.get_or_insert(Answer { abort: params.abort });
        self.tell(state);
        Ok(())
    }

    /// Forgets everything: for the next run of this helper.
    pub fn reset(&self) {
        let mut state = self.lock();
        *state = State { told: state.told, owners: state.owners, ..State::default() };
        self.tell(state);
    }

    /// Notes how many data connections there are, which bounds the streams.
    pub fn connected(&self, streams: u16) {
        self.lock().connected = streams;
    }

    /// The cap in bytes per second: as tuned, else `params`.
    pub fn bandwidth(&self, params: Option<u64>) -> Option<u64> {
        self.lock().tuned.bandwidth.map_or(params, |cap| cap.map(|cap| cap.0))
    }

    /// How many connections carry pages, if that was tuned.
    pub fn streams(&self) -> Option<u16> {
        self.lock().tuned.streams
    }

    /// The limit against which pre-copy converges: as tuned, else `params`.
    pub fn downtime_limit(&self, params: Duration) -> Duration {
        self.lock().tuned.downtime_limit_ms.map_or(params, Duration::from_millis)
    }

    pub fn is_released(&self) -> bool {
        self.lock().proceed
    }

    /// The hold is over: another one needs another word.
    pub fn take_release(&self) {
        self.lock().proceed = false;
    }

    /// The owner is gone, and the run waits for another one.
    pub fn wait_for_owner(&self) {
        let mut state = self.lock();
        state.waits = true;
        self.tell(state);
    }

    /// Another owner goes on with the run. Rounds that the one before asked for are his to ask for again, and what that
    /// one released he may hold.
    pub fn go_on_with_owner(&self) {
        let mut state = self.lock();
        state.waits = false;
        state.proceed = false;
        state.owners += 1;
        self.tell(state);
    }

    pub fn waits_for_owner(&self) -> bool {
        self.lock().waits
    }

    /// A number that changes with the owner.
    pub fn owners(&self) -> u32 {
        self.lock().owners
    }

    /// A number that changes whenever something is told; for [`Self::nap`].
    pub fn told(&self) -> u64 {
        self.lock().told
    }

    /// Sleeps until something is told that [`Self::told`] did not count in `since`, at most `at_most`. Returns whether
    /// something was.
    pub fn nap(&self, since: u64, at_most: Duration) -> bool {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), at_most, |state| state.told == since)
            .unwrap_or_else(PoisonError::into_inner);
        state.told != since
    }

    /// A pause begins: from now on it can be answered. To be called before the owner hears of it.
    pub fn pause(&self, at: CutoverPause) {
        let mut state = self.lock();
        state.pauses.retain(|(which, _)| *which != at);
        state.pauses.push((at, None));
    }

    /// The answer to the pause, waited for at most `at_most`.
    pub fn answer(&self, at: CutoverPause, at_most: Duration) -> Option<Answer> {
        let find = |state: &State| state.pauses.iter().find(|(which, _)| *which == at)?.1.clone();
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), at_most, |state| find(state).is_none())
            .unwrap_or_else(PoisonError::into_inner);
        find(&state)
    }

    fn tell(&self, mut state: MutexGuard<'_, State>) {
        state.told += 1;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::message::num::Bytes;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn tuning_is_all_or_nothing_and_the_newest_word_holds() {
        let steer = Steer::default();
        let streams = |count| TuneParams { streams: Some(count), ..TuneParams::default() };
        assert_eq!(steer.tune(streams(1)).err().map(|error| error.code), Some("request/bad-params"));
        steer.connected(4);
        for wrong in [
            TuneParams { bandwidth: Some(Some(Bytes(7))), streams: Some(5), downtime_limit_ms: Some(9) },
            TuneParams { bandwidth: Some(Some(Bytes(0))), ..streams(2) },
            streams(0),
        ] {
            assert_eq!(steer.tune(wrong).err().map(|error| error.code), Some("request/bad-params"));
        }
        assert_eq!((steer.bandwidth(Some(3)), steer.streams()), (Some(3), None), "nothing was stored");
        assert_eq!(steer.downtime_limit(LONG), LONG);

        steer.tune(TuneParams { bandwidth: Some(Some(Bytes(7))), ..streams(4) }).expect("fits");
        steer.tune(TuneParams { downtime_limit_ms: Some(9), ..TuneParams::default() }).expect("fits");
        assert_eq!((steer.bandwidth(Some(3)), steer.streams()), (Some(7), Some(4)));
        assert_eq!(steer.downtime_limit(LONG), Duration::from_millis(9));
        steer.tune(TuneParams { bandwidth: Some(None), ..TuneParams::default() }).expect("fits");
        assert_eq!(steer.bandwidth(Some(3)), None, "no cap, whatever the request said");
        steer.reset();
        assert_eq!((steer.bandwidth(Some(3)), steer.streams()), (Some(3), None));
    }

    #[test]
    fn a_pause_is_answered_once_and_only_after_it_began() {
        let steer = Steer::default();
        let refusal = || Refusal { code: "hook/exit".into(), message: "1".into() };
        let go_on = |at, abort| steer.go_on(ContinueParams { at, abort });
        let early = go_on(CutoverPause::PreResume, None);
        assert_eq!(early.err().map(|error| error.code), Some("request/out-of-order"));
        steer.pause(CutoverPause::PostStop);
        steer.pause(CutoverPause::PreResume);
        assert!(steer.answer(CutoverPause::PostStop, Duration::ZERO).is_none());
        go_on(CutoverPause::PostStop, Some(refusal())).expect("open");
        go_on(CutoverPause::PostStop, None).expect("repeated");
        let answer = steer.answer(CutoverPause::PostStop, Duration::ZERO).expect("answered");
        assert_eq!(answer.abort.map(|abort| abort.code).as_deref(), Some("hook/exit"));
        assert!(steer.answer(CutoverPause::PreResume, Duration::ZERO).is_none(), "another pause's answer");
    }

    #[test]
    fn sleepers_wake_when_something_is_told() {
        let steer = Arc::new(Steer::default());
        let since = steer.told();
        steer.pause(CutoverPause::PostQuiesce);
        assert!(!steer.nap(since, Duration::ZERO));
        let sleeper = {
            let steer = Arc::clone(&steer);
            thread::spawn(move || (steer.nap(since, LONG), steer.answer(CutoverPause::PostQuiesce, LONG).is_some()))
        };
        steer.proceed();
        steer.go_on(ContinueParams { at: CutoverPause::PostQuiesce, abort: None }).expect("open");
        assert_eq!(sleeper.join().expect("no panic"), (true, true));
        assert!(steer.nap(since, LONG), "told before the sleep began");
        assert!(steer.is_released());
        steer.take_release();
        assert!(!steer.is_released());
    }
}
