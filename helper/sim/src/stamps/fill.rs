//! The initial content of a workload's memory: a pure function of seed and IOVA, so that the checker on the other side
//! knows what every byte no device wrote must be.

use std::thread;

use super::mix::{below, fill as fill_words, mix, word};
use super::stamp::PAGE_BYTES;
use crate::memory::Region;

/// Random pages by `seed`, of which `zero_percent` (0 to 100), chosen by the same seed, are all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    pub seed: u64,
    pub zero_percent: u8,
}

impl Fill {
    pub fn is_zero(&self, iova: u64) -> bool {
        below(word(mix(self.seed), iova / PAGE_BYTES), 100) < u64::from(self.zero_percent)
    }

    /// Content of the 4 KiB page at `iova`.
    pub fn page(&self, iova: u64, page: &mut [u8; PAGE_BYTES as usize]) {
        if self.is_zero(iova) {
            page.fill(0);
        } else {
            fill_words(mix(self.seed ^ mix(iova)), 0, page);
        }
    }
}

/// Gives `region` its initial content: random by `seed`, `zero_percent` of the pages (from 100 on: all) zero. Zero
/// pages are written too: a backing file may hold anything. On two threads, when there is a second to be had.
pub fn fill(region: &Region, seed: u64, zero_percent: u8) {
    let content = Fill { seed, zero_percent };
    thread::scope(|scope| {
        let other =
            thread::Builder::new().name("ferry-fill".to_owned()).spawn_scoped(scope, || fill_share(region, content, 1));
        fill_share(region, content, 0);
        if other.is_err() {
            fill_share(region, content, 1);
        }
    });
}

/// Every second piece of 2 MiB, beginning with number `first`.
fn fill_share(region: &Region, content: Fill, first: usize) {
    const PIECE: usize = 2 << 20;
    let area = region.area();
    let mut page = [0; PAGE_BYTES as usize];
    for start in (area.iova..area.end()).step_by(PIECE).skip(first).step_by(2) {
        let end = area.end().min(start.saturating_add(PIECE as u64));
        for iova in (start..end).step_by(PAGE_BYTES as usize) {
            // Regions consist of whole pages, so there always is one here.
            if let Some(slice) = region.slice(iova, PAGE_BYTES) {
                content.page(iova, &mut page);
                slice.copy_from(&page);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamps::testing::memory;

    #[test]
    fn every_page_gets_its_own_content_and_the_asked_share_is_zero() {
        let memory = memory(&[(0, 700), (0x1000_0000, 701)]);
        let content = Fill { seed: 9, zero_percent: 25 };
        memory.regions().iter().for_each(|region| fill(region, content.seed, content.zero_percent));
        let (mut zero, mut seen) = (0, std::collections::BTreeSet::new());
        for area in memory.areas() {
            for iova in (area.iova..area.end()).step_by(4096) {
                let (mut found, mut expected) = ([0; 4096], [1; 4096]);
                memory.slice(iova, 4096).expect("page").copy_to(&mut found);
                content.page(iova, &mut expected);
                assert_eq!(found, expected, "{iova:#x}");
                if found == [0; 4096] {
                    zero += 1;
                } else {
                    assert!(seen.insert(found), "two pages alike");
                }
            }
        }
        assert!((280..420).contains(&zero), "{zero} of 1401 pages are zero");
    }

    #[test]
    fn the_whole_range_of_zero_shares() {
        for iova in (0..4096 * 1000).step_by(4096) {
            assert!(!Fill { seed: 1, zero_percent: 0 }.is_zero(iova));
            assert!(
                Fill { seed: 1, zero_percent: 100 }.is_zero(iova) && Fill { seed: 1, zero_percent: 255 }.is_zero(iova)
            );
        }
    }
}
