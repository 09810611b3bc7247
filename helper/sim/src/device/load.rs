//! The resume session of a simulated device: takes one stream in, bounded in memory whatever its length, and judges it
//! as mtty does: an incompatible source is EFAULT at the write, too many bytes are ENOMEM, and everything else that is
//! wrong is EINVAL at RESUMING to STOP.

use std::sync::{Arc, Mutex};

use xxhash_rust::xxh3::Xxh3;

use super::faults::DeviceFaults;
use super::pace::Pace;
use super::session::stream_code;
use super::sync::lock;
use super::wire::{Block, FINAL_BYTES, FinalBlock, HEADER_BYTES, Header, Registers, SUM_AT, get64};
use crate::error::{HelperError, Result};
use crate::message::SimModel;
use crate::stamps::Program;
use crate::stamps::mix::fill;
use ferry_vfio::device::{PrecopyInfo, StateStream, StreamRead};

pub(super) struct Load {
    model: SimModel,
    total: u64,
    disabled: bool,
    rejected: bool,
    /// Refuses a write in the middle, and says nothing of it at the end.
    refuses: bool,
    received: u64,
    header_bytes: Block,
    header: Option<Header>,
    last: Block,
    filler_intact: bool,
    hash: Xxh3,
}

/// What a device is after a whole stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loaded {
    pub program: Option<(Program, u64)>,
    pub registers: Registers,
}

impl Load {
    pub(super) fn new(model: SimModel, total: u64, refuses: bool) -> Self {
        Self {
            model,
            total,
            disabled: false,
            rejected: false,
            refuses,
            received: 0,
            header_bytes: [0; 128],
            header: None,
            last: [0; 128],
            filler_intact: true,
            hash: Xxh3::new(),
        }
    }

    pub(super) fn disable(&mut self) {
        self.disabled = true;
    }

    /// # Errors
    /// ENODEV, ENOMEM (all of `buf` refused), EFAULT.
    fn write(&mut self, buf: &[u8]) -> std::result::Result<(), i32> {
        if self.disabled {
            return Err(libc::ENODEV);
        }
        if self.received + buf.len() as u64 > self.total {
            return Err(libc::ENOMEM);
        }
        if self.rejected {
            return Err(libc::EFAULT);
        }
        if self.refuses && self.received + buf.len() as u64 > self.total / 2 {
            return Err(libc::EFAULT);
        }
        let final_at = self.total - FINAL_BYTES;
        let mut rest = buf;
        while !rest.is_empty() {
            let at = self.received;
            let end = if at < HEADER_BYTES {
                HEADER_BYTES
            } else if at < final_at {
                final_at
            } else {
                self.total
            };
            let take = usize::try_from(end - at).unwrap_or(usize::MAX).min(rest.len());
            let (piece, tail) = rest.split_at(take);
            rest = tail;
            self.received += take as u64;
            if at >= final_at {
                let from = (at - final_at) as usize;
                self.last[from..from + take].copy_from_slice(piece);
                continue;
            }
            self.hash.update(piece);
            if at >= HEADER_BYTES {
                self.check_filler(at - HEADER_BYTES, piece);
                continue;
            }
            self.header_bytes[at as usize..at as usize + take].copy_from_slice(piece);
            if self.received == HEADER_BYTES {
                let header = Header::decode(&self.header_bytes);
                self.header = header.filter(|header| header.model == self.model && header.total == self.total);
                if self.header.is_none() {
                    self.rejected = true;
                    return Err(libc::EFAULT);
                }
            }
        }
        Ok(())
    }

    fn check_filler(&mut self, offset: u64, piece: &[u8]) {
        let Some(header) = self.header else { return };
        let mut expected = [0; 4096];
        let mut at = offset;
        for part in piece.chunks(expected.len()) {
            let expected = &mut expected[..part.len()];
            fill(header.filler_seed, at, expected);
            self.filler_intact &= *expected == *part;
            at += part.len() as u64;
        }
    }

    /// The judgement at RESUMING to STOP; `None` is EINVAL, and what was received is kept.
    pub(super) fn finish(&self) -> Option<Loaded> {
        if self.refuses {
            return Some(Loaded { program: None, registers: Registers::default() });
        }
        if self.rejected || self.received != self.total || !self.filler_intact {
            return None;
        }
        let mut hash = self.hash.clone();
        hash.update(&self.last[..SUM_AT]);
        if hash.digest() != get64(&self.last, SUM_AT) {
            return None;
        }
        let last = FinalBlock::decode(&self.last)?;
        let program = self.header?.program.map(|program| (program, last.position));
        Some(Loaded { program, registers: last.registers })
    }
}

/// The resume fd.
pub(super) struct LoadStream {
    pub device: String,
    pub session: Arc<Mutex<Load>>,
    pub faults: Arc<DeviceFaults>,
    pub pace: Option<Pace>,
}

impl LoadStream {
    fn failed(&self, operation: &str, errno: i32, meaning: &str) -> HelperError {
        let error = std::io::Error::from_raw_os_error(self.faults.errno(errno));
        HelperError::os(stream_code(operation), operation, &error, meaning).device(&self.device)
    }
}

impl StateStream for LoadStream {
    fn read(&mut self, _buf: &mut [u8]) -> Result<StreamRead> {
        Err(self.failed("read", libc::EBADF, "a resume stream is write only"))
    }

    fn write_all(&mut self, buf: &[u8]) -> Result<()> {
        let mut rest = buf;
        while !rest.is_empty() {
            let take = Pace::wait_for(&mut self.pace, rest.len() as u64) as usize;
            let (piece, tail) = rest.split_at(take.min(rest.len()));
            let written = lock(&self.session).write(piece);
            written.map_err(|errno| {
                let meaning = match errno {
                    libc::EFAULT => "the state comes from an incompatible device: other model, size or version",
                    libc::ENOMEM => "the stream is longer than this device's state",
                    libc::ENODEV => "the device has left the session this stream belongs to",
                    _ => "",
                };
                self.failed("write", errno, meaning)
            })?;
            if let Some(pace) = &mut self.pace {
                pace.issued(piece.len() as u64);
            }
            rest = tail;
        }
        Ok(())
    }

    fn precopy_info(&mut self) -> Result<PrecopyInfo> {
        Err(self.failed("VFIO_MIG_GET_PRECOPY_INFO", libc::ENOTTY, "a resume stream has no such call"))
    }
}
