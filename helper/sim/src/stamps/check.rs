//! The checker: writers what devices wrote and compares every page of a memory with it, byte for byte.

use super::fill::Fill;
use super::program::Program;
use super::stamp::{PAGE_BYTES, SLOT_BYTES, Stamp};
use crate::area::Area;
use crate::dirty::areas::chunks;
use crate::error::{HelperError, Result};
use crate::memory::Memory;

/// Pages named at most.
const MAX_NAMED: usize = 8;
/// Memory the replay may take at a time, in entries of 8 bytes: larger windows are replayed in pieces.
const MAX_ENTRIES: u64 = 4 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Pages (4 KiB) compared.
    pub pages: u64,
    /// Writes replayed, of all devices together.
    pub writes: u64,
    pub lost_pages: u64,
    /// The first of them, at most 8, one entry a page, in ascending order of IOVA.
    pub lost: Vec<Lost>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Of the page.
    pub iova: u64,
    /// Whose bytes differ; for bytes no device has written, "initial content".
    pub device: String,
    /// Sequence of the write that must be there; 0 for initial content.
    pub expected: u64,
    /// Sequence found there; 0 when there is no stamp of this page at all.
    pub found: u64,
    pub mismatch: Mismatch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// An older write of the device, or none: the last one never arrived.
    Stale,
    /// A write the device had not done at the position checked.
    Newer,
    /// The right stamp with other bytes behind it: half a write.
    Torn,
    /// The stamp of another page.
    Misplaced,
    /// The stamp of another device.
    Foreign,
}

/// A device, as far as the checker knows it: all it has written since its program began.
#[derive(Debug, Clone)]
pub struct Writer {
    pub name: String,
    pub program: Program,
    /// Sequence of its last write; 0: it has not written yet.
    pub position: u64,
}

/// Compares `memory` with what `writers` must have written to it: the last write of each page, stamp and filler. In
/// regions whose initial content is known (`initial`, by the region's name), every byte no one has written must still
/// be that; in the others such bytes are not looked at. Writes outside `memory` are not looked at either.
///
/// No one may write meanwhile.
///
/// # Errors
/// `check/program`: a program no one could follow. `check/slot`: two writers share a slot.
pub fn check(writers: &[Writer], memory: &Memory, initial: &dyn Fn(&str) -> Option<Fill>) -> Result<CheckReport> {
    for (index, writer) in writers.iter().enumerate() {
        let named = |error: HelperError| error.device(&writer.name);
        writer.program.validate().map_err(named)?;
        if let Some(other) = writers.iter().take(index).find(|other| other.program.slot == writer.program.slot) {
            let message = format!("it writes to the same bytes of each page as {}", other.name);
            return Err(named(HelperError::new("check/slot", message)));
        }
    }
    let mut report = CheckReport {
        pages: 0,
        writes: writers.iter().fold(0, |sum, writer| sum.saturating_add(writer.position)),
        lost_pages: 0,
        lost: Vec::new(),
    };
    let piece = (MAX_ENTRIES / (writers.len() as u64).max(1)) * PAGE_BYTES;
    for region in memory.regions() {
        for piece in chunks(region.area(), piece) {
            compare(writers, memory, piece, initial(region.name()), &mut report)?;
        }
    }
    Ok(report)
}

/// The last write to each page of `piece` (0: none), by page index within `piece`; empty when the device's window
/// lies elsewhere.
fn last_writes(writer: &Writer, piece: Area) -> Vec<u64> {
    let window = writer.program.window;
    if window.end() <= piece.iova || piece.end() <= window.iova {
        return Vec::new();
    }
    let mut last = vec![0; (piece.bytes / PAGE_BYTES) as usize];
    // Page index in the window plus this (modulo 2^64) is the page index in the piece.
    let shift = (window.iova / PAGE_BYTES).wrapping_sub(piece.iova / PAGE_BYTES);
    for sequence in 1..=writer.position {
        let index = writer.program.page_index(sequence).wrapping_add(shift);
        if let Some(entry) = usize::try_from(index).ok().and_then(|index| last.get_mut(index)) {
            *entry = sequence;
        }
    }
    last
}

fn compare(
    writers: &[Writer],
    memory: &Memory,
    piece: Area,
    initial: Option<Fill>,
    report: &mut CheckReport,
) -> Result<()> {
    let last: Vec<Vec<u64>> = writers.iter().map(|writer| last_writes(writer, piece)).collect();
    let mut found = [0; PAGE_BYTES as usize];
    let mut expected = [0; PAGE_BYTES as usize];
    for index in 0..(piece.bytes / PAGE_BYTES) as usize {
        let iova = piece.iova + index as u64 * PAGE_BYTES;
        let writes: Vec<Option<u64>> =
            last.iter().map(|entries| entries.get(index).copied().filter(|sequence| *sequence != 0)).collect();
        if initial.is_none() && writes.iter().all(Option::is_none) {
            continue;
        }
        report.pages += 1;
        let slice = memory
            .slice(iova, PAGE_BYTES)
            .ok_or_else(|| HelperError::new("check/region", format!("{iova:#x} lies in no region")))?;
        slice.copy_to(&mut found);
        match initial {
            Some(initial) => initial.page(iova, &mut expected),
            None => expected.copy_from_slice(&found),
        }
        for (writer, sequence) in writers.iter().zip(&writes) {
            if let Some(sequence) = sequence {
                let stamp = Stamp { seed: writer.program.seed, page: iova / PAGE_BYTES, sequence: *sequence };
                let at = writer.program.slot_offset() as usize;
                expected[at..at + SLOT_BYTES].copy_from_slice(&stamp.encode());
            }
        }
        if found != expected {
            report.lost_pages += 1;
            if report.lost.len() < MAX_NAMED {
                report.lost.extend(name_loss(writers, &writes, iova, &found, &expected));
            }
        }
    }
    Ok(())
}

/// The first slot that differs, a device's own before bytes no one wrote.
fn name_loss(writers: &[Writer], writes: &[Option<u64>], iova: u64, found: &[u8], expected: &[u8]) -> Option<Lost> {
    let slots = found.chunks(SLOT_BYTES).zip(expected.chunks(SLOT_BYTES)).enumerate();
    let mut differing: Vec<(usize, &[u8])> =
        slots.filter(|(_, (a, b))| a != b).map(|(slot, (a, _))| (slot, a)).collect();
    let owner = |slot: usize| writers.iter().position(|writer| usize::from(writer.program.slot) == slot);
    differing.sort_by_key(|(slot, _)| owner(*slot).is_none());
    let (slot, bytes) = *differing.first()?;
    let stamp = Stamp::decode(bytes);
    // Bytes of a slot whose device has not written here, and has not left a stamp either, are no one's.
    let own =
        owner(slot).and_then(|index| Some((writers.get(index)?, *writes.get(index)?))).filter(|(writer, sequence)| {
            sequence.is_some() || stamp.is_some_and(|stamp| stamp.seed == writer.program.seed)
        });
    let expected = own.and_then(|(_, sequence)| sequence).unwrap_or(0);
    let here = stamp.filter(|stamp| stamp.page == iova / PAGE_BYTES);
    let mismatch = match (stamp, own) {
        (Some(stamp), _) if stamp.page != iova / PAGE_BYTES => Mismatch::Misplaced,
        (Some(stamp), Some((writer, _))) if stamp.seed == writer.program.seed => {
            if stamp.sequence > expected {
                Mismatch::Newer
            } else if stamp.sequence == expected {
                Mismatch::Torn
            } else {
                Mismatch::Stale
            }
        }
        (Some(_), _) => Mismatch::Foreign,
        (None, _) => Mismatch::Stale,
    };
    Some(Lost {
        iova,
        device: own.map_or_else(|| "initial content".to_owned(), |(writer, _)| writer.name.clone()),
        expected,
        found: here.map_or(0, |stamp| stamp.sequence),
        mismatch,
    })
}
