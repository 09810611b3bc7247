//! Frames on their way out: payloads are copied into one buffer behind their headers, hashed there, where no one
//! writes any more, and leave by a few large writes. Live memory is never hashed.

use crate::error::Result;
use crate::net::socket::Socket;
use crate::wire::{Frame, HEADER_BYTES, MAX_DATA, seal};

/// A batch leaves once it is this full, in bytes.
const FULL: usize = MAX_DATA;
/// Room for a batch just short of full and one more frame.
const CAPACITY: usize = FULL + HEADER_BYTES + MAX_DATA;

pub struct Outbox {
    buffer: Box<[u8]>,
    used: usize,
    /// Of the bytes used, how many have left already: a cancel in the middle of a batch must not break the frame it
    /// falls into, or the ABORT behind it could not be read.
    sent: usize,
    number: u64,
}

impl Outbox {
    pub fn new() -> Self {
        Self { buffer: vec![0; CAPACITY].into_boxed_slice(), used: 0, sent: 0, number: 0 }
    }

    /// Adds a frame whose payload `fill` writes into a buffer of `room` bytes (at most [`MAX_DATA`]); it returns how
    /// many it wrote. When `fill` fails or writes nothing and `empty_too` is false, nothing is added. Call
    /// [`Self::is_full`] after each and [`Self::send`] then.
    pub fn stage(
        &mut self,
        frame: Frame,
        room: usize,
        empty_too: bool,
        fill: impl FnOnce(&mut [u8]) -> Result<usize>,
    ) -> Result<usize> {
        let start = self.used + HEADER_BYTES;
        let length = fill(&mut self.buffer[start..start + room.min(MAX_DATA)])?.min(room);
        if length == 0 && !empty_too {
            return Ok(0);
        }
        let header = seal(frame, self.number, &self.buffer[start..start + length]);
        self.buffer[self.used..start].copy_from_slice(&header);
        self.used = start + length;
        self.number += 1;
        Ok(length)
    }

    /// Whether the batch must leave before another frame is added.
    pub fn is_full(&self) -> bool {
        self.used + HEADER_BYTES + MAX_DATA > CAPACITY || self.used >= FULL
    }

    /// Writes what is staged and has not left yet. After an error of patience the rest stays and can be sent later;
    /// after any other the link is over.
    pub fn send(&mut self, socket: &mut Socket) -> Result<()> {
        socket.write(&self.buffer[..self.used], &mut self.sent)?;
        self.used = 0;
        self.sent = 0;
        Ok(())
    }

    /// Bytes staged, sent or not.
    pub fn staged(&self) -> usize {
        self.used
    }
}
