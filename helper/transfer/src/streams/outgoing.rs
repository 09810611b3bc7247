//! The streams beside the first, on a source. They carry pages only: the thread that walks the dirty pages hands
//! batches out, and the first stream that is free sends the next one. Their threads live as long as one sending of pages, so that
//! between two of them, and in every cutover too small to gain from it, there is only the first stream.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::area::Area;
use crate::confine::confine;
use crate::error::{FailureKind, HelperError, Result};
use crate::memory::Memory;
use crate::net::socket::{Patience, Socket};
use crate::streams::incoming::of_stream;
use crate::streams::pages::{Carried, PageWriter, Staging};
use crate::wire::outbox::Outbox;
use crate::wire::{Frame, Kind};

/// Batches a stream may find waiting, so that it need not wait while the first stream is busy with its own.
const AHEAD: usize = 2;

/// One stream beside the first.
pub struct Lane {
    socket: Socket,
    outbox: Outbox,
    /// Which of how many streams, counted from 1.
    number: usize,
    count: usize,
    frames: u64,
    /// Of these, how many the destination was told of.
    announced: u64,
    sent_bytes: u64,
}

impl Lane {
    pub fn new(socket: Socket, number: usize, count: usize) -> Self {
        Self { socket, outbox: Outbox::new(), number, count, frames: 0, announced: 0, sent_bytes: 0 }
    }

    /// Frames given to it so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Whether it carried anything the destination was not told of; now it is.
    pub fn take_unannounced(&mut self) -> bool {
        std::mem::replace(&mut self.announced, self.frames) != self.frames
    }

    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// The destination never speaks here: anything to read is the connection's end.
    ///
    /// # Errors
    /// `link/lost`, `wire/unexpected-frame`.
    pub fn check(&mut self) -> Result<()> {
        if !self.socket.is_readable(Duration::ZERO) {
            return Ok(());
        }
        let spoke = self.socket.read(&mut [0], crate::net::socket::Wait::Due);
        let error = spoke.err().unwrap_or_else(|| {
            HelperError::of(
                FailureKind::Wire,
                "wire/unexpected-frame",
                "the destination sent something where only pages go",
            )
        });
        Err(of_stream(error, self.number, self.count))
    }

    /// Sends batches until none is left and no more will come. Confines its thread.
    pub fn work(&mut self, batches: &Batches, memory: &Memory, patience: &Patience) {
        let patience = Patience { cancel: Some(Arc::clone(&batches.stop)), ..patience.clone() };
        let sent = confine().and_then(|()| self.socket.set_patience(patience)).and_then(|()| {
            let mut walk = PageWriter::new(self, memory);
            while let Some(batch) = batches.next() {
                walk.batch(&batch)?;
                batches.note(walk.take());
            }
            walk.flush_zeros()?;
            self.flush()
        });
        batches.leave(sent.map_err(|error| of_stream(error, self.number, self.count)));
    }

    fn flush(&mut self) -> Result<()> {
        self.sent_bytes += self.outbox.staged() as u64;
        self.outbox.send(&mut self.socket)
    }
}

impl Staging for Lane {
    fn stage(
        &mut self,
        frame: Frame,
        room: usize,
        empty_too: bool,
        fill: impl FnOnce(&mut [u8]) -> Result<usize>,
    ) -> Result<usize> {
        debug_assert!(matches!(frame.kind, Kind::Pages | Kind::Zeros));
        let length = self.outbox.stage(frame, room, empty_too, fill)?;
        if length > 0 || empty_too {
            self.frames += 1;
        }
        if self.outbox.is_full() {
            self.flush()?;
        }
        Ok(length)
    }
}

/// What waits to be sent by the first stream that is free.
pub struct Batches {
    state: Mutex<State>,
    changed: Condvar,
    /// Ends the waits of the streams when the first one fails or is cancelled.
    stop: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<Area>>,
    /// No more will come.
    over: bool,
    /// Streams at work.
    lanes: usize,
    carried: Carried,
    failed: Option<HelperError>,
}

impl Batches {
    pub fn new() -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), stop: Arc::default() }
    }

    /// One more stream takes batches from here.
    pub fn join(&self) {
        self.lock().lanes += 1;
    }

    /// Takes it for the streams; gives it back when they have enough to do.
    ///
    /// # Errors
    /// What broke a stream.
    pub fn offer(&self, batch: Vec<Area>) -> Result<Option<Vec<Area>>> {
        let mut state = self.lock();
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        if state.waiting.len() >= state.lanes * AHEAD {
            return Ok(Some(batch));
        }
        state.waiting.push_back(batch);
        drop(state);
        self.changed.notify_all();
        Ok(None)
    }

    /// What is left for the first stream to help with, once no more will come.
    pub fn rest(&self) -> Option<Vec<Area>> {
        let mut state = self.lock();
        state.over = true;
        let batch = state.waiting.pop_front();
        drop(state);
        self.changed.notify_all();
        batch
    }

    /// Waits at most `at_most` for the streams to be done; whether they are.
    ///
    /// # Errors
    /// What broke a stream.
    pub fn done(&self, at_most: Duration) -> Result<bool> {
        let state = self.lock();
        let going = |state: &mut State| state.lanes > 0 && state.failed.is_none();
        let (state, _) = self.changed.wait_timeout_while(state, at_most, going).unwrap_or_else(PoisonError::into_inner);
        state.failed.clone().map_or(Ok(state.lanes == 0), Err)
    }

    /// What the streams have sent so far.
    pub fn carried(&self) -> Carried {
        self.lock().carried
    }

    /// Nothing more is to be sent: the streams end within a tick.
    pub fn give_up(&self) {
        self.stop.store(true, Ordering::SeqCst);
        let mut state = self.lock();
        state.waiting.clear();
        state.over = true;
        drop(state);
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Vec<Area>> {
        let state = self.lock();
        let none = |state: &mut State| state.waiting.is_empty() && !state.over;
        let mut state = self.changed.wait_while(state, none).unwrap_or_else(PoisonError::into_inner);
        state.waiting.pop_front()
    }

    fn note(&self, carried: Carried) {
        self.lock().carried.add(carried);
    }

    fn leave(&self, sent: Result<()>) {
        let mut state = self.lock();
        state.lanes -= 1;
        if let Err(error) = sent {
            state.failed.get_or_insert(error);
        }
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
