//! A tracker on a thread of its own. A kernel may never return from a call, and nothing ends such a call from outside: so
//! the one who asks waits beside it, as long as it has patience, and leaves the thread behind when it has none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::{Tracker, TrackerKind};
use crate::error::{FailureKind, HelperError, Result};

/// Between two looks at whether to wait on.
const TICK: Duration = Duration::from_millis(4);
/// For the answer of one that was given up already.
const LATE: Duration = Duration::from_secs(1);

/// What each of the threads does before it has a tracker, so that it may do no more than it must.
pub type Prepare = Arc<dyn Fn(TrackerKind) -> Result<()> + Send + Sync>;
/// Called again and again while an answer is waited for; an error ends the wait.
pub type Patience<'a> = &'a mut dyn FnMut() -> Result<()>;

type Job = Box<dyn FnOnce(&mut dyn Tracker) + Send>;

pub(super) struct Threaded {
    name: String,
    kind: TrackerKind,
    /// `None`: the thread ends when it has done what it was asked.
    jobs: Option<Sender<Job>>,
    /// Ends with the tracker.
    ended: Receiver<()>,
    /// An answer was not waited for: what it read is lost.
    lost: bool,
}

/// The answer to what a tracker was asked.
pub(super) type Asked<T> = Receiver<Result<T>>;

impl Threaded {
    /// # Errors
    /// `tracker/start-failed` when there is no thread for it; those of `prepare`.
    pub(super) fn new(mut tracker: Box<dyn Tracker>, prepare: Prepare) -> Result<Self> {
        let (name, kind) = (tracker.name().to_owned(), tracker.kind());
        let (jobs, queue) = channel::<Job>();
        let (ends, ended) = channel::<()>();
        let (prepared, ready) = channel();
        let work = move || {
            // Dropped behind the tracker, however this ends.
            let _ends = ends;
            let done = prepare(kind);
            let fit = done.is_ok();
            let _ = prepared.send(done);
            if fit {
                queue.iter().for_each(|job| job(tracker.as_mut()));
            }
            drop(tracker);
        };
        thread::Builder::new().name("tracker".to_owned()).spawn(work).map_err(|error| {
            HelperError::os("tracker/start-failed", "clone", &error, format!("no thread for {name}"))
        })?;
        ready.recv().unwrap_or_else(|_| Err(ended_itself(&name)))?;
        Ok(Self { name, kind, jobs: Some(jobs), ended, lost: false })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn kind(&self) -> TrackerKind {
        self.kind
    }

    /// Hands `work` to the tracker, which begins at once.
    ///
    /// # Errors
    /// `tracker/no-answer` when an earlier answer was not waited for.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Tracker) -> T + Send + 'static,
    ) -> Result<Asked<T>> {
        if self.lost {
            return Err(no_answer(format!("{} has not answered before", self.name)));
        }
        self.send(work)
    }

    fn send<T: Send + 'static>(&self, work: impl FnOnce(&mut dyn Tracker) -> T + Send + 'static) -> Result<Asked<T>> {
        let (answer, asked) = channel();
        let name = self.name.clone();
        let job: Job = Box::new(move |tracker| {
            let done = catch_unwind(AssertUnwindSafe(|| work(tracker)));
            // Nobody may be there to hear it.
            let _ = answer.send(done.map_err(|_| ended_itself(&name)));
        });
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { Ok(asked) } else { Err(no_answer(format!("{} was left behind", self.name))) }
    }

    /// The answer, if it comes while `patience` lasts. Else it is lost, and so is whatever the tracker reported in it.
    ///
    /// # Errors
    /// `tracker/no-answer` for a limit of `patience`; its other errors as they are.
    pub(super) fn answer<T>(&mut self, asked: &Asked<T>, patience: Patience<'_>) -> Result<T> {
        let began = Instant::now();
        loop {
            let error = match asked.recv_timeout(TICK) {
                Ok(answer) => {
                    self.lost |= answer.is_err();
                    return answer;
                }
                Err(RecvTimeoutError::Timeout) => match patience() {
                    Ok(()) => continue,
                    Err(error) => self.unanswered(error, began.elapsed()),
                },
                Err(RecvTimeoutError::Disconnected) => ended_itself(&self.name),
            };
            self.lost = true;
            return Err(error);
        }
    }

    /// As [`Self::ask`] and [`Self::answer`], for `most` at most, and for one that was given up, too, if it answers by now:
    /// `None` when it does not. From then on it is asked nothing any more.
    ///
    /// # Errors
    /// `tracker/no-answer` when it was fine until now.
    pub(super) fn settle<T: Send + 'static>(
        &mut self,
        most: Duration,
        work: impl FnOnce(&mut dyn Tracker) -> T + Send + 'static,
    ) -> Result<Option<T>> {
        if self.lost && !self.has_come_back() {
            return Ok(None);
        }
        let until = Instant::now() + most;
        let asked = self.send(work)?;
        let answer = self.answer(&asked, &mut || bounded(until));
        if answer.is_err() {
            self.jobs = None;
        }
        answer.map(Some)
    }

    fn has_come_back(&mut self) -> bool {
        let Ok(asked) = self.send(|_| ()) else { return false };
        let came = asked.recv_timeout(LATE).is_ok_and(|answer| answer.is_ok());
        if !came {
            self.jobs = None;
        }
        came
    }

    fn unanswered(&self, mut error: HelperError, waited: Duration) -> HelperError {
        match error.kind {
            FailureKind::Deadline => {
                no_answer(format!("{} did not answer within {} ms: {}", self.name, waited.as_millis(), error.message))
            }
            FailureKind::Cancelled => {
                error.message = format!("{}; {} had not answered", error.message, self.name);
                error
            }
            _ => error,
        }
    }
}

impl Drop for Threaded {
    /// What reads a device is closed before the device, unless it hangs.
    fn drop(&mut self) {
        if self.jobs.take().is_some() {
            let _ = self.ended.recv_timeout(LATE);
        }
    }
}

/// Past `until`, waiting is over.
pub(super) fn bounded(until: Instant) -> Result<()> {
    if Instant::now() < until {
        return Ok(());
    }
    Err(HelperError::of(FailureKind::Deadline, "tracker/no-answer", "it was waited for no longer"))
}

fn no_answer(message: String) -> HelperError {
    HelperError::new("tracker/no-answer", message)
        .suggest("read the kernel log of that host: the call of its driver did not return; name another tracker")
}

fn ended_itself(name: &str) -> HelperError {
    HelperError::new("helper/bug", format!("the tracker {name} panicked; stderr says where"))
        .suggest("report it with the journal of the run")
}
