//! What a connection is told: replies and events, each a whole line, queued by any thread and written by one of its own.
//! No run waits for a reader. One that stopped reading loses the Progress events first; once the queue is full it counts
//! as gone.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::Shutdown;
use serde::Serialize;

use crate::error::HelperError;
use crate::message::{Event, EventSink};
use crate::privileges::without_capabilities;

/// Written at once after the descriptor was found writable: a pipe has room for that much then, a socket for more.
const PIECE: usize = 4096;
/// How often a writer that waits looks whether the connection was given up.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Queued, in bytes: more than a run of days says. One line may be longer, if it is alone.
const MOST: usize = 4 << 20;
/// Queued, in bytes, from which on Progress is dropped: the next one says more.
const BUSY: usize = 64 << 10;
/// What is still to be said to a reader that is gone, or refused, may take this long.
pub const LAST_WORDS: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Reply<'a, T: Serialize> {
    /// `None` when the line was too broken to have one.
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a HelperError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Open,
    /// Nothing more is taken; what is queued is written.
    Ending,
    /// Nothing more is written.
    Closed,
    /// The descriptor is closed.
    Over,
}

struct State {
    stage: Stage,
    lines: VecDeque<Vec<u8>>,
    /// Of `lines`, and of the one that is being written.
    bytes: usize,
    /// When what still waits is dropped; `None`: it waits as long as the reader is there.
    until: Option<Instant>,
    /// Since when the reader has taken nothing of a line that waits.
    stuck: Option<Instant>,
    /// Called, by the writer, when the queue was full.
    when_full: Option<Box<dyn FnOnce() + Send>>,
    full: bool,
}

pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

/// Dropping it ends it: what is queued is still written.
pub struct Output(Arc<Queue>);

impl Output {
    /// With a writer of its own. A socket is shut down, both ways, once nothing more is written to it.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn new(to: OwnedFd, is_socket: bool) -> io::Result<Self> {
        let state = State {
            stage: Stage::Open,
            lines: VecDeque::new(),
            bytes: 0,
            until: None,
            stuck: None,
            when_full: None,
            full: false,
        };
        let queue = Arc::new(Queue { state: Mutex::new(state), changed: Condvar::new() });
        let written = Arc::clone(&queue);
        thread::Builder::new().name("output".to_owned()).spawn(move || {
            without_capabilities();
            written.write_all(to, is_socket);
        })?;
        Ok(Self(queue))
    }

    /// What is waited for when the process ends.
    pub fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.0)
    }

    /// `then` runs once, on the writer's thread, when the reader has left so much unread that nothing more is queued.
    pub fn when_full(&self, then: impl FnOnce() + Send + 'static) {
        self.0.lock().when_full = Some(Box::new(then));
    }

    /// Queues the reply and returns its line, so that a repeated request can be answered the same.
    pub fn reply(&self, id: Option<u64>, result: &Result<serde_json::Value, HelperError>) -> String {
        let reply = Reply { id, ok: result.as_ref().ok(), error: result.as_ref().err() };
        let line = serde_json::to_string(&reply).unwrap_or_else(|error| {
            format!(r#"{{"id":null,"error":{{"code":"helper/bug","message":"unwritable reply: {error}"}}}}"#)
        });
        self.line(&line);
        line
    }

    /// Queues one line. A reader that is gone shows as the end of what it sends, which is where it is handled.
    pub fn line(&self, line: &str) {
        let line = format!("{line}\n").into_bytes();
        let mut state = self.0.lock();
        if state.stage != Stage::Open {
            return;
        }
        if state.bytes > 0 && state.bytes + line.len() > MOST {
            // A line left out would be worse than none: replies are waited for.
            (state.stage, state.full) = (Stage::Closed, true);
        } else {
            state.bytes += line.len();
            state.lines.push_back(line);
        }
        drop(state);
        self.0.changed.notify_all();
    }

    /// How long the reader has taken nothing although there is something for it.
    pub fn stuck_for(&self) -> Duration {
        self.0.lock().stuck.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// What is still to be said may take this long.
    pub fn last_words(&self, patience: Duration) {
        self.0.lock().until = Some(Instant::now() + patience);
    }

    /// Nothing more is taken. What is queued is written, for [`LAST_WORDS`] at most unless an end was set.
    pub fn end(&self) {
        self.0.end();
    }

    /// Nothing more is written; a line under way is cut off.
    pub fn close(&self) {
        self.0.advance(Stage::Closed);
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.end();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, stage: Stage) {
        let mut state = self.lock();
        state.stage = state.stage.max(stage);
        drop(state);
        self.changed.notify_all();
    }

    pub fn end(&self) {
        self.lock().until.get_or_insert_with(|| Instant::now() + LAST_WORDS);
        self.advance(Stage::Ending);
    }

    /// Ends it, and waits until all is written and the descriptor is closed.
    pub fn finish(&self) {
        self.end();
        let mut state = self.lock();
        while state.stage < Stage::Over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The writer's thread.
    fn write_all(&self, to: OwnedFd, is_socket: bool) {
        while let Some(line) = self.next() {
            if !self.write(&to, &line) {
                // Half a line may be out: nothing that follows would be understood.
                self.advance(Stage::Closed);
            }
            let mut state = self.lock();
            state.bytes = state.bytes.saturating_sub(line.len());
            state.stuck = None;
        }
        if is_socket {
            let _ = rustix::net::shutdown(&to, Shutdown::Both);
        }
        drop(to);
        self.advance(Stage::Over);
        let mut state = self.lock();
        state.lines.clear();
        let then = state.when_full.take().filter(|_| state.full);
        drop(state);
        if let Some(then) = then {
            then();
        }
    }

    /// `None`: there is nothing more to write.
    fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            if state.stage >= Stage::Closed {
                return None;
            }
            if let Some(line) = state.lines.pop_front() {
                state.stuck = Some(Instant::now());
                return Some(line);
            }
            if state.stage == Stage::Ending {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write(&self, to: &OwnedFd, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.is_given_up() {
                return false;
            }
            match poll(&mut [PollFd::new(to, PollFlags::OUT)], Some(&LOOK)) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(_) => return false,
            }
            let piece = bytes.get(..PIECE).unwrap_or(bytes);
            match rustix::io::write(to, piece) {
                Ok(written) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    self.lock().stuck = Some(Instant::now());
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(_) => return false,
            }
        }
        true
    }

    fn is_given_up(&self) -> bool {
        let state = self.lock();
        state.stage >= Stage::Closed || state.until.is_some_and(|until| Instant::now() > until)
    }
}

impl EventSink for Output {
    fn emit(&self, event: Event) {
        if matches!(event, Event::Progress { .. }) && self.0.lock().bytes > BUSY {
            return;
        }
        if let Ok(line) = serde_json::to_string(&event) {
            self.line(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::message::num::Bytes;

    fn output() -> (Output, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        (Output::new(ours.into(), true).expect("a thread"), theirs)
    }

    #[test]
    fn long_lines_arrive_whole() {
        let (output, theirs) = output();
        let line = "x".repeat(900_000);
        output.line(&line);
        output.line("end");
        drop(output);
        let read: Vec<String> = BufReader::new(theirs).lines().map(|line| line.expect("read")).collect();
        assert_eq!(read, [line, "end".to_owned()]);
    }

    #[test]
    fn a_reader_that_stopped_reading_holds_nobody_up() {
        for give_up in [Output::close, |output: &Output| output.last_words(Duration::ZERO)] {
            let (output, theirs) = output();
            let began = Instant::now();
            (0..100).for_each(|_| output.line(&"x".repeat(10_000)));
            assert!(began.elapsed() < Duration::from_secs(2), "queued, not written");
            while output.stuck_for() < Duration::from_millis(20) {
                thread::sleep(Duration::from_millis(5));
            }
            give_up(&output);
            output.queue().finish();
            output.line("dropped");
            drop(theirs);
        }
    }

    #[test]
    fn a_full_queue_loses_progress_first_and_then_its_reader() {
        let (output, theirs) = output();
        let (tell, told) = channel();
        output.when_full(move || {
            let _ = tell.send(());
        });
        let progress =
            || Event::Progress { round: 1, sent_bytes: Bytes(1), round_bytes: Bytes(1), bytes_per_second: Bytes(1) };
        while output.0.lock().bytes <= BUSY {
            output.line(&"x".repeat(10_000));
        }
        for _ in 0..2 * MOST / 64 {
            output.emit(progress());
        }
        assert!(output.0.lock().bytes < 2 * BUSY && told.try_recv().is_err());
        for _ in 0..MOST / 10_000 + 20 {
            output.emit(Event::Settled { stays: false });
            output.line(&"x".repeat(10_000));
        }
        told.recv_timeout(Duration::from_secs(10)).expect("told once");
        assert!(told.recv().is_err());
        drop(theirs);
    }
}
