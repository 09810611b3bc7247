//! The one writer of a connection: replies and events, each a whole line, from any thread. A reader that stopped reading
//! holds a line up only until the connection is given up: nothing is written blindly.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Serialize;

use crate::error::HelperError;
use crate::message::{Event, EventSink};

/// Written at once after the descriptor was found writable: a pipe has room for that much then, a socket for more.
const PIECE: usize = 4096;
/// How often a writer that waits looks whether the connection was given up.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

#[derive(Serialize)]
struct Reply<'a, T: Serialize> {
    /// `None` when the line was too broken to have one.
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a HelperError>,
}

pub struct Output {
    to: Mutex<Option<OwnedFd>>,
    closed: AtomicBool,
    /// When a line that still waits is dropped; `None`: it waits as long as the reader is there.
    until: Mutex<Option<Instant>>,
}

impl Output {
    pub fn new(to: OwnedFd) -> Self {
        Self { to: Mutex::new(Some(to)), closed: AtomicBool::new(false), until: Mutex::new(None) }
    }

    /// Sends the reply and returns its line, so that a repeated request can be answered the same.
    pub fn reply(&self, id: Option<u64>, result: &Result<serde_json::Value, HelperError>) -> String {
        let reply = Reply { id, ok: result.as_ref().ok(), error: result.as_ref().err() };
        let line = serde_json::to_string(&reply).unwrap_or_else(|error| {
            format!(r#"{{"id":null,"error":{{"code":"helper/bug","message":"unwritable reply: {error}"}}}}"#)
        });
        self.line(&line);
        line
    }

    /// Writes one line. A reader that is gone shows as the end of what it sends, which is where it is handled.
    pub fn line(&self, line: &str) {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(fd) = to.as_ref() else { return };
        if !self.write(fd, format!("{line}\n").as_bytes()) {
            // Half a line may be out: nothing that follows would be understood.
            self.closed.store(true, Ordering::SeqCst);
            *to = None;
        }
    }

    fn write(&self, fd: &OwnedFd, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.closed.load(Ordering::SeqCst) || self.is_late() {
                return false;
            }
            match poll(&mut [PollFd::new(fd, PollFlags::OUT)], Some(&LOOK)) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(_) => return false,
            }
            let piece = bytes.get(..PIECE).unwrap_or(bytes);
            match rustix::io::write(fd, piece) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(_) => return false,
            }
        }
        true
    }

    fn is_late(&self) -> bool {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() > until)
    }

    /// What is still to be said may take this long.
    pub fn last_words(&self, patience: Duration) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + patience);
    }

    /// A line waits as long as the reader is there.
    pub fn no_hurry(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Nothing more is written, and the descriptor is closed; a line under way is cut off.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        *self.to.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl EventSink for Output {
    fn emit(&self, event: Event) {
        if let Ok(line) = serde_json::to_string(&event) {
            self.line(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn long_lines_arrive_whole() {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        let output = Arc::new(Output::new(ours.into()));
        let line = "x".repeat(900_000);
        let writer = {
            let (output, line) = (Arc::clone(&output), line.clone());
            std::thread::spawn(move || {
                output.line(&line);
                output.line("end");
                output.close();
            })
        };
        let read: Vec<String> = BufReader::new(theirs).lines().map(|line| line.expect("read")).collect();
        writer.join().expect("writer");
        assert_eq!(read, [line, "end".to_owned()]);
    }

    #[test]
    fn a_reader_that_stopped_reading_holds_nobody_up_for_good() {
        for give_up in [Output::close, |output: &Output| output.last_words(Duration::ZERO)] {
            let (ours, _theirs) = UnixStream::pair().expect("pair");
            let output = Arc::new(Output::new(ours.into()));
            let writer = {
                let output = Arc::clone(&output);
                std::thread::spawn(move || (0..1000).for_each(|_| output.line(&"x".repeat(10_000))))
            };
            std::thread::sleep(Duration::from_millis(20));
            give_up(&output);
            writer.join().expect("it ended");
            output.line("dropped");
        }
    }
}
