//! Sending pages over as many streams as are in use.

use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use crate::area::Area;
use crate::dirty::DirtyBitmap;
use crate::error::{FailureKind, HelperError, Result};
use crate::memory::Memory;
use crate::streams::link::Link;
use crate::streams::outgoing::{Batches, Lane};
use crate::streams::pages::{Carried, PageWriter};
use crate::wire::MAX_DATA;

/// Fewer bytes than this go over the first stream alone: waking others would take longer.
const WORTH_SPREADING: u64 = 2 * MAX_DATA as u64;
/// Between two looks at the destination's ABORT and at the patience, while only the others still send.
const TICK: Duration = Duration::from_millis(20);

/// Asked after every batch of up to 512 KiB with what was sent so far; ends the walk early with `false`.
pub type Watch<'a> = &'a mut dyn FnMut(&Link, Carried) -> Result<bool>;

/// Sends the dirty pages that are left of `walk`, ascending, over the streams in use. Returns what was sent and, when `watch` ended
/// it early, the IOVA from which on nothing was.
///
/// # Errors
/// What broke a stream, the peer's ABORT, those of the link's patience and of `watch`. The link is over then.
pub fn send_pages(
    link: &mut Link,
    memory: &Memory,
    walk: &mut DirtyWalk<'_>,
    watch: Watch<'_>,
) -> Result<(Carried, Option<u64>)> {
    let bytes = walk.bytes;
    let most = if bytes < WORTH_SPREADING { 0 } else { usize::try_from(bytes / MAX_DATA as u64 - 1).unwrap_or(0) };
    // Taken out for as long as their threads have them.
    let (mut lanes, may) = link.take_lanes();
    let sent = spread(link, &mut lanes[..may.min(most)], memory, walk, watch);
    link.put_lanes(lanes);
    let sent = sent?;
    link.announce()?;
    Ok(sent)
}

fn spread(
    link: &mut Link,
    lanes: &mut [Lane],
    memory: &Memory,
    walk: &mut DirtyWalk<'_>,
    watch: Watch<'_>,
) -> Result<(Carried, Option<u64>)> {
    let batches = Batches::new();
    let patience = link.patience().clone();
    thread::scope(|scope| {
        let mut threads = Vec::with_capacity(lanes.len());
        for lane in lanes {
            let (batches, patience) = (&batches, &patience);
            batches.join();
            let spawned = thread::Builder::new().spawn_scoped(scope, move || lane.work(batches, memory, patience));
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    batches.give_up();
                    return Err(HelperError::os_of(
                        FailureKind::Link,
                        "link/thread",
                        "clone",
                        &error,
                        "too many threads for this user",
                    ));
                }
            }
        }
        // A panic must not leave the streams waiting for what no one gives them any more: the scope waits for them.
        let _over = GiveUp(&batches);
        let sent = first_stream(link, memory, walk, watch, &batches, &threads);
        if sent.is_err() {
            batches.give_up();
        }
        let mut panicked = false;
        for thread in threads {
            panicked |= thread.join().is_err();
        }
        if panicked { Err(HelperError::new("helper/bug", "a stream's thread panicked")) } else { sent }
    })
}

/// Walks all of it: what the other streams have no time for goes over the first.
fn first_stream(
    link: &mut Link,
    memory: &Memory,
    walk: &mut DirtyWalk<'_>,
    watch: Watch<'_>,
    batches: &Batches,
    threads: &[ScopedJoinHandle<'_, ()>],
) -> Result<(Carried, Option<u64>)> {
    let mut writer = PageWriter::new(link, memory);
    let mut own = Carried::default();
    let mut stopped_at = None;
    for (batch, turn) in walk.batches.by_ref().zip((0..=threads.len()).cycle()) {
        let end = batch.last().map(Area::end);
        // Its share in any case, so that a cap does not leave the first stream idle; and what the others cannot take.
        let own_batch =
            if turn == 0 { Some(batch) } else { batches.offer(batch).map_err(|error| writer.to.why(error))? };
        if let Some(batch) = own_batch {
            writer.batch(&batch)?;
        }
        own.add(writer.take());
        let mut all = own;
        all.add(batches.carried());
        if !watch(writer.to, all)? {
            stopped_at = end;
            break;
        }
    }
    while let Some(batch) = batches.rest() {
        writer.batch(&batch)?;
        writer.to.patience().check()?;
    }
    writer.flush_zeros()?;
    own.add(writer.take());
    if !threads.is_empty() {
        link.flush()?;
        while !batches.done(TICK).map_err(|error| link.why(error))? {
            if threads.iter().all(ScopedJoinHandle::is_finished) {
                break;
            }
            link.patience().check()?;
            link.look_for_abort(Duration::ZERO)?;
        }
    }
    own.add(batches.carried());
    Ok((own, stopped_at))
}

/// Ends the streams when it is dropped; done, they are not touched by it.
struct GiveUp<'a>(&'a Batches);

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.give_up();
        }
    }
}

/// Goes through the dirty pages of a bitmap once, however often sending them is interrupted.
pub struct DirtyWalk<'a> {
    batches: RunBatches<Box<dyn Iterator<Item = Area> + 'a>>,
    /// Of all of it.
    bytes: u64,
}

impl<'a> DirtyWalk<'a> {
    pub fn new(dirty: &'a DirtyBitmap) -> Self {
        Self { batches: RunBatches::new(dirty), bytes: dirty.dirty_bytes() }
    }
}

/// Dirty runs in batches of up to [`MAX_DATA`] bytes.
struct RunBatches<I: Iterator<Item = Area>> {
    runs: I,
    /// What is left of a run that did not fit.
    left: Area,
}

impl<'a> RunBatches<Box<dyn Iterator<Item = Area> + 'a>> {
    fn new(dirty: &'a DirtyBitmap) -> Self {
        Self { runs: Box::new(dirty.runs(u64::MAX)), left: Area { iova: 0, bytes: 0 } }
    }
}

impl<I: Iterator<Item = Area>> Iterator for RunBatches<I> {
    type Item = Vec<Area>;

    fn next(&mut self) -> Option<Vec<Area>> {
        let mut batch = Vec::new();
        let mut room = MAX_DATA as u64;
        while room > 0 {
            if self.left.bytes == 0 {
                let Some(run) = self.runs.next() else { break };
                self.left = run;
            }
            let piece = Area { iova: self.left.iova, bytes: self.left.bytes.min(room) };
            self.left = Area { iova: piece.end(), bytes: self.left.bytes - piece.bytes };
            room -= piece.bytes;
            batch.push(piece);
        }
        (!batch.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn batches_are_the_dirty_pages_in_order(pages in prop::collection::btree_set(0u64..2000, 0..400), from in 0u64..1500, run in 0u64..500) {
            let areas = [Area { iova: 0, bytes: 1000 * 4096 }, Area { iova: 1 << 30, bytes: 1000 * 4096 }];
            let mut dirty = DirtyBitmap::new(4096, &areas);
            let iova = |page: u64| if page < 1000 { page * 4096 } else { (1 << 30) + (page - 1000) * 4096 };
            for page in pages.iter().copied().chain(from..from + run) {
                dirty.set_range(iova(page), 4096);
            }
            let (mut covered, mut last) = (DirtyBitmap::new(4096, &areas), 0);
            for batch in RunBatches::new(&dirty) {
                prop_assert!(batch.iter().map(|piece| piece.bytes).sum::<u64>() <= MAX_DATA as u64);
                for piece in batch {
                    prop_assert!(piece.iova >= last && piece.bytes > 0);
                    last = piece.end();
                    covered.set_range(piece.iova, piece.bytes);
                }
            }
            prop_assert!(covered == dirty);
        }
    }
}
