//! The clock and the books of one cutover: how long it has been going on, which part took what, what went wrong.

use std::time::{Duration, Instant};

use crate::clock::micros;
use crate::dirty::union::Read;
use crate::error::HelperError;
use crate::message::{
    BlackoutForecast, BlackoutSplit, CutoverParams, CutoverRead, CutoverStep, Event as Notice, EventSink, Verified,
};
use crate::protocol::source::Action;

/// One cutover under way.
pub(crate) struct Blackout<'a> {
    pub(crate) params: &'a CutoverParams,
    /// When the first device was asked to leave RUNNING.
    pub(crate) began: Option<Instant>,
    pub(crate) split: BlackoutSplit,
    /// What it was expected to take when it began.
    pub(crate) forecast: Option<BlackoutForecast>,
    pub(crate) cause: Option<HelperError>,
    pub(crate) last_pages: u64,
    pub(crate) last_bytes: u64,
    pub(crate) reads: Vec<CutoverRead>,
    pub(crate) verified: Option<Verified>,
    /// The part the operator sees under way.
    part: Option<Part>,
}

struct Part {
    step: CutoverStep,
    since: Instant,
    /// Of its time, what went to hooks.
    paused: Duration,
}

/// One read of the trackers for the last pages, as the reply tells it.
pub(crate) fn told(read: Read, stopped: bool) -> CutoverRead {
    CutoverRead { stopped, trackers: read.trackers, union_pages: read.pages }
}

impl<'a> Blackout<'a> {
    pub(crate) fn new(params: &'a CutoverParams) -> Self {
        Self {
            params,
            began: None,
            split: BlackoutSplit::default(),
            forecast: None,
            cause: None,
            last_pages: 0,
            last_bytes: 0,
            reads: Vec::new(),
            verified: None,
            part: None,
        }
    }

    /// Ends the part the operator sees, books its time, and begins the next.
    pub(crate) fn show(&mut self, events: &dyn EventSink, next: Option<CutoverStep>) {
        if self.part.as_ref().map(|part| part.step) == next {
            return;
        }
        let now = Instant::now();
        if let Some(Part { step, since, paused }) = self.part.take() {
            let elapsed_us = micros(now.duration_since(since).saturating_sub(paused));
            book(&mut self.split, step, elapsed_us);
            events.emit(Notice::Cutover { step, done: true, elapsed_us });
        }
        if let Some(step) = next {
            self.part = Some(Part { step, since: now, paused: Duration::ZERO });
            events.emit(Notice::Cutover { step, done: false, elapsed_us: 0 });
        }
    }

    /// Books time that hooks took: it is theirs, and not of the part it fell into.
    pub(crate) fn paused(&mut self, took: Duration) {
        let us = micros(took);
        self.split.hooks_us += us;
        self.split.total_us += us;
        if let Some(part) = &mut self.part {
            part.paused += took;
        }
    }
}

pub(crate) fn part_of(action: Action) -> Option<CutoverStep> {
    Some(match action {
        Action::Quiesce | Action::StopCopy => CutoverStep::Quiesce,
        Action::FinalRead | Action::SendPages => CutoverStep::LastPages,
        Action::SendStates | Action::SendManifest => CutoverStep::State,
        Action::AwaitPrepared => CutoverStep::Load,
        Action::Verify => CutoverStep::Verify,
        Action::CheckCeiling | Action::RecordCommit | Action::SendCommit => CutoverStep::Commit,
        Action::AwaitRunning => CutoverStep::Resume,
        Action::VoidRecord | Action::AskDiscard | Action::Undo => CutoverStep::Rollback,
    })
}

/// The parts follow each other without a gap, so their sum is the whole. While the source waits for PREPARED the
/// destination first takes in what is still on the way, which belongs to the state, then loads.
fn book(split: &mut BlackoutSplit, step: CutoverStep, elapsed_us: u64) {
    split.total_us += elapsed_us;
    match step {
        CutoverStep::Quiesce => split.quiesce_us += elapsed_us,
        CutoverStep::LastPages => split.last_pages_us += elapsed_us,
        CutoverStep::State => split.state_us += elapsed_us,
        CutoverStep::Load => {
            split.load_us = split.load_us.min(elapsed_us);
            split.state_us += elapsed_us - split.load_us;
        }
        CutoverStep::Verify => split.verify_us += elapsed_us,
        CutoverStep::Commit | CutoverStep::Resume => split.resume_us += elapsed_us,
        CutoverStep::Rollback => {}
    }
}
