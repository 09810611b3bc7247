//! What a container has mapped, shared between the backend that maps and the trackers that read: a kernel dirty
//! query is only safe for exactly what is mapped.

use std::sync::{Arc, Mutex, PoisonError};

use crate::area::Area;

/// Most bytes a backend maps in one call. type1 refuses to track a mapping of 2^31 pages or more and to give a
/// bitmap above 256 MiB; this keeps both far away for every page size, and a chunk a whole number of bitmap words.
pub const MAX_MAP_BYTES: u64 = 1 << 40;

/// The pieces a region is mapped in, in order.
pub fn map_chunks(area: Area) -> impl Iterator<Item = Area> {
    chunks(area, MAX_MAP_BYTES)
}

/// `area` cut at multiples of `bytes` from its start.
pub fn chunks(area: Area, bytes: u64) -> impl Iterator<Item = Area> {
    let step = bytes.max(1);
    (0..area.bytes.div_ceil(step)).map(move |index| {
        let offset = index * step;
        Area { iova: area.iova + offset, bytes: step.min(area.bytes - offset) }
    })
}

/// The mapped regions of one container, sorted by IOVA. Clones share the list.
#[derive(Debug, Clone, Default)]
pub struct MappedAreas(Arc<Mutex<Vec<Area>>>);

impl From<Vec<Area>> for MappedAreas {
    fn from(mut areas: Vec<Area>) -> Self {
        areas.sort_by_key(|area| area.iova);
        Self(Arc::new(Mutex::new(areas)))
    }
}

impl MappedAreas {
    pub fn add(&self, area: Area) {
        self.with(|areas| {
            let at = areas.partition_point(|other| other.iova < area.iova);
            areas.insert(at, area);
        });
    }

    pub fn remove(&self, area: Area) {
        self.with(|areas| areas.retain(|other| *other != area));
    }

    pub fn contains(&self, area: Area) -> bool {
        self.with(|areas| areas.contains(&area))
    }

    pub fn snapshot(&self) -> Vec<Area> {
        self.with(|areas| areas.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Area>) -> T) -> T {
        // Every update is one Vec call, so a list behind a poisoned lock is still whole.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Words of a bitmap with one bit for each granule of `bytes`.
pub fn bitmap_words(bytes: u64, granule: u64) -> usize {
    bytes.div_ceil(granule).div_ceil(64) as usize
}

/// The words of the window `part` inside the bitmap of `whole`; `part` must begin at a multiple of 64 granules.
pub fn window_words(words: &mut [u64], whole: Area, part: Area, granule: u64) -> &mut [u64] {
    let first = ((part.iova - whole.iova) / granule / 64) as usize;
    let end = first + bitmap_words(part.bytes, granule);
    words.get_mut(first..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn clones_share_one_sorted_list() {
        let mapped = MappedAreas::from(vec![Area { iova: 0x9000, bytes: 0x1000 }]);
        let tracker = mapped.clone();
        let low = Area { iova: 0, bytes: 0x2000 };
        mapped.add(low);
        assert_eq!(tracker.snapshot(), [low, Area { iova: 0x9000, bytes: 0x1000 }]);
        tracker.remove(low);
        assert!(!mapped.contains(low));
    }

    proptest! {
        #[test]
        fn chunks_cover_the_area_once_and_in_order(iova in 0u64..1000, bytes in 1u64..10_000, step in 1u64..3000) {
            let area = Area { iova, bytes };
            let mut at = iova;
            for chunk in chunks(area, step) {
                prop_assert_eq!(chunk.iova, at);
                prop_assert!(chunk.bytes > 0 && chunk.bytes <= step);
                at = chunk.end();
            }
            prop_assert_eq!(at, area.end());
        }
    }
}
