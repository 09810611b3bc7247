//! The `iommu` tracker of a simulated container: dirty bits in the page table, one per 4 KiB, read and cleared
//! (IOMMU_HWPT_SET_DIRTY_TRACKING and GET_DIRTY_BITMAP). It sees functions only; mdevs use no page table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::table::{ClientId, SimIommu};
use crate::device::faults::Watch;
use crate::device::sync::{read, write};
use crate::dirty::{DirtyBitmap, Tracker, TrackerKind};
use crate::error::{HelperError, Result};
use crate::message::SimModel;
use crate::stamps::PAGE_BYTES;

pub(super) struct TableTracker {
    name: String,
    iommu: Arc<SimIommu>,
    reads: u64,
    before: BTreeMap<ClientId, Watch>,
}

impl TableTracker {
    pub(super) fn new(name: &str, iommu: Arc<SimIommu>) -> Self {
        Self { name: name.to_owned(), iommu, reads: 0, before: BTreeMap::new() }
    }
}

impl Tracker for TableTracker {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> TrackerKind {
        TrackerKind::Iommu
    }

    fn page_size(&self) -> u64 {
        PAGE_BYTES
    }

    /// Clears all bits, then switches tracking on; done again, it clears again.
    fn start(&mut self) -> Result<()> {
        let mut table = write(&self.iommu.table);
        for word in table.mappings.iter().flat_map(|mapping| &mapping.dirty) {
            word.store(0, Ordering::Relaxed);
        }
        table.dirty_on = true;
        Ok(())
    }

    fn read(&mut self, into: &mut DirtyBitmap) -> Result<u64> {
        self.reads += 1;
        for faults in self.iommu.faults_of(SimModel::Function) {
            faults.before_read(&self.name, self.reads)?;
        }
        let table = read(&self.iommu.table);
        if !table.dirty_on {
            // The kernel answers this with success and no bits at all, which would lose every page.
            let error = std::io::Error::from_raw_os_error(libc::EINVAL);
            return Err(HelperError::os(
                "tracker/log-lost",
                "IOMMU_HWPT_GET_DIRTY_BITMAP",
                &error,
                "tracking is not on",
            ));
        }
        let now: Vec<Watch> = table.functions().map(|client| client.faults.watch()).collect();
        let mut seen = DirtyBitmap::new(into.page_size(), &into.areas().collect::<Vec<_>>());
        for mapping in &table.mappings {
            let bits: Vec<u64> = mapping.dirty.iter().map(|word| word.swap(0, Ordering::AcqRel)).collect();
            seen.or_bits(mapping.area.iova, mapping.area.bytes, PAGE_BYTES, &bits);
        }
        for (client, now) in table.functions().zip(now) {
            let before = self.before.entry(client.id).or_default();
            client.faults.after_read(self.reads, before, now, &mut seen);
        }
        into.or(&seen);
        Ok(seen.count())
    }

    fn stop(&mut self) -> Result<()> {
        write(&self.iommu.table).dirty_on = false;
        Ok(())
    }
}
