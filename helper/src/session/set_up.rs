//! claim, memory, container, device, map, unmap: what the pin phase asks for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::opened::Opened;
use super::simulated::Simulated;
use super::truncatable::must_be_ours;
use super::{Attached, Claimed, Container, Session};
use crate::area::Area;
use crate::device::MigrationFlags;
use crate::device::transitions::Stepper;
use crate::durable::claim::Claim;
use crate::durable::private_dir::private_dir;
use crate::error::{HelperError, Result};
use crate::memory::{Backing, Memory, Region};
use crate::message::num::Bytes;
use crate::message::{
    BackingSpec, ClaimParams, ClaimReply, ContainerParams, DeviceParams, DeviceReply, DeviceTarget, Event, MapParams,
    MapReply, MemoryParams, MemoryReply, Phase, RegionSpec, Role,
};
use crate::resident::locked_bytes;
use crate::transfer::net::tls::Identity;

impl Session {
    /// # Errors
    /// `request/out-of-order` when a run is claimed here already.
    pub fn may_claim(&self) -> Result<()> {
        match &self.claimed {
            None => Ok(()),
            Some(claimed) => Err(HelperError::new(
                "request/out-of-order",
                format!("run {} is already claimed here; release it first", claimed.run),
            )),
        }
    }

    /// Begins a run. Its data connections are made with `identity`: the one that the claimant was told.
    pub fn claim(
        &mut self,
        run: &str,
        epoch: u64,
        params: &ClaimParams,
        identity: &Arc<Identity>,
    ) -> Result<ClaimReply> {
        self.may_claim()?;
        let record_dir = PathBuf::from(&params.record_dir);
        private_dir(&record_dir)?;
        let claim = match &mut self.held {
            Some(held) => {
                held.may_run(params)?;
                None
            }
            None => Some(Claim::take(Path::new(&params.lock_dir), &params.devices)?),
        };
        self.claimed =
            Some(Claimed { role: params.role, run: run.to_owned(), epoch, record_dir, then: params.then, claim });
        self.identity = Arc::clone(identity);
        self.shared.set_grace(params.grace_ms);
        self.shared.begin(params.role, run, epoch);
        Ok(ClaimReply { held: self.held.is_some() })
    }

    pub fn open_memory(&mut self, params: &MemoryParams) -> Result<MemoryReply> {
        let role = self.claimed()?.role;
        if self.held.is_some() {
            return self.same_memory(params);
        }
        if self.memory.is_some() {
            return Err(HelperError::new("request/out-of-order", "the run has its memory already"));
        }
        self.not_cancelled()?;
        let began = Instant::now();
        let regions = params.regions.iter().map(open_region).collect::<Result<Vec<_>>>()?;
        let memory = Memory::new(params.page_size, regions)?;
        for spec in &params.regions {
            let Some(region) = memory.regions().iter().find(|region| region.name() == spec.region) else { continue };
            if spec.populate {
                region.populate(&mut || self.not_cancelled())?;
            }
            if let Some(content) = spec.fill {
                self.simulated.fill(region, content, role)?;
                if role == Role::Source {
                    region.forget_content();
                }
            }
        }
        memory.must_be_whole()?;
        let bytes = Bytes(memory.bytes());
        self.memory = Some(Arc::new(memory));
        self.layout = Some(params.clone());
        self.shared.set_phase(Phase::SetUp);
        Ok(MemoryReply { bytes, elapsed_us: began.elapsed().as_micros() as u64 })
    }

    pub fn open_container(&mut self, params: &ContainerParams) -> Result<()> {
        self.claimed()?;
        if self.held.is_some() {
            return self.same_container(params);
        }
        if self.containers.iter().any(|container| container.name == params.container) {
            return Err(HelperError::new("request/duplicate", format!("container `{}` exists", params.container)));
        }
        let backend = Opened::open(params)?;
        let name = params.container.clone();
        self.containers.push(Container { name, asked: params.clone(), backend, mapped: None });
        Ok(())
    }

    pub fn open_device(&mut self, params: DeviceParams) -> Result<DeviceReply> {
        let role = self.claimed()?.role;
        self.not_cancelled()?;
        if self.held.is_some() {
            return self.same_device(&params);
        }
        if self.devices.iter().any(|device| device.name() == params.device) {
            return Err(HelperError::new("request/duplicate", format!("device `{}` is open", params.device)));
        }
        let ordinal = self.devices.len();
        let events = self.events();
        let container = self.container(&params.container)?;
        let named = |error: HelperError| if error.device.is_some() { error } else { error.device(&params.device) };
        let (device, probe) = match params.target.clone() {
            DeviceTarget::Kernel { sysfs_path } => {
                let opened =
                    container.backend.open_kernel_device(&params.device, Path::new(&sysfs_path)).map_err(named)?;
                for note in opened.notes {
                    events.emit(Event::Log { level: "warn", message: note, device: Some(params.device.clone()) });
                }
                (opened.device, None)
            }
            DeviceTarget::Sim { spec } => {
                let (device, probe) =
                    Simulated::open(&mut container.backend, &params.device, *spec, ordinal, role).map_err(named)?;
                (device, Some(probe))
            }
        };
        let mut stepper = Stepper::new(device, events, self.clock);
        if !stepper.flags().stop_copy && !params.measure {
            return Err(not_migratable(&params.device));
        }
        let reply = told(&mut stepper)?;
        self.shared.note_device(&params.device, reply.state);
        probe.into_iter().for_each(|probe| self.simulated.watch(probe));
        self.devices.push(stepper);
        self.attached.push(Attached { container: params.container, target: params.target });
        Ok(reply)
    }

    pub fn map(&mut self, params: &MapParams) -> Result<MapReply> {
        let memory = self.memory()?;
        self.not_cancelled()?;
        if self.held.is_some() {
            return self.same_map(params);
        }
        let container = self.container(&params.container)?;
        if container.mapped.is_some() {
            return Err(HelperError::new("request/duplicate", format!("`{}` is mapped", params.container)));
        }
        let (began, locked) = (Instant::now(), locked_bytes());
        let mut reply =
            MapReply { bytes: Bytes(memory.bytes()), pages: 0, maps: 0, elapsed_us: 0, locked_bytes: Bytes(0) };
        for (index, region) in memory.regions().iter().enumerate() {
            match container.backend.map(&memory, region) {
                Ok(mapped) => {
                    reply.pages += mapped.pages;
                    reply.maps += mapped.maps;
                }
                Err(error) => {
                    // All regions or none. A range that cannot be unmapped goes with the container.
                    for mapped in memory.regions()[..index].iter().rev() {
                        let _ = container.backend.unmap(mapped);
                    }
                    return Err(error);
                }
            }
        }
        reply.elapsed_us = began.elapsed().as_micros() as u64;
        reply.locked_bytes = Bytes(locked_bytes().saturating_sub(locked));
        container.mapped = Some(reply.clone());
        Ok(reply)
    }

    /// Repeating it is safe: what is not mapped stays so. What a holder has mapped stays mapped.
    pub fn unmap(&mut self, params: &MapParams) -> Result<()> {
        let memory = self.memory()?;
        if self.union.is_some() {
            return Err(HelperError::new("request/out-of-order", "trackers are still on; `untrack` first"));
        }
        let held = self.held.is_some();
        let container = self.container(&params.container)?;
        if held || container.mapped.is_none() {
            return Ok(());
        }
        for region in memory.regions().iter().rev() {
            container.backend.unmap(region)?;
        }
        container.mapped = None;
        Ok(())
    }

    /// Gives everything back: link, trackers, devices, containers, memory, claim.
    pub fn release(&mut self) {
        let shared = Arc::clone(&self.shared);
        *self = Self::new(Arc::clone(&self.identity), Arc::clone(&shared));
        shared.end();
    }
}

fn not_migratable(device: &str) -> HelperError {
    HelperError::new("device/not-migratable", "the device's driver has no migration, or offers no STOP_COPY")
        .device(device)
        .operation("VFIO_DEVICE_FEATURE_MIGRATION")
        .suggest("bind the device to a VFIO driver that can migrate it, e.g. mlx5_vfio_pci for an mlx5 VF")
}

fn open_region(spec: &RegionSpec) -> Result<Region> {
    let backing = match &spec.backing {
        BackingSpec::Memfd { huge_page_bytes } => Backing::Memfd { huge_page_bytes: huge_page_bytes.map(|b| b.0) },
        BackingSpec::File { path } => Backing::File { path: path.clone() },
    };
    let region = Region::open(&spec.region, Area { iova: spec.iova.0, bytes: spec.bytes.0 }, &backing)?;
    if let (BackingSpec::File { path }, Some(file), false) =
        (&spec.backing, region.descriptor(), spec.others_may_truncate)
    {
        must_be_ours(&spec.region, path, file)?;
    }
    Ok(region)
}

/// A device as the reply to `device` has it.
pub(super) fn told(device: &mut Stepper) -> Result<DeviceReply> {
    let state = device.state()?;
    let state_bytes = device.device().stop_copy_bytes()?.map(Bytes);
    Ok(DeviceReply { state, flags: flag_names(device.flags()), state_bytes })
}

fn flag_names(flags: MigrationFlags) -> Vec<&'static str> {
    [(flags.stop_copy, "stop-copy"), (flags.p2p, "p2p"), (flags.pre_copy, "pre-copy")]
        .into_iter()
        .filter_map(|(on, name)| on.then_some(name))
        .collect()
}
