//! Pages: from memory into frames, and back. Runs of dirty pages become frames of up to 512 KiB; zero pages become
//! runs without payload, never nothing, because the destination's page may hold older data.

use std::ops::Range;
use std::sync::atomic::Ordering;

use vm_memory::bitmap::BitmapSlice;
use vm_memory::{Bytes, VolatileSlice};

use crate::area::Area;
use crate::error::{FailureKind, HelperError, Result};
use crate::memory::{Memory, Region};
use crate::wire::{Frame, Kind, UNIT};

pub use crate::streams::spread::{DirtyWalk, Watch, send_pages};

/// Longest run of zeros in one frame, in bytes. The destination's answer to anything else waits for it, up to about
/// 15 ms.
const LONGEST_ZEROS: u64 = 64 << 20;
/// Zeroed between two looks at where something may be, in bytes.
const ZEROED_AT_ONCE: u64 = 64 * UNIT;
const UNIT_BYTES: usize = UNIT as usize;
/// Where a page is looked at first: most pages that hold something show it here.
const SAMPLES: [usize; 3] = [0, 2048, 4088];

/// What pages cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes of memory sent as they are.
    pub page_bytes: u64,
    /// Bytes of memory known to be zero.
    pub zero_bytes: u64,
}

impl Carried {
    /// Bytes of memory covered either way.
    pub fn covered(self) -> u64 {
        self.page_bytes + self.zero_bytes
    }

    pub fn add(&mut self, other: Self) {
        self.page_bytes += other.page_bytes;
        self.zero_bytes += other.zero_bytes;
    }
}

/// Where frames of pages are staged: the link itself or a stream beside it.
pub trait Staging {
    /// See [`crate::wire::outbox::Outbox::stage`]; sends the batch if it is full.
    ///
    /// # Errors
    /// The socket's.
    fn stage(
        &mut self,
        frame: Frame,
        room: usize,
        empty_too: bool,
        fill: impl FnOnce(&mut [u8]) -> Result<usize>,
    ) -> Result<usize>;
}

/// Turns dirty areas into frames of one stream.
pub struct PageWriter<'a, S: Staging> {
    pub to: &'a mut S,
    memory: &'a Memory,
    carried: Carried,
    /// Zero run not sent yet: it may grow over several pieces.
    zeros: Area,
    /// There are holes, which are not read: that would give them memory.
    sparse: bool,
}

impl<'a, S: Staging> PageWriter<'a, S> {
    pub fn new(to: &'a mut S, memory: &'a Memory) -> Self {
        Self { to, memory, carried: Carried::default(), zeros: Area { iova: 0, bytes: 0 }, sparse: memory.is_sparse() }
    }

    /// What went through since this was asked last.
    pub fn take(&mut self) -> Carried {
        std::mem::take(&mut self.carried)
    }

    /// Stages these pieces, each of at most [`crate::wire::MAX_DATA`] and in one region.
    ///
    /// # Errors
    /// Those of staging.
    pub fn batch(&mut self, pieces: &[Area]) -> Result<()> {
        pieces.iter().try_for_each(|piece| self.piece(*piece))
    }

    fn piece(&mut self, piece: Area) -> Result<()> {
        let Some(slice) = self.memory.slice(piece.iova, piece.bytes) else {
            return Err(HelperError::new("helper/bug", format!("dirty page {:#x} outside the memory", piece.iova)));
        };
        // A run of units that hold something, not sent yet.
        let mut held = Area { iova: piece.iova, bytes: 0 };
        let mut at = self.after_hole(piece.iova, piece.end())?;
        held.iova = at;
        while at < piece.end() {
            if is_zero(&slice, (at - piece.iova) as usize) {
                self.send(&slice, piece, held)?;
                self.zero(Area { iova: at, bytes: UNIT })?;
                at = self.after_hole(at + UNIT, piece.end())?;
                held = Area { iova: at, bytes: 0 };
            } else {
                held.bytes += UNIT;
                at += UNIT;
            }
        }
        self.send(&slice, piece, held)
    }

    /// Where something may be, from `at` on; what is before it is a hole. A write that fills a hole after this look is
    /// a write after the trackers' last read like any other.
    fn after_hole(&mut self, at: u64, end: u64) -> Result<u64> {
        let region = self.memory.region_at(at).filter(|_| self.sparse && at < end);
        let Some(region) = region else { return Ok(at) };
        // Whole units: what is in a hole is one as a whole, because the kernel's pages are no smaller.
        let data = region.next_data(at, end) / UNIT * UNIT;
        if data <= at {
            return Ok(at);
        }
        self.zero(Area { iova: at, bytes: data - at })?;
        Ok(data)
    }

    fn send<B: BitmapSlice>(&mut self, slice: &VolatileSlice<'_, B>, piece: Area, run: Area) -> Result<()> {
        if run.bytes == 0 {
            return Ok(());
        }
        let part = slice
            .subslice((run.iova - piece.iova) as usize, run.bytes as usize)
            .map_err(|error| HelperError::new("helper/bug", error.to_string()))?;
        let frame = Frame { at: run.iova, ..Frame::plain(Kind::Pages) };
        self.to.stage(frame, run.bytes as usize, true, |into| Ok(part.copy_to(into)))?;
        self.carried.page_bytes += run.bytes;
        Ok(())
    }

    fn zero(&mut self, run: Area) -> Result<()> {
        let grown = self.zeros.bytes + run.bytes;
        if self.zeros.bytes == 0 || self.zeros.end() != run.iova || grown > LONGEST_ZEROS || !self.joins(run.iova) {
            self.flush_zeros()?;
            self.zeros = Area { iova: run.iova, bytes: 0 };
        }
        self.zeros.bytes += run.bytes;
        self.carried.zero_bytes += run.bytes;
        Ok(())
    }

    /// Whether the pending zero run and `iova` lie in one region: the receiver takes a frame for one region.
    fn joins(&self, iova: u64) -> bool {
        self.memory.region_at(self.zeros.iova).is_some_and(|region| iova < region.area().end())
    }

    /// Stages the zero run that was held back for growing.
    ///
    /// # Errors
    /// Those of staging.
    pub fn flush_zeros(&mut self) -> Result<()> {
        if self.zeros.bytes > 0 {
            let count = u32::try_from(self.zeros.bytes / UNIT).unwrap_or(u32::MAX);
            let frame = Frame { at: self.zeros.iova, count, ..Frame::plain(Kind::Zeros) };
            self.to.stage(frame, 0, true, |_| Ok(0))?;
            self.zeros.bytes = 0;
        }
        Ok(())
    }
}

/// Whether the unit at `offset` holds only zeros. A device may write to it while we look: then it is dirty again and
/// comes in a later round.
fn is_zero<B: BitmapSlice>(slice: &VolatileSlice<'_, B>, offset: usize) -> bool {
    let sampled =
        SAMPLES.iter().all(|at| slice.load::<u64>(offset + at, Ordering::Relaxed).is_ok_and(|word| word == 0));
    if !sampled {
        return false;
    }
    let mut copy = [0u8; UNIT_BYTES];
    slice.read_slice(&mut copy, offset).is_ok() && copy == [0; UNIT_BYTES]
}

/// Writes what a page frame carries.
///
/// # Errors
/// `wire/outside-memory` when the range is not wholly inside one region of ours, or not aligned.
pub fn store_pages(memory: &Memory, at: u64, payload: &[u8]) -> Result<Carried> {
    let bytes = payload.len() as u64;
    let (region, slice) = target(memory, at, bytes)?;
    region.note_stored(at, bytes);
    slice.copy_from(payload);
    Ok(Carried { page_bytes: bytes, zero_bytes: 0 })
}

/// Zeroes what a zero frame names. Pages that are zero already are only read, and those that nobody wrote since the
/// memory was made are not even that.
///
/// # Errors
/// As [`store_pages`].
pub fn store_zeros(memory: &Memory, at: u64, count: u32) -> Result<Carried> {
    let bytes = u64::from(count) * UNIT;
    let (region, slice) = target(memory, at, bytes)?;
    let end = at + bytes;
    let mut next = region.next_stored(at, end) / UNIT * UNIT;
    while next < end {
        let until = next + ZEROED_AT_ONCE.min(end - next);
        zero_units(&slice, (next - at) as usize..(until - at) as usize)?;
        next = (region.next_stored(until, end) / UNIT * UNIT).max(until);
    }
    Ok(Carried { page_bytes: 0, zero_bytes: bytes })
}

fn zero_units<B: BitmapSlice>(slice: &VolatileSlice<'_, B>, range: Range<usize>) -> Result<()> {
    let zeros = [0u8; UNIT_BYTES];
    for offset in range.step_by(UNIT_BYTES) {
        if !is_zero(slice, offset) {
            slice
                .write_slice(&zeros, offset)
                .map_err(|error| HelperError::new("helper/bug", format!("zeroing at {offset:#x}: {error}")))?;
        }
    }
    Ok(())
}

fn target(memory: &Memory, at: u64, bytes: u64) -> Result<(&Region, VolatileSlice<'_>)> {
    let aligned = at % UNIT == 0 && bytes % UNIT == 0 && bytes > 0;
    let region = memory.region_at(at).filter(|_| aligned);
    region.and_then(|region| Some((region, region.slice(at, bytes)?))).ok_or_else(|| {
        HelperError::of(
            FailureKind::Wire,
            "wire/outside-memory",
            format!("the source sent {bytes} bytes for IOVA {at:#x}, which this workload's memory does not hold there"),
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::memory::Backing;

    fn memory(areas: &[(u64, u64)]) -> Memory {
        let backing = Backing::Memfd { huge_page_bytes: None };
        let regions = areas
            .iter()
            .map(|(iova, bytes)| Region::open("m", Area { iova: *iova, bytes: *bytes }, &backing).expect("memfd"));
        Memory::new(4096, regions.collect()).expect("layout")
    }

    proptest! {
        #[test]
        fn no_frame_writes_outside_the_memory(at in 0u64..0x9000, bytes in 0usize..0x5000, count in 0u32..6) {
            let memory = memory(&[(0x1000, 0x3000), (0x5000, 0x2000)]);
            let inside = |bytes: u64| {
                at % 4096 == 0 && bytes > 0 && bytes % 4096 == 0
                    && [(0x1000, 0x4000), (0x5000, 0x7000)].iter().any(|(from, to)| at >= *from && at + bytes <= *to)
            };
            prop_assert_eq!(store_pages(&memory, at, &vec![1; bytes]).is_ok(), inside(bytes as u64));
            prop_assert_eq!(store_zeros(&memory, at, count).is_ok(), inside(u64::from(count) * 4096));
            prop_assert!(store_zeros(&memory, u64::MAX - 4095, u32::MAX).is_err());
        }
    }

    /// Keeps the frames.
    #[derive(Default)]
    struct Kept(Vec<(Kind, u64, u64)>);

    impl Staging for Kept {
        fn stage(
            &mut self,
            frame: Frame,
            room: usize,
            _empty_too: bool,
            fill: impl FnOnce(&mut [u8]) -> Result<usize>,
        ) -> Result<usize> {
            let length = fill(&mut vec![0; room])?;
            let bytes = if frame.kind == Kind::Zeros { u64::from(frame.count) * UNIT } else { length as u64 };
            self.0.push((frame.kind, frame.at, bytes));
            Ok(length)
        }
    }

    #[test]
    fn a_run_of_zeros_is_cut_and_holes_get_no_memory() {
        let memory = memory(&[(0, 1 << 40)]);
        memory.slice(100 * LONGEST_ZEROS + 0x5000, 1).expect("inside").copy_from(&[1u8]);
        let piece = |at| Area { iova: at, bytes: 0x8_0000 };
        let mut kept = Kept::default();
        let mut writer = PageWriter::new(&mut kept, &memory);
        let pieces: Vec<Area> = (99 * LONGEST_ZEROS..102 * LONGEST_ZEROS).step_by(0x8_0000).map(piece).collect();
        writer.batch(&pieces).expect("staged");
        writer.flush_zeros().expect("staged");
        let carried = writer.take();
        let at = 100 * LONGEST_ZEROS;
        assert_eq!(kept.0[0], (Kind::Zeros, at - LONGEST_ZEROS, LONGEST_ZEROS));
        assert!(kept.0.contains(&(Kind::Pages, at + 0x5000, UNIT)));
        assert!(kept.0.iter().all(|(_, _, bytes)| *bytes <= LONGEST_ZEROS));
        assert_eq!(kept.0.iter().map(|(_, _, bytes)| bytes).sum::<u64>(), 3 * LONGEST_ZEROS);
        assert_eq!((carried.page_bytes, carried.zero_bytes), (UNIT, 3 * LONGEST_ZEROS - UNIT));
        let blocks = rustix::fs::fstat(memory.regions()[0].descriptor().expect("memfd")).expect("fstat").st_blocks;
        assert!(blocks <= 16, "{blocks} blocks of 512 bytes");
    }

    #[test]
    fn a_zero_frame_for_pages_nobody_stored_costs_nothing() {
        let memory = memory(&[(0, 1 << 44)]);
        store_pages(&memory, 0x7000, &[1; 0x1000]).expect("inside");
        store_zeros(&memory, 0, u32::MAX).expect("inside");
        let mut read = [1u8; 1];
        memory.slice(0x7000, 1).expect("inside").copy_to(&mut read);
        assert_eq!(read, [0]);
        let blocks = rustix::fs::fstat(memory.regions()[0].descriptor().expect("memfd")).expect("fstat").st_blocks;
        assert!(blocks <= 64 * 8, "{blocks} blocks of 512 bytes");
    }

    #[test]
    fn a_zero_frame_clears_what_was_there() {
        let memory = memory(&[(0, 0x3000)]);
        memory.forget_content();
        let slice = memory.slice(0, 0x3000).expect("all");
        slice.copy_from(&[9u8; 0x3000]);
        // Only a byte that no sample looks at.
        slice.write_slice(&[0; 0x1000], 0x1000).expect("inside");
        slice.write_slice(&[1], 0x1000 + 77).expect("inside");
        store_zeros(&memory, 0x1000, 1).expect("inside");
        let mut read = [0u8; 0x3000];
        slice.copy_to(&mut read);
        assert!(read[0x1000..0x2000] == [0; 0x1000] && read[0xfff] == 9 && read[0x2000] == 9);
    }
}
