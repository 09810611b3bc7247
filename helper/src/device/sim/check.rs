//! The checker: replays what simulated devices wrote and compares every page of a memory with it, byte for byte.

use super::SimDevice;
use super::engine::Shared;
use super::fill::Fill;
use super::program::Program;
use super::stamp::{PAGE_BYTES, SLOT_BYTES, Stamp};
use crate::dirty::Area;
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

struct Replay {
    name: String,
    program: Program,
    position: u64,
}

/// Compares `memory` with what `devices` must have written to it: the last write of each page, stamp and filler. In regions whose
/// initial content is known (`initial`, by the region's name), every byte no device has written must still be that;
/// in the others such bytes are not looked at.
///
/// The engines stand still meanwhile; device states do not change.
///
/// # Errors
/// `sim/not-programmed`: a device's engine is off (never loaded, or reset), so there is nothing to hold memory
/// against. `sim/slot`: two devices share a slot.
pub fn check(
    devices: &mut [&mut SimDevice],
    memory: &Memory,
    initial: &dyn Fn(&str) -> Option<Fill>,
) -> Result<CheckReport> {
    let _frozen = Frozen::new(devices);
    let replays = replays(devices)?;
    let mut report = CheckReport {
        pages: 0,
        writes: replays.iter().map(|replay| replay.position).sum(),
        lost_pages: 0,
        lost: Vec::new(),
    };
    let piece = (MAX_ENTRIES / (replays.len() as u64).max(1)) * PAGE_BYTES;
    for region in memory.regions() {
        let area = region.area();
        for start in (area.iova..area.end()).step_by(piece as usize) {
            let piece = Area { iova: start, bytes: piece.min(area.end() - start) };
            compare(&replays, memory, piece, initial(region.name()), &mut report)?;
        }
    }
    Ok(report)
}

/// Engines that stand still as long as this lives.
struct Frozen(Vec<std::sync::Arc<Shared>>);

impl Frozen {
    fn new(devices: &[&mut SimDevice]) -> Self {
        let engines: Vec<_> = devices.iter().map(|device| std::sync::Arc::clone(device.engine.shared())).collect();
        engines.iter().for_each(|engine| engine.freeze());
        Self(engines)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.iter().for_each(|engine| engine.thaw());
    }
}

fn replays(devices: &[&mut SimDevice]) -> Result<Vec<Replay>> {
    let mut replays: Vec<Replay> = Vec::new();
    for device in devices {
        let name = device.name.clone();
        let Some((program, position)) = device.progress() else {
            return Err(HelperError::new(
                "sim/not-programmed",
                "the device was never programmed or has been reset: nothing says what it wrote",
            )
            .device(name));
        };
        if let Some(other) = replays.iter().find(|other| other.program.slot == program.slot) {
            return Err(HelperError::new(
                "sim/slot",
                format!("it writes to the same bytes of each page as {}", other.name),
            )
            .device(name));
        }
        replays.push(Replay { name, program, position });
    }
    Ok(replays)
}

/// The last write to each page of `piece` (0: none), by page index within `piece`; empty when the device's window
/// lies elsewhere.
fn last_writes(replay: &Replay, piece: Area) -> Vec<u64> {
    let window = replay.program.window;
    if window.end() <= piece.iova || piece.end() <= window.iova {
        return Vec::new();
    }
    let mut last = vec![0; (piece.bytes / PAGE_BYTES) as usize];
    // Page index in the window plus this (modulo 2^64) is the page index in the piece.
    let shift = (window.iova / PAGE_BYTES).wrapping_sub(piece.iova / PAGE_BYTES);
    for sequence in 1..=replay.position {
        let index = replay.program.page_index(sequence).wrapping_add(shift);
        if let Some(entry) = usize::try_from(index).ok().and_then(|index| last.get_mut(index)) {
            *entry = sequence;
        }
    }
    last
}

fn compare(
    replays: &[Replay],
    memory: &Memory,
    piece: Area,
    initial: Option<Fill>,
    report: &mut CheckReport,
) -> Result<()> {
    let last: Vec<Vec<u64>> = replays.iter().map(|replay| last_writes(replay, piece)).collect();
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
            .ok_or_else(|| HelperError::new("sim/check", format!("{iova:#x} lies in no region")))?;
        slice.copy_to(&mut found);
        match initial {
            Some(initial) => initial.page(iova, &mut expected),
            None => expected.copy_from_slice(&found),
        }
        for (replay, sequence) in replays.iter().zip(&writes) {
            if let Some(sequence) = sequence {
                let stamp = Stamp { seed: replay.program.seed, page: iova / PAGE_BYTES, sequence: *sequence };
                let at = replay.program.slot_offset() as usize;
                expected[at..at + SLOT_BYTES].copy_from_slice(&stamp.encode());
            }
        }
        if found != expected {
            report.lost_pages += 1;
            if report.lost.len() < MAX_NAMED {
                report.lost.extend(name_loss(replays, &writes, iova, &found, &expected));
            }
        }
    }
    Ok(())
}

/// The first slot that differs, a device's own before bytes nobody wrote.
fn name_loss(replays: &[Replay], writes: &[Option<u64>], iova: u64, found: &[u8], expected: &[u8]) -> Option<Lost> {
    let slots = found.chunks(SLOT_BYTES).zip(expected.chunks(SLOT_BYTES)).enumerate();
    let mut differing: Vec<(usize, &[u8])> =
        slots.filter(|(_, (a, b))| a != b).map(|(slot, (a, _))| (slot, a)).collect();
    let owner = |slot: usize| replays.iter().position(|replay| usize::from(replay.program.slot) == slot);
    differing.sort_by_key(|(slot, _)| owner(*slot).is_none());
    let (slot, bytes) = *differing.first()?;
    let stamp = Stamp::decode(bytes);
    // Bytes of a slot whose device has not written here, and has not left a stamp either, are nobody's.
    let own =
        owner(slot).and_then(|index| Some((replays.get(index)?, *writes.get(index)?))).filter(|(replay, sequence)| {
            sequence.is_some() || stamp.is_some_and(|stamp| stamp.seed == replay.program.seed)
        });
    let expected = own.and_then(|(_, sequence)| sequence).unwrap_or(0);
    let here = stamp.filter(|stamp| stamp.page == iova / PAGE_BYTES);
    let mismatch = match (stamp, own) {
        (Some(stamp), _) if stamp.page != iova / PAGE_BYTES => Mismatch::Misplaced,
        (Some(stamp), Some((replay, _))) if stamp.seed == replay.program.seed => {
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
        device: own.map_or_else(|| "initial content".to_owned(), |(replay, _)| replay.name.clone()),
        expected,
        found: here.map_or(0, |stamp| stamp.sequence),
        mismatch,
    })
}
