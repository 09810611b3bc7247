//! The `pinned` tracker of a simulated container: type1's pinned-page scope (VFIO_IOMMU_DIRTY_PAGES), as Linux
//! 6.12 has it. With mdevs alone, pages pinned now or unpinned since the last read are dirty, at every read, whether
//! written or not. With one function among them, every mapped page is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::table::{ClientId, SimIommu};
use crate::device::faults::Watch;
use crate::device::sync::write;
use crate::dirty::{DirtyBitmap, Tracker, TrackerKind};
use crate::error::{HelperError, Result};
use crate::message::SimModel;
use crate::stamps::PAGE_BYTES;

pub(super) struct PinnedTracker {
    name: String,
    iommu: Arc<SimIommu>,
    reads: u64,
    before: BTreeMap<ClientId, Watch>,
}

impl PinnedTracker {
    pub(super) fn new(name: &str, iommu: Arc<SimIommu>) -> Self {
        Self { name: name.to_owned(), iommu, reads: 0, before: BTreeMap::new() }
    }
}

impl Tracker for PinnedTracker {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> TrackerKind {
        TrackerKind::Pinned
    }

    fn page_size(&self) -> u64 {
        PAGE_BYTES
    }

    /// Idempotent: a second start clears nothing.
    fn start(&mut self) -> Result<()> {
        write(&self.iommu.table).pinned_on = true;
        Ok(())
    }

    fn read(&mut self, into: &mut DirtyBitmap) -> Result<u64> {
        self.reads += 1;
        for faults in [SimModel::Mdev, SimModel::Function].iter().flat_map(|model| self.iommu.faults_of(*model)) {
            faults.before_read(&self.name, self.reads)?;
        }
        let mut table = write(&self.iommu.table);
        if !table.pinned_on {
            let error = std::io::Error::from_raw_os_error(libc::EINVAL);
            return Err(HelperError::os(
                "tracker/log-lost",
                "VFIO_IOMMU_DIRTY_PAGES GET_BITMAP",
                &error,
                "tracking is not on",
            ));
        }
        let mut seen = DirtyBitmap::new(into.page_size(), &into.areas().collect::<Vec<_>>());
        let all = table.functions().next().is_some() || table.all_once;
        let pinned = table.pinned_areas();
        for mapping in &table.mappings {
            let area = mapping.area;
            if all {
                seen.set_range(area.iova, area.bytes);
                continue;
            }
            // Pins and what was unpinned since, as far as they are mapped still: an unmap takes its bits along.
            for part in pinned.iter().chain(&table.unpinned) {
                let from = part.iova.max(area.iova);
                let to = part.end().min(area.end());
                if from < to {
                    seen.set_range(from, to - from);
                }
            }
        }
        table.unpinned.clear();
        table.all_once = false;
        for client in &table.clients {
            let before = self.before.entry(client.id).or_default();
            client.faults.after_read(self.reads, before, client.faults.watch(), &mut seen);
        }
        into.or(&seen);
        Ok(seen.count())
    }

    fn stop(&mut self) -> Result<()> {
        let mut table = write(&self.iommu.table);
        table.pinned_on = false;
        table.unpinned.clear();
        table.all_once = false;
        Ok(())
    }
}
