//! The tracker for devices no one tracks: every mapped page counts as dirty in every round. Right, and as slow as it
//! sounds; such a workload never converges.

use super::areas::MappedAreas;
use super::{DirtyBitmap, Tracker, TrackerKind};
use crate::error::Result;

pub struct AllTracker {
    name: String,
    page_size: u64,
    /// `None`: the whole workload.
    areas: Option<MappedAreas>,
}

impl AllTracker {
    /// Every page of the workload. `page_size` in bytes is that of its bitmap.
    pub fn new(name: &str, page_size: u64) -> Self {
        Self { name: name.to_owned(), page_size, areas: None }
    }

    /// Every page that one container has mapped: what the devices in it can write.
    pub fn of_container(name: &str, page_size: u64, areas: MappedAreas) -> Self {
        Self { name: name.to_owned(), page_size, areas: Some(areas) }
    }
}

impl Tracker for AllTracker {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> TrackerKind {
        TrackerKind::All
    }

    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    fn read(&mut self, into: &mut DirtyBitmap) -> Result<u64> {
        let Some(areas) = &self.areas else {
            into.set_all();
            return Ok(into.total_pages());
        };
        let mut pages = 0;
        for area in areas.snapshot() {
            into.set_range(area.iova, area.bytes);
            pages += area.bytes.div_ceil(into.page_size());
        }
        Ok(pages)
    }

    fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::area::Area;

    #[test]
    fn every_page_of_its_areas_and_no_other_every_time() {
        let mine = Area { iova: 0, bytes: 70 * 4096 };
        let other = Area { iova: 1 << 30, bytes: 5 * 4096 };
        let mut tracker = AllTracker::of_container("all", 4096, MappedAreas::from(vec![mine]));
        let mut bitmap = DirtyBitmap::new(4096, &[mine, other]);
        tracker.start().expect("start");
        for _ in 0..2 {
            bitmap.clear();
            assert_eq!(tracker.read(&mut bitmap).expect("read"), 70);
            assert_eq!(bitmap.count(), 70);
            assert!(bitmap.get(69 * 4096) && !bitmap.get(other.iova));
        }
        tracker.stop().expect("stop");
        bitmap.clear();
        assert_eq!(AllTracker::new("all", 4096).read(&mut bitmap).expect("read"), 75);
        assert_eq!(bitmap.count(), 75);
    }
}
