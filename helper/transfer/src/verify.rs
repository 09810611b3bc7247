//! Full verification: both sides hash all of their memory while nothing runs, block by block and on several cores,
//! and the source compares. A block that differs is hashed again page by page, to name pages.

use std::num::NonZero;
use std::thread;
use std::time::Instant;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::area::Area;
use crate::error::{FailureKind, HelperError, Result};
use crate::memory::Memory;
use crate::message::Verified;
use crate::message::num::Iova;
use crate::streams::link::{Link, Wait};
use crate::wire::payload::{HashRequest, to_json};
use crate::wire::unexpected;
use crate::wire::{Frame, Kind, UNIT, u64_at};

/// One hash stands for this much memory, in bytes.
const BLOCK: u64 = 4 * 1024 * 1024;
/// Blocks hashed between two looks at the clock, and per frame: the peer sees that something happens.
const BATCH: usize = 64;
/// Copied out at once; what is hashed is the copy.
const PIECE: usize = 128 * 1024;
const MOST_THREADS: usize = 4;
/// Pages named, at most.
const NAMED: usize = 8;

/// All memory in blocks, ascending; a region's last one may be shorter.
fn blocks(memory: &Memory) -> Vec<Area> {
    let split = |area: Area| {
        (0..area.bytes.div_ceil(BLOCK)).map(move |index| {
            let iova = area.iova + index * BLOCK;
            Area { iova, bytes: (area.end() - iova).min(BLOCK) }
        })
    };
    memory.areas().into_iter().flat_map(split).collect()
}

fn hash_area(memory: &Memory, area: Area, piece: &mut [u8]) -> u64 {
    let mut hash = 0;
    let mut at = area.iova;
    while at < area.end() {
        let bytes = (area.end() - at).min(piece.len() as u64);
        let into = &mut piece[..bytes as usize];
        if let Some(slice) = memory.slice(at, bytes) {
            slice.copy_to(into);
        }
        hash = xxh3_64_with_seed(into, hash);
        at += bytes;
    }
    hash
}

fn hash_areas(memory: &Memory, areas: &[Area]) -> Vec<u64> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    let share = areas.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let hashing: Vec<_> = areas
            .chunks(share)
            .map(|part| {
                scope.spawn(move || {
                    let mut piece = vec![0; PIECE];
                    part.iter().map(|area| hash_area(memory, *area, &mut piece)).collect::<Vec<_>>()
                })
            })
            .collect();
        // A thread that panicked gives no hashes; the count then differs and the comparison fails.
        hashing.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

fn units(area: Area) -> Vec<Area> {
    (area.iova..area.end()).step_by(UNIT as usize).map(|iova| Area { iova, bytes: UNIT }).collect()
}

/// The destination's part: hashes what was asked for and sends the hashes as they come.
///
/// # Errors
/// `wire/outside-memory` for pages we do not have; the link's.
pub fn answer(link: &mut Link, memory: &Memory, ask: HashRequest) -> Result<()> {
    let areas = match ask {
        HashRequest::Blocks => blocks(memory),
        HashRequest::Pages { iova, bytes } => {
            let known = bytes <= BLOCK && bytes % UNIT == 0 && iova % UNIT == 0 && memory.slice(iova, bytes).is_some();
            if !known {
                return Err(HelperError::of(
                    FailureKind::Wire,
                    "wire/outside-memory",
                    format!("asked to hash {iova:#x}+{bytes:#x}"),
                ));
            }
            units(Area { iova, bytes })
        }
    };
    let batch = if matches!(ask, HashRequest::Blocks) { BATCH } else { areas.len() };
    for part in areas.chunks(batch.max(1)) {
        link.patience().check()?;
        let bytes: Vec<u8> = hash_areas(memory, part).into_iter().flat_map(u64::to_le_bytes).collect();
        link.send(Frame::plain(Kind::Hashes), &bytes)?;
    }
    Ok(())
}

/// The source's part: asks, hashes its own meanwhile, compares.
///
/// # Errors
/// The link's and those of its patience. A mismatch is no error here: the reply names it.
pub fn compare(link: &mut Link, memory: &Memory) -> Result<Verified> {
    let areas = blocks(memory);
    link.send(Frame::plain(Kind::Verify), &to_json(&HashRequest::Blocks)?)?;
    let mut ours = Vec::with_capacity(areas.len());
    for part in areas.chunks(BATCH) {
        link.patience().check()?;
        ours.extend(hash_areas(memory, part));
    }
    let theirs = receive_hashes(link, areas.len())?;
    let mut mismatches = Vec::new();
    let differ = areas.iter().enumerate().filter(|(index, _)| ours.get(*index) != theirs.get(*index));
    for (_, area) in differ {
        if mismatches.len() >= NAMED {
            break;
        }
        link.send(Frame::plain(Kind::Verify), &to_json(&HashRequest::Pages { iova: area.iova, bytes: area.bytes })?)?;
        let pages = units(*area);
        let ours = hash_areas(memory, &pages);
        let theirs = receive_hashes(link, pages.len())?;
        let page_size = memory.page_size();
        for (page, _) in pages.iter().zip(ours.iter().zip(&theirs)).filter(|(_, (ours, theirs))| ours != theirs) {
            let iova = Iova(page.iova - page.iova % page_size);
            if mismatches.len() < NAMED && mismatches.last() != Some(&iova) {
                mismatches.push(iova);
            }
        }
    }
    Ok(Verified { pages: memory.bytes() / memory.page_size(), mismatches })
}

fn receive_hashes(link: &mut Link, count: usize) -> Result<Vec<u64>> {
    let mut hashes = Vec::with_capacity(count);
    while hashes.len() < count {
        let (frame, payload) = link.expect(Kind::Hashes, Wait::Due)?;
        if payload.is_empty() || payload.len() % 8 != 0 || hashes.len() + payload.len() / 8 > count {
            return Err(unexpected(frame, Kind::Hashes));
        }
        hashes.extend((0..payload.len()).step_by(8).map(|at| u64_at(payload, at)));
    }
    Ok(hashes)
}

/// Bytes per second at which this host hashes this memory, from a sample of it; for the estimate of a cutover.
pub fn measure_hash_rate(memory: &Memory) -> u64 {
    let mut sample = blocks(memory);
    sample.truncate(BATCH / 4);
    let bytes: u64 = sample.iter().map(|area| area.bytes).sum();
    let began = Instant::now();
    let hashes = hash_areas(memory, &sample);
    let took = began.elapsed().as_secs_f64().max(1e-6);
    if hashes.len() == sample.len() { (bytes as f64 / took) as u64 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Backing, Region};
    use vm_memory::Bytes;

    #[test]
    fn one_changed_byte_changes_its_block_and_no_other() {
        let backing = Backing::Memfd { huge_page_bytes: None };
        let open = |iova, bytes| Region::open("m", Area { iova, bytes }, &backing).expect("memfd");
        let memory = Memory::new(4096, vec![open(0, 2 * BLOCK + 4096), open(0x1000_0000, 8192)]).expect("layout");
        let areas = blocks(&memory);
        assert_eq!(areas.iter().map(|area| area.bytes).collect::<Vec<_>>(), [BLOCK, BLOCK, 4096, 8192]);
        let before = hash_areas(&memory, &areas);
        memory.slice(0x1000_0000, 8192).expect("inside").write_slice(&[1], 8191).expect("inside");
        let after = hash_areas(&memory, &areas);
        assert_eq!(before[..3], after[..3]);
        assert_ne!(before[3], after[3]);
        assert!(measure_hash_rate(&memory) > 1);
    }
}
