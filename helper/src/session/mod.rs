//! One side of one run: everything the helper owns for it, built up request by request and taken down in reverse.

pub mod claim;
pub mod resident;
mod set_up;
pub mod shared;
pub mod steer;
mod track;
mod transfer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::control::message::{DeviceAt, EventSink, Role};
use crate::device::transitions::Stepper;
use crate::dirty::union::Union;
use crate::error::{HelperError, Result};
use crate::iommu::Backend;
use crate::memory::Memory;
use crate::stamps::Fill;
use crate::transfer::tls::Identity;
use claim::Claim;
use shared::Shared;
use transfer::Side;

/// Fields are in the order they must be dropped: what reads a device before the device, devices before the container
/// they are attached to, containers before the memory they map, and the claim last.
pub struct Session {
    side: Option<Side>,
    union: Option<Union>,
    devices: Vec<Stepper>,
    /// Container of each device, in the order of `devices`.
    attached: Vec<String>,
    containers: Vec<Container>,
    memory: Option<Arc<Memory>>,
    /// Initial content of the regions that were given one, by name.
    fills: Vec<(String, Fill)>,
    claimed: Option<Claimed>,
    identity: Arc<Identity>,
    shared: Arc<Shared>,
    clock: Instant,
}

struct Container {
    name: String,
    backend: Box<dyn Backend>,
    mapped: bool,
}

struct Claimed {
    role: Role,
    run: String,
    epoch: u64,
    record_dir: PathBuf,
    _claim: Claim,
}

impl Session {
    pub fn new(identity: Arc<Identity>, shared: Arc<Shared>) -> Self {
        Self {
            side: None,
            union: None,
            devices: Vec::new(),
            attached: Vec::new(),
            containers: Vec::new(),
            memory: None,
            fills: Vec::new(),
            claimed: None,
            identity,
            shared,
            clock: Instant::now(),
        }
    }

    fn events(&self) -> Arc<dyn EventSink> {
        Arc::clone(&self.shared) as Arc<dyn EventSink>
    }

    fn claimed(&self) -> Result<&Claimed> {
        self.claimed.as_ref().ok_or_else(|| out_of_order("claim"))
    }

    fn memory(&self) -> Result<Arc<Memory>> {
        self.memory.clone().ok_or_else(|| out_of_order("memory"))
    }

    fn container(&mut self, name: &str) -> Result<&mut Container> {
        self.containers
            .iter_mut()
            .find(|container| container.name == name)
            .ok_or_else(|| HelperError::new("request/unknown-container", format!("no container `{name}` in this run")))
    }

    /// Each device's state as it is read now.
    fn states(&mut self) -> Result<Vec<DeviceAt>> {
        let read = self
            .devices
            .iter_mut()
            .map(|device| Ok(DeviceAt { state: device.state()?, device: device.name().to_owned() }));
        read.collect()
    }

    /// A long request does not begin once a cancel was asked for.
    fn not_cancelled(&self) -> Result<()> {
        if self.shared.is_cancelled() {
            return Err(HelperError::new("run/cancelled", "the run was cancelled"));
        }
        Ok(())
    }
}

/// A request that needs an earlier one.
fn out_of_order(needed: &str) -> HelperError {
    HelperError::new("request/out-of-order", format!("needs `{needed}` first"))
}
