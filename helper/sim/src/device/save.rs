//! The save session of a simulated device: one stream from PRE_COPY to the end of STOP_COPY.
//!
//! In PRE_COPY the first `precopyBytes` are there at once (initial bytes). As the device goes on writing memory, more
//! of the rest becomes ready early (dirty bytes), up to half of it. The final block, with the position of the engine,
//! exists only in STOP_COPY. So the whole stream is always `stateBytes` long, however much was read in which state.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::Xxh3;

use super::engine::Shared;
use super::faults::DeviceFaults;
use super::pace::Pace;
use super::session::stream_code;
use super::sync::lock;
use super::wire::{Block, FINAL_BYTES, FinalBlock, HEADER_BYTES, Header, SUM_AT, put64};
use crate::error::{HelperError, Result};
use crate::message::SimFault;
use crate::stamps::mix::fill;
use ferry_vfio::device::{PrecopyInfo, StateStream, StreamRead};

/// State that gets ready per write in PRE_COPY, in bytes.
const READY_PER_WRITE: u64 = 64;
/// Shortest sleep of a stream with a bandwidth, so that reads are not cut into crumbs.
const SHORTEST_NAP: Duration = Duration::from_millis(1);

pub(super) struct Save {
    phase: Phase,
    header: Block,
    filler_seed: u64,
    total: u64,
    initial: u64,
    /// Position of the engine when the session began.
    began_at: u64,
    offset: u64,
    hash: Xxh3,
}

enum Phase {
    PreCopy,
    StopCopy(Block),
    /// The device has left the session: the fd answers ENODEV.
    Disabled,
}

impl Save {
    /// A session entered from a running state (PRE_COPY).
    /// `offset` is 0 but for a device that goes on where another reader stopped.
    pub(super) fn new(header: &Header, began_at: u64, offset: u64) -> Self {
        Self {
            phase: Phase::PreCopy,
            header: header.encode(),
            filler_seed: header.filler_seed,
            total: header.total,
            initial: header.precopy.min(header.total.saturating_sub(FINAL_BYTES)),
            began_at,
            offset: offset.min(header.total.saturating_sub(FINAL_BYTES)),
            hash: Xxh3::new(),
        }
    }

    /// The device has stopped; what it is now is what the rest of the stream says.
    pub(super) fn enter_stop_copy(&mut self, last: &FinalBlock) {
        self.phase = Phase::StopCopy(last.encode());
    }

    pub(super) fn disable(&mut self) {
        self.phase = Phase::Disabled;
    }

    /// Bytes still to come, the final block included.
    pub(super) fn remaining(&self) -> u64 {
        self.total.saturating_sub(self.offset)
    }

    /// End of what can be read while in PRE_COPY, `position` being the engine's.
    fn ready(&self, position: u64) -> u64 {
        let most = (self.total - FINAL_BYTES).saturating_sub(self.initial) / 2;
        self.initial + position.saturating_sub(self.began_at).saturating_mul(READY_PER_WRITE).min(most)
    }

    /// The next `out.len()` bytes of the stream.
    fn produce(&mut self, out: &mut [u8]) {
        let final_at = self.total - FINAL_BYTES;
        let mut done = 0;
        while done < out.len() {
            let at = self.offset;
            let rest = &mut out[done..];
            let end = if at < HEADER_BYTES {
                HEADER_BYTES
            } else if at < final_at {
                final_at
            } else if at < self.total {
                self.total
            } else {
                u64::MAX
            };
            let take = usize::try_from(end - at).unwrap_or(usize::MAX).min(rest.len());
            let piece = &mut rest[..take];
            if at < HEADER_BYTES {
                piece.copy_from_slice(&self.header[at as usize..at as usize + take]);
                self.hash.update(piece);
            } else if at < final_at {
                fill(self.filler_seed, at - HEADER_BYTES, piece);
                self.hash.update(piece);
            } else if at < self.total {
                if at == final_at {
                    self.seal();
                }
                if let Phase::StopCopy(block) = &self.phase {
                    let from = (at - final_at) as usize;
                    piece.copy_from_slice(&block[from..from + take]);
                }
            } else {
                fill(self.filler_seed, at, piece);
            }
            self.offset += take as u64;
            done += take;
        }
    }

    /// Puts the checksum over everything before it into the final block.
    fn seal(&mut self) {
        if let Phase::StopCopy(block) = &mut self.phase {
            self.hash.update(&block[..SUM_AT]);
            put64(block, SUM_AT, self.hash.digest());
        }
    }
}

/// The save fd.
pub(super) struct SaveStream {
    pub device: String,
    pub session: Arc<Mutex<Save>>,
    pub shared: Arc<Shared>,
    pub faults: Arc<DeviceFaults>,
    pub pace: Option<Pace>,
}

impl SaveStream {
    fn failed(&self, operation: &str, errno: i32, meaning: &str) -> HelperError {
        let error = std::io::Error::from_raw_os_error(self.faults.errno(errno));
        HelperError::os(stream_code(operation), operation, &error, meaning).device(&self.device)
    }
}

impl StateStream for SaveStream {
    fn read(&mut self, buf: &mut [u8]) -> Result<StreamRead> {
        let want = Pace::wait_for(&mut self.pace, buf.len() as u64);
        let mut session = lock(&self.session);
        let (limit, drained) = match session.phase {
            Phase::Disabled => {
                drop(session);
                return Err(self.failed(
                    "read",
                    libc::ENODEV,
                    "the device has left the session this stream belongs to",
                ));
            }
            Phase::PreCopy => {
                let zero = self.faults.has(&SimFault::PrecopyEndsWithZero);
                let drained = if zero { StreamRead::End } else { StreamRead::Drained };
                (session.ready(self.shared.position()), drained)
            }
            Phase::StopCopy(_) if self.faults.has(&SimFault::BlockedStream) => (session.offset, StreamRead::Drained),
            Phase::StopCopy(_) if self.faults.has(&SimFault::EndlessStream) => (u64::MAX, StreamRead::End),
            Phase::StopCopy(_) => (session.total, StreamRead::End),
        };
        let (limit, drained) = match self.faults.short_stream() {
            Some(bytes) if session.offset >= bytes => (limit.min(bytes), StreamRead::End),
            Some(bytes) => (limit.min(bytes), drained),
            None => (limit, drained),
        };
        let most = self.faults.short_reads().unwrap_or(u64::MAX);
        let length = limit.saturating_sub(session.offset).min(want).min(most);
        if length == 0 && !buf.is_empty() {
            return Ok(drained);
        }
        let length = length as usize;
        session.produce(&mut buf[..length]);
        self.faults.note_read(session.offset);
        if let Some(pace) = &mut self.pace {
            pace.issued(length as u64);
        }
        Ok(StreamRead::Data(length))
    }

    fn write_all(&mut self, _buf: &[u8]) -> Result<()> {
        Err(self.failed("write", libc::EBADF, "a save stream is read only"))
    }

    fn precopy_info(&mut self) -> Result<PrecopyInfo> {
        let session = lock(&self.session);
        let errno = match session.phase {
            Phase::PreCopy => {
                let initial_bytes = session.initial.saturating_sub(session.offset);
                let ready = session.ready(self.shared.position());
                let dirty_bytes = ready.saturating_sub(session.offset.max(session.initial));
                return Ok(PrecopyInfo { initial_bytes, dirty_bytes });
            }
            Phase::StopCopy(_) => libc::EINVAL,
            Phase::Disabled => libc::ENODEV,
        };
        drop(session);
        Err(self.failed("VFIO_MIG_GET_PRECOPY_INFO", errno, "asked outside PRE_COPY"))
    }
}

impl Pace {
    /// Sleeps until some of `want` bytes may pass; how many may. Without a rate, all of them at once.
    pub(super) fn wait_for(pace: &mut Option<Pace>, want: u64) -> u64 {
        let Some(pace) = pace else { return want };
        if want == 0 {
            return 0;
        }
        loop {
            let now = Instant::now();
            match pace.due(now) {
                0 => thread::sleep(pace.until_next(now).max(SHORTEST_NAP)),
                due => return due.min(want),
            }
        }
    }
}
