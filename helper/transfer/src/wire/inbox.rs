//! Frames as they come in. Small ones are read many at a time; a large payload is read straight into its own buffer.
//! Both buffers have a fixed size: what a peer announces never makes this grow.

use crate::error::{FailureKind, HelperError, Result};
use crate::net::alive::is_silence;
use crate::net::socket::{Channel, Wait};
use crate::wire::{Frame, HEADER_BYTES, Kind, MAX_DATA, open};

const AHEAD: usize = 64 * 1024;

pub struct Inbox {
    ahead: Box<[u8]>,
    from: usize,
    to: usize,
    payload: Box<[u8]>,
    number: u64,
}

impl Inbox {
    pub fn new() -> Self {
        Self {
            ahead: vec![0; AHEAD].into_boxed_slice(),
            from: 0,
            to: 0,
            payload: vec![0; MAX_DATA].into_boxed_slice(),
            number: 0,
        }
    }

    /// Whether bytes of a next frame are already here.
    pub fn holds_any(&self) -> bool {
        self.from < self.to
    }

    /// Whether an ABORT comes next, as far as what is here or readable can tell. Whatever else comes stays here.
    pub fn abort_comes(&mut self, socket: &mut impl Channel) -> Result<bool> {
        if !self.holds_any() {
            self.from = 0;
            self.to = 0;
            self.to = socket.read(&mut self.ahead, Wait::Due)?;
        }
        Ok(self.ahead[self.from] == Kind::Abort as u8)
    }

    /// The next frame and its payload, checked.
    ///
    /// # Errors
    /// `wire/truncated` when the connection ends inside a frame; those of [`open`] and [`Channel::read`].
    pub fn receive(&mut self, socket: &mut impl Channel, wait: Wait) -> Result<(Frame, &[u8])> {
        self.fill(socket, HEADER_BYTES, wait)?;
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&self.ahead[self.from..self.from + HEADER_BYTES]);
        let number = self.number;
        let opened = open(&header, number)?;
        self.from += HEADER_BYTES;
        self.number += 1;
        let length = opened.frame.length as usize;
        let payload = if length <= AHEAD {
            self.fill(socket, length, Wait::Due).map_err(inside)?;
            let start = self.from;
            self.from += length;
            &self.ahead[start..start + length]
        } else {
            let here = self.to - self.from;
            self.payload[..here].copy_from_slice(&self.ahead[self.from..self.to]);
            self.from = self.to;
            let mut done = here;
            while done < length {
                done += socket.read(&mut self.payload[done..length], Wait::Due).map_err(inside)?;
            }
            &self.payload[..length]
        };
        opened.check(number, payload)?;
        Ok((opened.frame, payload))
    }

    /// Makes `count` bytes (at most `AHEAD`) available from `self.from` on.
    fn fill(&mut self, socket: &mut impl Channel, count: usize, wait: Wait) -> Result<()> {
        if self.from == self.to {
            self.from = 0;
            self.to = 0;
        }
        if self.from + count > AHEAD {
            self.ahead.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        while self.to - self.from < count {
            let begun = self.to > self.from;
            let wait = if begun { Wait::Due } else { wait };
            let read = socket.read(&mut self.ahead[self.to..], wait);
            self.to += if begun { read.map_err(inside)? } else { read? };
        }
        Ok(())
    }
}

/// A connection that ends inside a frame lost more than the connection. One that stopped answering is the same anywhere.
fn inside(error: HelperError) -> HelperError {
    if error.kind != FailureKind::Lost || is_silence(error.errno) {
        return error;
    }
    let mut truncated = HelperError::of(
        FailureKind::Truncated,
        "wire/truncated",
        format!("a frame broke off in the middle: {}", error.message),
    );
    truncated.errno = error.errno;
    truncated.errno_name = error.errno_name;
    truncated.suggestion = Some("the peer or the network went away; its own report says more".to_owned());
    truncated
}
