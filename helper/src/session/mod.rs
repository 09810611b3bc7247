//! One side of one run: everything the helper owns for it, built up request by request and taken down in reverse.

pub mod apart;
pub mod descriptors;
pub mod exec;
mod holder;
pub mod late;
mod mismatch;
mod opened;
mod set_up;
mod settle;
pub mod shared;
#[cfg_attr(not(feature = "sim"), path = "not_simulated.rs")]
mod simulated;
mod track;
mod transfer;
mod truncatable;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::device::transitions::Stepper;
use crate::dirty::union::Union;
use crate::durable::claim::Claim;
use crate::error::{FailureKind, HelperError, Result};
use crate::memory::Memory;
use crate::message::{
    ContainerParams, DeviceAt, DeviceTarget, EventSink, MapReply, MemoryParams, ReceiveReply, Role, Then,
};
use crate::transfer::net::tls::Identity;
use opened::Opened;
use shared::Shared;
use simulated::Simulated;
use transfer::Side;

/// Fields are in the order they must be dropped: what reads a device before the device, devices before the container
/// they are attached to, containers before the memory they map, and the claim last.
pub struct Session {
    side: Option<Side>,
    union: Option<Union>,
    simulated: Simulated,
    devices: Vec<Stepper>,
    /// How each device was asked for, in the order of `devices`.
    attached: Vec<Attached>,
    containers: Vec<Container>,
    memory: Option<Arc<Memory>>,
    /// How the memory was asked for.
    layout: Option<MemoryParams>,
    /// What is held from one run to the next.
    held: Option<Held>,
    claimed: Option<Claimed>,
    /// What became of `receive`, for an owner who came while it was under way.
    received: Option<Result<ReceiveReply>>,
    identity: Arc<Identity>,
    shared: Arc<Shared>,
    clock: Instant,
}

struct Container {
    name: String,
    asked: ContainerParams,
    backend: Opened,
    /// What mapping it was answered.
    mapped: Option<MapReply>,
}

struct Attached {
    container: String,
    target: DeviceTarget,
}

struct Claimed {
    role: Role,
    run: String,
    epoch: u64,
    record_dir: PathBuf,
    then: Option<Then>,
    /// `None` in a run of a holder, which has its own.
    claim: Option<Claim>,
}

struct Held {
    workload: String,
    claim: Option<Claim>,
    /// What the run under way asked for, by name.
    asked: Vec<String>,
}

/// What the session holds once its owner is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Nothing,
    /// A workload, for the next run.
    Holding,
    /// A run that may not be undone any more.
    Unfinished,
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
            layout: None,
            simulated: Simulated::default(),
            held: None,
            claimed: None,
            received: None,
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
            return Err(cancelled());
        }
        Ok(())
    }
}

fn cancelled() -> HelperError {
    HelperError::of(FailureKind::Cancelled, "run/cancelled", "the run was cancelled")
}

/// A request that needs an earlier one.
fn out_of_order(needed: &str) -> HelperError {
    HelperError::new("request/out-of-order", format!("needs `{needed}` first"))
}
