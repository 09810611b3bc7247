//! Which ranges a device log is started over, and which windows are read.
//!
//! Drivers have few ranges and merge what they are given (pds, mlx5). pds then wants reports at an offset of whole
//! bitmap words into the merged range, and acknowledges whole 64-page words: a window that ends inside a word takes
//! its neighbour's bits with it, unseen. A driver whose pages are larger than those asked for (mlx5 has a least size)
//! names a dirty page by its own first byte and its own length: of a page that began before the window the kernel
//! forgets the report, and for one that ends behind it, it sets bits behind the bitmap (iova_bitmap_set).
//!
//! So everything is rounded out to blocks of 64 pages of the driver's size, counted from address 0: whatever is
//! merged, every window begins and ends on a word and on a page. The device cannot write to what is not mapped, so the
//! rounding logs nothing more.

use crate::area::Area;

/// Pages of a block: one bitmap word.
pub const BLOCK_PAGES: u64 = 64;

/// The areas rounded out to blocks of so many bytes, touching ones joined. `areas` sorted and not overlapping. At the
/// very end of the address space, where a block's end cannot be expressed, the area's own end stays.
pub fn extents(areas: &[Area], block: u64) -> Vec<Area> {
    let mut joined: Vec<Area> = Vec::new();
    for area in areas {
        let start = area.iova / block * block;
        let end = area.end().checked_next_multiple_of(block).unwrap_or(area.end());
        match joined.last_mut() {
            Some(last) if start <= last.end() => last.bytes = end.max(last.end()) - last.iova,
            _ => joined.push(Area { iova: start, bytes: end - start }),
        }
    }
    joined
}

/// At most `limit` ranges that cover `extents`: the nearest neighbours joined first, as drivers do it. The kernel
/// takes PAGE_SIZE / 16 of them (256 on 4 KiB pages) and answers E2BIG above.
pub fn ranges(extents: &[Area], limit: usize) -> Vec<Area> {
    let surplus = extents.len().saturating_sub(limit.max(1));
    let mut gaps: Vec<usize> = (1..extents.len()).collect();
    gaps.sort_by_key(|&index| extents[index].iova - extents[index - 1].end());
    let mut bridged = vec![false; extents.len()];
    for index in gaps.into_iter().take(surplus) {
        bridged[index] = true;
    }
    let mut ranges: Vec<Area> = Vec::new();
    for (index, extent) in extents.iter().enumerate() {
        match ranges.last_mut() {
            Some(last) if bridged[index] => last.bytes = extent.end() - last.iova,
            _ => ranges.push(*extent),
        }
    }
    ranges
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: u64 = 4096;
    const BLOCK: u64 = BLOCK_PAGES * PAGE;

    pub fn layouts() -> impl Strategy<Value = Vec<Area>> {
        prop::collection::vec((0u64..400, 1u64..200), 1..8).prop_map(|parts| {
            let mut at = 0;
            parts
                .into_iter()
                .map(|(gap, pages)| {
                    let area = Area { iova: at + gap * PAGE, bytes: pages * PAGE };
                    at = area.end();
                    area
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn extents_hold_every_area_in_whole_words(areas in layouts()) {
            let extents = extents(&areas, BLOCK);
            for area in &areas {
                prop_assert_eq!(extents.iter().filter(|e| e.iova <= area.iova && area.end() <= e.end()).count(), 1);
            }
            for pair in extents.windows(2) {
                prop_assert!(pair[0].end() < pair[1].iova);
            }
            prop_assert!(extents.iter().all(|e| e.iova % BLOCK == 0 && e.bytes % BLOCK == 0));
        }

        #[test]
        fn ranges_cover_extents_within_the_limit_and_bridge_the_smallest_gaps(areas in layouts(), limit in 1usize..6) {
            let extents = extents(&areas, BLOCK);
            let ranges = ranges(&extents, limit);
            prop_assert_eq!(ranges.len(), extents.len().min(limit));
            for extent in &extents {
                prop_assert_eq!(ranges.iter().filter(|r| r.iova <= extent.iova && extent.end() <= r.end()).count(), 1);
            }
            // Any other choice of as many gaps covers at least as much.
            let covered: u64 = ranges.iter().map(|range| range.bytes).sum();
            let mut gaps: Vec<u64> = extents.windows(2).map(|pair| pair[1].iova - pair[0].end()).collect();
            gaps.sort_unstable();
            let least: u64 = gaps.iter().take(extents.len() - ranges.len()).sum();
            prop_assert_eq!(covered, extents.iter().map(|e| e.bytes).sum::<u64>() + least);
        }
    }

    #[test]
    fn the_last_block_of_the_address_space_is_not_rounded_past_its_end() {
        let area = Area { iova: u64::MAX - 3 * PAGE + 1, bytes: 2 * PAGE };
        let found = extents(&[area], BLOCK);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].end(), area.end());
    }
}
