//! Pages: from memory into frames, and back. Runs of dirty pages become frames of up to 512 KiB; zero pages become
//! runs without payload, never nothing, because the destination's page may hold older data.

use std::sync::atomic::Ordering;

use vm_memory::bitmap::BitmapSlice;
use vm_memory::{Bytes, VolatileSlice};

use crate::area::Area;
use crate::error::{FailureKind, HelperError, Result};
use crate::memory::Memory;
use crate::wire::{Frame, Kind, UNIT};

pub use crate::streams::spread::send_pages;

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
}

impl<'a, S: Staging> PageWriter<'a, S> {
    pub fn new(to: &'a mut S, memory: &'a Memory) -> Self {
        Self { to, memory, carried: Carried::default(), zeros: Area { iova: 0, bytes: 0 } }
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
        for at in (piece.iova..piece.end()).step_by(UNIT_BYTES) {
            if is_zero(&slice, (at - piece.iova) as usize) {
                self.send(&slice, piece, held)?;
                held = Area { iova: at + UNIT, bytes: 0 };
                self.zero(at)?;
            } else {
                held.bytes += UNIT;
            }
        }
        self.send(&slice, piece, held)
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

    fn zero(&mut self, iova: u64) -> Result<()> {
        let longest = u64::from(u32::MAX) * UNIT;
        if self.zeros.bytes == 0 || self.zeros.end() != iova || self.zeros.bytes == longest || !self.joins(iova) {
            self.flush_zeros()?;
            self.zeros = Area { iova, bytes: 0 };
        }
        self.zeros.bytes += UNIT;
        self.carried.zero_bytes += UNIT;
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
    let slice = target(memory, at, bytes)?;
    slice.copy_from(payload);
    Ok(Carried { page_bytes: bytes, zero_bytes: 0 })
}

/// Zeroes what a zero frame names. Pages that are zero already are only read.
///
/// # Errors
/// As [`store_pages`].
pub fn store_zeros(memory: &Memory, at: u64, count: u32) -> Result<Carried> {
    let bytes = u64::from(count) * UNIT;
    let slice = target(memory, at, bytes)?;
    let zeros = [0u8; UNIT_BYTES];
    for offset in (0..bytes as usize).step_by(UNIT_BYTES) {
        if !is_zero(&slice, offset) {
            slice
                .write_slice(&zeros, offset)
                .map_err(|error| HelperError::new("helper/bug", format!("zeroing {at:#x}: {error}")))?;
        }
    }
    Ok(Carried { page_bytes: 0, zero_bytes: bytes })
}

fn target(memory: &Memory, at: u64, bytes: u64) -> Result<VolatileSlice<'_>> {
    let aligned = at % UNIT == 0 && bytes % UNIT == 0 && bytes > 0;
    memory.slice(at, bytes).filter(|_| aligned).ok_or_else(|| {
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
    use crate::memory::{Backing, Region};

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

    #[test]
    fn a_zero_frame_clears_what_was_there() {
        let memory = memory(&[(0, 0x3000)]);
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
