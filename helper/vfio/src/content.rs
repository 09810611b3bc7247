//! What is known of a region's content without reading it: reading or zeroing a page that nobody wrote costs as much as
//! any other, and a fault would give it memory.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{SeekFrom, fstat, fstatfs, seek};

/// Smallest piece that is told apart, in bytes.
const UNIT: u64 = 4096;
/// `f_type` of tmpfs, which memfds without huge pages are of.
const TMPFS: i64 = 0x0102_1994;

pub(crate) struct Content {
    /// Holes of the file read as zeros, and what is written to memory is a hole no more at once.
    has_holes: bool,
    /// New memory: every unit that was not stored here is zero.
    fresh: AtomicBool,
    stored: Vec<AtomicU64>,
}

impl Content {
    pub(crate) fn new(fd: Option<BorrowedFd<'_>>, bytes: u64, fresh: bool) -> Self {
        let on_tmpfs = |fd: BorrowedFd<'_>| fstatfs(fd).is_ok_and(|found| found.f_type == TMPFS);
        let words = if fresh { bytes.div_ceil(UNIT).div_ceil(64) } else { 0 };
        Self {
            has_holes: fd.is_some_and(on_tmpfs),
            fresh: AtomicBool::new(fresh),
            stored: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Somebody else may write, or has written: what was not stored here may be anything.
    pub(crate) fn forget(&self) {
        self.fresh.store(false, Ordering::Release);
    }

    /// Before `offset .. offset + bytes` is written here.
    pub(crate) fn note(&self, offset: u64, bytes: u64) {
        let (mut unit, end) = (offset / UNIT, (offset + bytes).div_ceil(UNIT));
        while unit < end {
            let span = (64 - unit % 64).min(end - unit);
            let mask = if span == 64 { u64::MAX } else { ((1 << span) - 1) << (unit % 64) };
            if let Some(word) = self.stored.get((unit / 64) as usize) {
                word.fetch_or(mask, Ordering::Relaxed);
            }
            unit += span;
        }
    }

    /// The first offset from `from` on, at most `end`, that may hold something but zeros.
    pub(crate) fn next_stored(&self, fd: Option<BorrowedFd<'_>>, from: u64, end: u64) -> u64 {
        if !self.fresh.load(Ordering::Acquire) {
            return self.next_data(fd, from, end);
        }
        let (mut unit, last) = (from / UNIT, end.div_ceil(UNIT));
        while unit < last {
            let word = self.stored.get((unit / 64) as usize).map_or(u64::MAX, |word| word.load(Ordering::Relaxed));
            let word = word & (u64::MAX << (unit % 64));
            if word != 0 {
                return ((unit / 64 * 64 + u64::from(word.trailing_zeros())) * UNIT).clamp(from, end);
            }
            unit = (unit / 64 + 1) * 64;
        }
        end
    }

    /// The same by the file's holes alone, which hold for any writer.
    pub(crate) fn next_data(&self, fd: Option<BorrowedFd<'_>>, from: u64, end: u64) -> u64 {
        let Some(fd) = fd.filter(|_| self.has_holes) else { return from };
        match seek(fd, SeekFrom::Data(from)) {
            Ok(at) => at.clamp(from, end),
            // Nothing but a hole up to the end of the file.
            Err(rustix::io::Errno::NXIO) => end,
            Err(_) => from,
        }
    }

    /// Whether asking for holes may find some.
    pub(crate) fn is_sparse(&self, fd: Option<BorrowedFd<'_>>, bytes: u64) -> bool {
        let holes = |fd| fstat(fd).is_ok_and(|found| u64::try_from(found.st_blocks).unwrap_or(0) * 512 < bytes);
        self.has_holes && fd.is_some_and(holes)
    }
}
