//! The simulated page table: what is mapped, who may reach it, what is pinned, and the dirty bits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard};

use crate::area::Area;
use crate::device::SimModel;
use crate::device::faults::DeviceFaults;
use crate::device::sync::{read, write};
use crate::error::{HelperError, Result};
use crate::memory::Memory;
use crate::stamps::PAGE_BYTES;

/// An attached device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(u64);

/// Why a DMA write was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The device's window has never been mapped as a whole: its driver has not started it yet.
    NotReady,
    /// No mapping (or, for an mdev, no pinned page) there: a DMA fault.
    Fault,
}

/// One container's page table, shared by its devices' engines and its trackers.
///
/// Engines hold the table shared over each write and its dirty bits; one that maps, unmaps or switches tracking holds
/// it alone. So an unmap waits for the writes in flight, and nothing is written after it.
pub struct SimIommu {
    dirty_tracking: bool,
    faults: AtomicU64,
    pub(super) table: RwLock<Table>,
}

#[derive(Default)]
pub(super) struct Table {
    next_client: u64,
    /// Sorted by IOVA, not overlapping.
    pub(super) mappings: Vec<Mapping>,
    pub(super) clients: Vec<Client>,
    /// SET_DIRTY_TRACKING is on.
    pub(super) dirty_on: bool,
    /// DIRTY_PAGES START was done.
    pub(super) pinned_on: bool,
    /// Pages that lost their last pin since the pinned tracker's last read.
    pub(super) unpinned: Vec<Area>,
    /// A group without pinned scope was detached while tracking: everything is dirty once.
    pub(super) all_once: bool,
}

pub(super) struct Mapping {
    pub(super) area: Area,
    memory: Arc<Memory>,
    /// One bit per 4 KiB; empty when the table is not dirty-capable.
    pub(super) dirty: Vec<AtomicU64>,
}

pub(super) struct Client {
    pub(super) id: ClientId,
    pub(super) model: SimModel,
    pub(super) faults: Arc<DeviceFaults>,
    window: Option<Area>,
    /// The window was mapped as a whole since the device was programmed: its driver has started the engine.
    armed: bool,
    /// An mdev's window, pinned. Functions pin by being mapped.
    pub(super) pinned: Option<Area>,
}

impl SimIommu {
    pub fn new(dirty_tracking: bool) -> Self {
        Self { dirty_tracking, faults: AtomicU64::new(0), table: RwLock::default() }
    }

    pub fn dirty_tracking(&self) -> bool {
        self.dirty_tracking
    }

    /// DMA writes refused so far because nothing was mapped or pinned there; each counts once, however often the
    /// device tried it again.
    pub fn dma_faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// What the container's mdevs have pinned: disjoint, in ascending order.
    pub fn pinned(&self) -> Vec<Area> {
        read(&self.table).pinned_areas()
    }

    pub fn pinned_pages(&self) -> u64 {
        self.pinned().iter().map(|area| area.bytes / PAGE_BYTES).sum()
    }

    /// # Errors
    /// `iommu/map-failed`: EEXIST when it overlaps a mapping, EINVAL when `memory` has no such area.
    pub(super) fn map(&self, memory: &Arc<Memory>, area: Area) -> Result<()> {
        let failed = |errno, meaning: &str| {
            let error = std::io::Error::from_raw_os_error(errno);
            Err(HelperError::os("iommu/map-failed", format!("map {:#x}", area.iova), &error, meaning))
        };
        if memory.slice(area.iova, area.bytes).is_none() {
            return failed(libc::EINVAL, "the workload's memory has no such area");
        }
        let mut table = write(&self.table);
        let at = table.mappings.partition_point(|mapping| mapping.area.iova < area.iova);
        let before = at.checked_sub(1).and_then(|index| table.mappings.get(index));
        let overlaps = before.is_some_and(|mapping| mapping.area.end() > area.iova)
            || table.mappings.get(at).is_some_and(|mapping| mapping.area.iova < area.end());
        if overlaps {
            return failed(libc::EEXIST, "it overlaps a mapping");
        }
        let words = if self.dirty_tracking { (area.bytes / PAGE_BYTES).div_ceil(64) } else { 0 };
        let dirty = (0..words).map(|_| AtomicU64::new(0)).collect();
        table.mappings.insert(at, Mapping { area, memory: Arc::clone(memory), dirty });
        table.settle();
        Ok(())
    }

    /// Waits for the writes in flight; mdevs unpin what they had pinned there.
    ///
    /// # Errors
    /// `iommu/not-mapped` with ENOENT unless exactly this area was mapped.
    pub(super) fn unmap(&self, area: Area) -> Result<()> {
        let mut table = write(&self.table);
        let Some(index) = table.mappings.iter().position(|mapping| mapping.area == area) else {
            let error = std::io::Error::from_raw_os_error(libc::ENOENT);
            let meaning = "only what was mapped can be unmapped, as a whole";
            return Err(HelperError::os("iommu/not-mapped", format!("unmap {:#x}", area.iova), &error, meaning));
        };
        table.mappings.remove(index);
        table.settle();
        Ok(())
    }

    pub(crate) fn attach(&self, model: SimModel, faults: Arc<DeviceFaults>) -> ClientId {
        let mut table = write(&self.table);
        let id = ClientId(table.next_client);
        table.next_client += 1;
        table.clients.push(Client { id, model, faults, window: None, armed: false, pinned: None });
        id
    }

    pub(crate) fn detach(&self, id: ClientId) {
        let mut table = write(&self.table);
        table.set_window(id, None);
        let was_function = table.clients.iter().any(|client| client.id == id && client.model == SimModel::Function);
        table.clients.retain(|client| client.id != id);
        if was_function && table.pinned_on && table.functions().next().is_none() {
            table.all_once = true;
        }
    }

    /// What a device has been programmed to write to: an mdev pins it as soon as all of it is mapped.
    pub(crate) fn set_window(&self, id: ClientId, window: Option<Area>) {
        write(&self.table).set_window(id, window);
    }

    /// The faults of every device of this kind.
    pub(super) fn faults_of(&self, model: SimModel) -> Vec<Arc<DeviceFaults>> {
        let table = read(&self.table);
        table.clients.iter().filter(|client| client.model == model).map(|client| Arc::clone(&client.faults)).collect()
    }

    /// Holds the table for a few writes of one device.
    pub(crate) fn port(&self, id: ClientId) -> Port<'_> {
        let table = read(&self.table);
        let client = table.clients.iter().position(|client| client.id == id);
        Port { iommu: self, table, client }
    }
}

/// A device's way to memory while the page table is held.
pub struct Port<'a> {
    iommu: &'a SimIommu,
    table: RwLockReadGuard<'a, Table>,
    client: Option<usize>,
}

impl Port<'_> {
    /// One DMA write: the data, then the page table's dirty bit. See the engine for why in this order.
    pub(crate) fn write(&self, iova: u64, data: &[u8]) -> std::result::Result<(), Refused> {
        let client = self.client.and_then(|index| self.table.clients.get(index)).ok_or(Refused::Fault)?;
        if !client.armed {
            return Err(Refused::NotReady);
        }
        if client.model == SimModel::Mdev && client.pinned.is_none() {
            return Err(Refused::Fault);
        }
        let mapping = self.table.mapping_at(iova).ok_or(Refused::Fault)?;
        let target = mapping.memory.slice(iova, data.len() as u64).ok_or(Refused::Fault)?;
        target.copy_from(data);
        // An mdev's writes go through no page table: its driver writes to pages it has pinned.
        if self.table.dirty_on && client.model == SimModel::Function {
            let bit = (iova - mapping.area.iova) / PAGE_BYTES;
            if let Some(word) = mapping.dirty.get((bit / 64) as usize) {
                word.fetch_or(1 << (bit % 64), Ordering::Release);
            }
        }
        Ok(())
    }

    pub(crate) fn count_fault(&self) {
        self.iommu.faults.fetch_add(1, Ordering::Relaxed);
    }
}

impl Table {
    /// Devices whose DMA goes through this table.
    pub(super) fn functions(&self) -> impl Iterator<Item = &Client> {
        self.clients.iter().filter(|client| client.model == SimModel::Function)
    }

    fn mapping_at(&self, iova: u64) -> Option<&Mapping> {
        let after = self.mappings.partition_point(|mapping| mapping.area.iova <= iova);
        self.mappings.get(after.checked_sub(1)?).filter(|mapping| iova < mapping.area.end())
    }

    fn covers(&self, area: Area) -> bool {
        let mut at = area.iova;
        while at < area.end() {
            match self.mapping_at(at) {
                Some(mapping) => at = mapping.area.end(),
                None => return false,
            }
        }
        true
    }

    fn set_window(&mut self, id: ClientId, window: Option<Area>) {
        let pinned_on = self.pinned_on;
        for client in self.clients.iter_mut().filter(|client| client.id == id) {
            client.window = window;
            client.armed = false;
            if let Some(area) = client.pinned.take().filter(|_| pinned_on) {
                self.unpinned.push(area);
            }
        }
        self.settle();
    }

    /// After any change: devices whose window is now mapped start and pin it, mdevs that lost part of theirs unpin.
    fn settle(&mut self) {
        for index in 0..self.clients.len() {
            let Some(window) = self.clients[index].window else { continue };
            let covered = self.covers(window);
            let client = &mut self.clients[index];
            client.armed |= covered;
            if client.model == SimModel::Mdev {
                if covered {
                    client.pinned = Some(window);
                } else if let Some(area) = client.pinned.take().filter(|_| self.pinned_on) {
                    self.unpinned.push(area);
                }
            }
        }
    }

    pub(super) fn pinned_areas(&self) -> Vec<Area> {
        let mut areas: Vec<Area> = self.clients.iter().filter_map(|client| client.pinned).collect();
        areas.sort_by_key(|area| area.iova);
        let mut merged: Vec<Area> = Vec::new();
        for area in areas {
            match merged.last_mut().filter(|last| area.iova <= last.end()) {
                Some(last) => last.bytes = last.bytes.max(area.end() - last.iova),
                None => merged.push(area),
            }
        }
        merged
    }
}
