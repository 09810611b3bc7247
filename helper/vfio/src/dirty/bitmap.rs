//! One bit per page of the workload; what every tracker ORs into and what the transfer walks in runs.
//!
//! The workload's areas are laid end to end, each beginning at a fresh 64-bit word, so that a kernel bitmap read for
//! exactly one area (the only safe query, see vfio-uapi) lands on word boundaries and is ORed word by word. Padding
//! bits behind an area's last page are never set.

use crate::area::Area;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirtyBitmap {
    page_size: u64,
    areas: Vec<Slot>,
    words: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    area: Area,
    first_word: usize,
    pages: u64,
}

impl Slot {
    fn words(&self) -> std::ops::Range<usize> {
        self.first_word..self.first_word + words_for(self.pages)
    }
}

fn words_for(pages: u64) -> usize {
    pages.div_ceil(64) as usize
}

impl DirtyBitmap {
    /// All clean. `areas` must be sorted, not overlapping, aligned to `page_size` (a power of two, at least 4 KiB):
    /// [`crate::memory::Memory`] has checked that.
    pub fn new(page_size: u64, areas: &[Area]) -> Self {
        let mut slots = Vec::with_capacity(areas.len());
        let mut next = 0;
        for area in areas {
            let pages = area.bytes / page_size;
            slots.push(Slot { area: *area, first_word: next, pages });
            next += words_for(pages);
        }
        Self { page_size, areas: slots, words: vec![0; next] }
    }

    pub fn page_size(&self) -> u64 {
        self.page_size
    }

    pub fn areas(&self) -> impl Iterator<Item = Area> + '_ {
        self.areas.iter().map(|slot| slot.area)
    }

    /// Bytes of memory the bits themselves take.
    pub fn storage_bytes(&self) -> u64 {
        self.words.len() as u64 * 8
    }

    pub fn total_pages(&self) -> u64 {
        self.areas.iter().map(|slot| slot.pages).sum()
    }

    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub fn dirty_bytes(&self) -> u64 {
        self.count() * self.page_size
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    pub fn set_all(&mut self) {
        for index in 0..self.areas.len() {
            let slot = self.areas[index];
            self.set_bits(slot, 0, slot.pages);
        }
    }

    /// Whether the page that holds `iova` is dirty; false outside the areas.
    pub fn get(&self, iova: u64) -> bool {
        self.slot_of(iova).is_some_and(|slot| {
            let bit = (iova - slot.area.iova) / self.page_size;
            self.words[slot.first_word + (bit / 64) as usize] >> (bit % 64) & 1 == 1
        })
    }

    /// Clears one page; returns whether it was dirty.
    pub fn clear_page(&mut self, iova: u64) -> bool {
        let was = self.get(iova);
        if let Some(slot) = self.slot_of(iova) {
            let bit = (iova - slot.area.iova) / self.page_size;
            self.words[slot.first_word + (bit / 64) as usize] &= !(1 << (bit % 64));
        }
        was
    }

    /// Marks every page that `iova .. iova + bytes` touches. Parts outside the areas are ignored.
    pub fn set_range(&mut self, iova: u64, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let last = iova.saturating_add(bytes - 1);
        for index in 0..self.areas.len() {
            let slot = self.areas[index];
            let from = iova.max(slot.area.iova);
            let to = last.min(slot.area.end() - 1);
            if from <= to {
                let first = (from - slot.area.iova) / self.page_size;
                let end = (to - slot.area.iova) / self.page_size + 1;
                self.set_bits(slot, first, end);
            }
        }
    }

    /// ORs in a kernel bitmap read for the window that begins at `iova`: bit n stands for `iova + n * granule`.
    /// Bits at or past `bytes` are ignored (kernels may leave stale ones there). Returns the number of bitmap pages
    /// those bits name, counted before the union.
    ///
    /// `granule` may be coarser or finer than this bitmap's page: a coarse bit marks every page it covers, a fine
    /// one marks the page it lies in.
    pub fn or_bits(&mut self, iova: u64, bytes: u64, granule: u64, bits: &[u64]) -> u64 {
        let whole = self.slot_of(iova).is_some_and(|slot| slot.area == Area { iova, bytes });
        if granule == self.page_size && whole {
            return self.or_exact(iova, bytes, bits);
        }
        let mut seen = Self::new(self.page_size, &self.areas().collect::<Vec<_>>());
        let granules = bytes.div_ceil(granule);
        for (start, end) in bit_runs(bits, granules) {
            let from = iova + start * granule;
            seen.set_range(from, ((end - start) * granule).min(iova + bytes - from));
        }
        let pages = seen.count();
        self.or(&seen);
        pages
    }

    /// The fast case: the window is one whole area at our own page size.
    fn or_exact(&mut self, iova: u64, bytes: u64, bits: &[u64]) -> u64 {
        let Some(slot) = self.slot_of(iova) else { return 0 };
        let pages = bytes / self.page_size;
        let mut count = 0;
        let words = &mut self.words[slot.first_word..slot.first_word + words_for(pages)];
        for (index, (word, new)) in words.iter_mut().zip(bits).enumerate() {
            let valid = pages - index as u64 * 64;
            let new = if valid < 64 { new & ((1 << valid) - 1) } else { *new };
            count += u64::from(new.count_ones());
            *word |= new;
        }
        count
    }

    /// Union with a bitmap of the same layout; other layouts are a programming error and change nothing.
    pub fn or(&mut self, other: &Self) {
        debug_assert_eq!(self.areas, other.areas);
        for (word, new) in self.words.iter_mut().zip(&other.words) {
            *word |= new;
        }
    }

    /// Union with bitmaps of the same layout, in one pass. Returns how many pages each names that no other of them
    /// does, and how many pages they name together.
    pub fn or_each(&mut self, parts: &[Self]) -> (Vec<u64>, u64) {
        debug_assert!(parts.iter().all(|part| part.areas == self.areas));
        let mut only = vec![0; parts.len()];
        let mut together = 0;
        for (index, into) in self.words.iter_mut().enumerate() {
            let word = |part: &Self| part.words.get(index).copied().unwrap_or(0);
            let (mut any, mut several) = (0, 0);
            for new in parts.iter().map(word) {
                several |= any & new;
                any |= new;
            }
            if any == 0 {
                continue;
            }
            *into |= any;
            together += u64::from(any.count_ones());
            for (count, new) in only.iter_mut().zip(parts.iter().map(word)) {
                *count += u64::from((new & !several).count_ones());
            }
        }
        (only, together)
    }

    /// Maximal runs of dirty pages in ascending IOVA order, none longer than `max_bytes` (at least one page), none
    /// across two areas.
    pub fn runs(&self, max_bytes: u64) -> impl Iterator<Item = Area> + '_ {
        let page = self.page_size;
        let step = (max_bytes / page).max(1);
        self.areas.iter().flat_map(move |slot| {
            let base = slot.area.iova;
            bit_runs(&self.words[slot.words()], slot.pages).flat_map(move |(start, end)| {
                (start..end).step_by(step as usize).map(move |first| {
                    let last = (first + step).min(end);
                    Area { iova: base + first * page, bytes: (last - first) * page }
                })
            })
        })
    }

    fn slot_of(&self, iova: u64) -> Option<Slot> {
        let after = self.areas.partition_point(|slot| slot.area.iova <= iova);
        let slot = *self.areas.get(after.checked_sub(1)?)?;
        (iova < slot.area.end()).then_some(slot)
    }

    fn set_bits(&mut self, slot: Slot, first: u64, end: u64) {
        let mut bit = first;
        while bit < end {
            let offset = bit % 64;
            let span = (64 - offset).min(end - bit);
            let mask = if span == 64 { u64::MAX } else { ((1 << span) - 1) << offset };
            self.words[slot.first_word + (bit / 64) as usize] |= mask;
            bit += span;
        }
    }
}

/// Runs `start..end` of set bits among the first `limit` bits, by trailing-zero counts: whole clean and whole dirty
/// words cost one test each.
fn bit_runs(words: &[u64], limit: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = next_bit(words, at, limit, true)?;
        let end = next_bit(words, start, limit, false).unwrap_or(limit);
        at = end;
        Some((start, end))
    })
}

fn next_bit(words: &[u64], from: u64, limit: u64, set: bool) -> Option<u64> {
    let mut index = (from / 64) as usize;
    let mut skip = from % 64;
    while (index as u64) * 64 < limit {
        let word = *words.get(index)?;
        let word = if set { word } else { !word } & (u64::MAX << skip);
        if word != 0 {
            let found = index as u64 * 64 + u64::from(word.trailing_zeros());
            return (found < limit).then_some(found);
        }
        index += 1;
        skip = 0;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const PAGE: u64 = 4096;

    fn layouts() -> impl Strategy<Value = Vec<Area>> {
        prop::collection::vec((0u64..5, 1u64..200), 1..5).prop_map(|gaps| {
            let mut at = 0;
            gaps.into_iter()
                .map(|(gap, pages)| {
                    let area = Area { iova: at + gap * PAGE, bytes: pages * PAGE };
                    at = area.end();
                    area
                })
                .collect()
        })
    }

    fn model_pages(areas: &[Area], iova: u64, bytes: u64) -> impl Iterator<Item = u64> + '_ {
        areas.iter().flat_map(move |area| {
            (area.iova..area.end())
                .step_by(PAGE as usize)
                .filter(move |page| page + PAGE > iova && *page < iova + bytes)
        })
    }

    proptest! {
        #[test]
        fn ranges_and_runs_agree_with_a_set_of_pages(
            areas in layouts(),
            ranges in prop::collection::vec((0u64..1000 * PAGE, 1u64..90 * PAGE), 0..12),
            max_pages in 1u64..80,
        ) {
            let mut bitmap = DirtyBitmap::new(PAGE, &areas);
            let mut model = BTreeSet::new();
            for (iova, bytes) in ranges {
                bitmap.set_range(iova, bytes);
                model.extend(model_pages(&areas, iova, bytes));
            }
            let mut walked = BTreeSet::new();
            for run in bitmap.runs(max_pages * PAGE) {
                prop_assert!(run.bytes <= max_pages * PAGE);
                for page in (run.iova..run.end()).step_by(PAGE as usize) {
                    prop_assert!(walked.insert(page), "page walked twice");
                }
            }
            prop_assert_eq!(bitmap.count(), model.len() as u64);
            prop_assert_eq!(&walked, &model);
            for area in &areas {
                for page in (area.iova..area.end()).step_by(PAGE as usize) {
                    prop_assert_eq!(bitmap.get(page), model.contains(&page));
                }
            }
        }

        #[test]
        fn kernel_bitmaps_of_any_granule_mark_what_they_cover(
            areas in layouts(),
            shift in 0u32..4,
            finer in any::<bool>(),
            seed in any::<u64>(),
            which in any::<prop::sample::Index>(),
        ) {
            let page = if finer { PAGE << shift } else { PAGE };
            let granule = if finer { PAGE } else { PAGE << shift };
            let areas: Vec<_> = areas.iter().map(|area| Area {
                iova: area.iova << shift, bytes: area.bytes << shift,
            }).collect();
            let mut bitmap = DirtyBitmap::new(page, &areas);
            let area = areas[which.index(areas.len())];
            let granules = area.bytes / granule;
            let mut bits = vec![u64::MAX; granules.div_ceil(64) as usize + 1];
            for (index, word) in bits.iter_mut().enumerate() {
                *word = seed.rotate_left(index as u32 * 7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            }
            let mut model = BTreeSet::new();
            for bit in 0..granules {
                if bits[(bit / 64) as usize] >> (bit % 64) & 1 == 1 {
                    let from = area.iova + bit * granule;
                    for at in (from..from + granule).step_by(PAGE as usize) {
                        model.insert(at / page * page);
                    }
                }
            }
            let counted = bitmap.or_bits(area.iova, area.bytes, granule, &bits);
            prop_assert_eq!(counted, model.len() as u64);
            prop_assert_eq!(bitmap.count(), model.len() as u64);
            prop_assert!(model.iter().all(|iova| bitmap.get(*iova)));
        }
    }

    proptest! {
        #[test]
        fn a_union_of_several_counts_what_each_alone_names(
            areas in layouts(),
            sets in prop::collection::vec(prop::collection::vec((0u64..1000, 1u64..90), 0..6), 0..5),
            before in prop::collection::vec((0u64..1000, 1u64..90), 0..3),
        ) {
            let of = |ranges: &[(u64, u64)]| {
                let mut bitmap = DirtyBitmap::new(PAGE, &areas);
                for (page, pages) in ranges {
                    bitmap.set_range(page * PAGE, pages * PAGE);
                }
                bitmap
            };
            let parts: Vec<DirtyBitmap> = sets.iter().map(|ranges| of(ranges)).collect();
            let mut into = of(&before);
            let mut expected = into.clone();
            let mut together = DirtyBitmap::new(PAGE, &areas);
            for part in &parts {
                expected.or(part);
                together.or(part);
            }
            let (only, count) = into.or_each(&parts);
            prop_assert_eq!(&into, &expected);
            prop_assert_eq!(count, together.count());
            for (index, part) in parts.iter().enumerate() {
                let alone = areas.iter().flat_map(|area| (area.iova..area.end()).step_by(PAGE as usize)).filter(|page| {
                    part.get(*page) && parts.iter().enumerate().all(|(at, other)| at == index || !other.get(*page))
                });
                prop_assert_eq!(only[index], alone.count() as u64);
            }
        }
    }

    #[test]
    fn union_keeps_what_was_there() {
        let areas = [Area { iova: 0, bytes: 300 * PAGE }];
        let mut a = DirtyBitmap::new(PAGE, &areas);
        let mut b = DirtyBitmap::new(PAGE, &areas);
        a.set_range(0, PAGE);
        b.set_range(299 * PAGE, PAGE);
        a.or(&b);
        assert!(a.get(0) && a.get(299 * PAGE) && a.count() == 2);
        assert!(a.clear_page(0) && !a.clear_page(0));
        a.set_all();
        assert_eq!(a.count(), 300);
    }
}
