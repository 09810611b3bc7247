//! The streams beside the first, on a destination: each has a thread that stores the pages it carries. What was
//! announced on the first stream is waited for here, so that no round is acknowledged before all of it is stored, and
//! so that a page never overtakes an older one of another stream.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::confine::confine;
use crate::error::{FailureKind, HelperError, Result};
use crate::memory::Memory;
use crate::net::socket::{Socket, Wait};
use crate::streams::pages::{Carried, store_pages, store_zeros};
use crate::wire::Kind;
use crate::wire::inbox::Inbox;
use crate::wire::unexpected;

/// How long a stream may be broken before that is the cause: the first stream may bring a better one.
pub const GRACE: Duration = Duration::from_millis(250);
/// Between two looks at the rest while a stream is waited for.
const TICK: Duration = Duration::from_millis(20);

/// The first failure of any stream, until the streams are done with.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    failed: Option<(HelperError, Instant)>,
    over: bool,
}

impl Health {
    /// # Errors
    /// What broke, once that is [`GRACE`] ago.
    pub fn check(&self) -> Result<()> {
        match &self.lock().failed {
            Some((error, at)) if at.elapsed() >= GRACE => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn failed(&self) -> Option<HelperError> {
        self.lock().failed.as_ref().map(|(error, _)| error.clone())
    }

    fn note(&self, error: HelperError) {
        let mut state = self.lock();
        if !state.over {
            state.failed.get_or_insert_with(|| (error, Instant::now()));
        }
    }

    /// Nothing that happens from now on matters.
    fn retire(&self) {
        *self.lock() = State { failed: None, over: true };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one stream has stored. Held while storing: a thread that has it closed knows that nothing is written any more.
#[derive(Default)]
struct Stored {
    frames: u64,
    carried: Carried,
    closed: bool,
}

#[derive(Default)]
struct Stream {
    stored: Mutex<Stored>,
    changed: Condvar,
}

impl Stream {
    fn lock(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores until the connection ends or something is wrong with it; it always ends with an error.
    fn serve(&self, socket: &mut Socket, memory: &Memory) -> Result<()> {
        let mut inbox = Inbox::new();
        loop {
            let (frame, payload) = inbox.receive(socket, Wait::Idle)?;
            let mut stored = self.lock();
            if stored.closed {
                return Err(unexpected(frame, Kind::Commit));
            }
            let carried = match frame.kind {
                Kind::Pages => store_pages(memory, frame.at, payload)?,
                Kind::Zeros => store_zeros(memory, frame.at, frame.count)?,
                _ => return Err(unexpected(frame, Kind::Pages)),
            };
            stored.carried.add(carried);
            stored.frames += 1;
            drop(stored);
            self.changed.notify_all();
        }
    }
}

pub struct Incoming {
    streams: Vec<Arc<Stream>>,
    health: Health,
    handles: Vec<TcpStream>,
    /// Each gives its socket back, which stays open as long as this: closing it early with something unread would
    /// reset it under the source before the first stream tells why.
    threads: Vec<JoinHandle<Socket>>,
    /// Of `carried`, what was reported by earlier gatherings.
    reported: Carried,
}

impl Incoming {
    /// # Errors
    /// `link/socket` without a free descriptor, `link/thread`.
    pub fn start(sockets: Vec<Socket>, memory: &Arc<Memory>) -> Result<Self> {
        let mut incoming = Self {
            streams: Vec::new(),
            health: Health::default(),
            handles: Vec::new(),
            threads: Vec::new(),
            reported: Carried::default(),
        };
        let count = sockets.len() + 1;
        for (index, mut socket) in sockets.into_iter().enumerate() {
            let stream = Arc::new(Stream::default());
            incoming.handles.push(socket.handle()?);
            incoming.streams.push(Arc::clone(&stream));
            let (memory, health) = (Arc::clone(memory), incoming.health.clone());
            let serving = thread::Builder::new().name(format!("stream-{}", index + 1)).spawn(move || {
                if let Err(error) = confine().and_then(|()| stream.serve(&mut socket, &memory)) {
                    health.note(of_stream(error, index + 2, count));
                    // A thread that waits for this stream looks at its health first.
                    drop(stream.lock());
                    stream.changed.notify_all();
                }
                socket
            });
            incoming.threads.push(
                serving.map_err(|error| HelperError::os_of(FailureKind::Link, "link/thread", "clone", &error, ""))?,
            );
        }
        Ok(incoming)
    }

    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Waits until each stream has stored as many frames as `counts` says, and returns what came since the last time.
    /// `meanwhile` is asked every now and then whether to go on.
    ///
    /// # Errors
    /// What broke a stream; `link/timeout` when one stands still for `silence`; `wire/payload` and
    /// `wire/unexpected-frame` when the counts are not those of the streams; those of `meanwhile`.
    pub fn gather(
        &mut self,
        counts: &[u64],
        silence: Duration,
        meanwhile: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Carried> {
        if counts.len() != self.streams.len() {
            let message = format!("counts of {} streams, {} are connected", counts.len(), self.streams.len());
            return Err(HelperError::of(FailureKind::Wire, "wire/payload", message));
        }
        let mut total = Carried::default();
        for (index, (stream, wanted)) in self.streams.iter().zip(counts).enumerate() {
            let (mut moved, mut seen) = (Instant::now(), 0);
            let mut stored = stream.lock();
            while stored.frames < *wanted {
                if let Some(error) = self.health.failed() {
                    return Err(error);
                }
                if stored.frames != seen {
                    (moved, seen) = (Instant::now(), stored.frames);
                } else if moved.elapsed() >= silence {
                    let error = HelperError::of(
                        FailureKind::Link,
                        "link/timeout",
                        format!(
                            "nothing came for {} ms, {} of {wanted} frames did",
                            silence.as_millis(),
                            stored.frames
                        ),
                    );
                    return Err(of_stream(error, index + 2, counts.len() + 1));
                }
                let waited = stream.changed.wait_timeout(stored, TICK);
                let (back, tick) = waited.unwrap_or_else(PoisonError::into_inner);
                stored = back;
                if tick.timed_out() {
                    drop(stored);
                    meanwhile()?;
                    stored = stream.lock();
                }
            }
            if stored.frames > *wanted {
                let message = format!("{} frames where {wanted} were announced", stored.frames);
                let error = HelperError::of(FailureKind::Wire, "wire/unexpected-frame", message);
                return Err(of_stream(error, index + 2, counts.len() + 1));
            }
            total.add(stored.carried);
        }
        let before = std::mem::replace(&mut self.reported, total);
        Ok(Carried {
            page_bytes: total.page_bytes - before.page_bytes,
            zero_bytes: total.zero_bytes - before.zero_bytes,
        })
    }

    /// Nothing is stored from now on, and the streams may end as they like.
    ///
    /// # Errors
    /// `wire/unexpected-frame` when more was stored than was gathered.
    pub fn close(&mut self) -> Result<()> {
        let mut total = Carried::default();
        for stream in &self.streams {
            let mut stored = stream.lock();
            stored.closed = true;
            total.add(stored.carried);
        }
        self.health.retire();
        if total == self.reported {
            return Ok(());
        }
        Err(HelperError::of(FailureKind::Wire, "wire/unexpected-frame", "pages came that the source did not announce"))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        for handle in &self.handles {
            // It may be closed already.
            let _ = handle.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            // One that panicked has nothing to give back.
            let _ = thread.join();
        }
    }
}

/// Names the stream, counted as people do.
pub(crate) fn of_stream(mut error: HelperError, number: usize, count: usize) -> HelperError {
    error.message = format!("stream {number} of {count}: {}", error.message);
    error
}

#[cfg(test)]
mod tests;
