//! A holder: memory, containers, devices and maps stay from one run to the next, and a run's requests for them only
//! compare. Between runs every device is RUNNING.

use std::sync::Arc;

use super::mismatch::{container_differences, memory_differences, target_differences};
use super::set_up::told;
use super::shared::Shared;
use super::transfer::Side;
use super::{Held, Session, out_of_order};
use crate::device::DeviceState;
use crate::error::{HelperError, Result};
use crate::message::num::Bytes;
use crate::message::{
    ClaimParams, ContainerParams, DeviceParams, DeviceReply, MapParams, MapReply, MemoryParams, MemoryReply, Phase,
    Role, RollbackParams,
};

impl Held {
    /// # Errors
    /// `holder/mismatch` when the run is not for this holder's devices, or would load into them.
    pub(super) fn may_run(&mut self, claim: &ClaimParams) -> Result<()> {
        let mut wrong = Vec::new();
        if claim.role == Role::Destination {
            wrong.push("a holder's devices run, and nothing can be loaded into them".to_owned());
        }
        let known = self.claim.as_ref().map(|claim| claim.devices().to_vec()).unwrap_or_default();
        let unknown: Vec<_> = claim.devices.iter().filter(|device| !known.contains(device)).cloned().collect();
        if !unknown.is_empty() {
            wrong.push(format!("it does not hold {} (it holds {})", unknown.join(", "), known.join(", ")));
        }
        self.asked.clear();
        mismatch(&self.workload, wrong)
    }
}

/// `holder/mismatch` naming all of `wrong`, if there is any.
fn mismatch(workload: &str, wrong: Vec<String>) -> Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    Err(HelperError::new("holder/mismatch", format!("the holder of {workload}: {}", wrong.join("; ")))
        .suggest("release the holder and hold again with a profile that plans for this run, or change the profile"))
}

impl Session {
    pub fn is_holder(&self) -> bool {
        self.held.is_some()
    }

    /// # Errors
    /// `request/out-of-order` when there is nothing to hold, or a run is not over: what is held runs here, and no one
    /// else may run it.
    pub fn may_stay(&mut self) -> Result<()> {
        let refuse = |why: String| Err(HelperError::new("request/out-of-order", format!("cannot be held: {why}")));
        let phase = self.shared.phase();
        let role = self.claimed()?.role;
        if self.memory.is_none() || self.devices.is_empty() {
            return Err(out_of_order("memory, container, device and map"));
        }
        if let Some(unmapped) = self.containers.iter().find(|container| container.mapped.is_none()) {
            return refuse(format!("container `{}` is not mapped", unmapped.name));
        }
        let over = match &self.side {
            // A destination that took nothing in has nothing of the workload.
            None => role == Role::Source,
            Some(Side::Listening(_)) => false,
            Some(Side::Source(source)) => phase == Phase::RolledBack && !source.is_committed(),
            Some(Side::Destination(_)) => phase == Phase::Running,
        };
        if !over {
            return refuse("the run is not over here".to_owned());
        }
        let states = self.states()?;
        let standing: Vec<_> = states.iter().filter(|at| at.state != DeviceState::Running).collect();
        if standing.is_empty() {
            return Ok(());
        }
        let named: Vec<_> = standing.iter().map(|at| format!("{} is {}", at.device, at.state)).collect();
        refuse(named.join(", "))
    }

    /// Ends the run and keeps everything it opened, as the holder of `workload`.
    ///
    /// # Errors
    /// Those of [`Self::may_stay`], and of a tracker that cannot be stopped.
    pub fn stay(&mut self, workload: &str) -> Result<()> {
        self.may_stay()?;
        self.untrack()?;
        self.note_settled();
        let claim = match (self.held.take(), self.claimed.take()) {
            (Some(held), _) => held.claim,
            (None, claimed) => claimed.and_then(|claimed| claimed.claim),
        };
        self.held = Some(Held { workload: workload.to_owned(), claim, asked: Vec::new() });
        self.side = None;
        self.shared.hold(workload);
        Ok(())
    }

    /// A holder's run is over and its devices stay. What is not undone yet is undone first.
    ///
    /// # Errors
    /// `request/out-of-order` past COMMIT: the workload is, or may be, elsewhere.
    pub fn keep(&mut self) -> Result<()> {
        if self.is_committed() {
            return Err(HelperError::new(
                "request/out-of-order",
                "the run is committed: its devices are stopped here, and stay so until they are released",
            ));
        }
        let undone = match &self.claimed {
            Some(_) if self.shared.phase() != Phase::RolledBack => self.rollback(&RollbackParams::default()).map(drop),
            _ => Ok(()),
        };
        let untracked = self.untrack();
        self.back_to_holding();
        undone.and(untracked)
    }

    pub(super) fn back_to_holding(&mut self) {
        self.side = None;
        self.union = None;
        self.claimed = None;
        let shared: Arc<Shared> = Arc::clone(&self.shared);
        if let Some(held) = &mut self.held {
            held.asked.clear();
            shared.hold(&held.workload);
        }
    }

    /// Notes what the run asked for, and says what was wrong with it.
    fn compared(&mut self, what: String, wrong: Vec<String>) -> Result<()> {
        let Some(held) = &mut self.held else { return Err(out_of_order("stay")) };
        mismatch(&held.workload, wrong)?;
        if !held.asked.contains(&what) {
            held.asked.push(what);
        }
        self.shared.set_phase(Phase::SetUp);
        Ok(())
    }

    pub(super) fn same_memory(&mut self, asked: &MemoryParams) -> Result<MemoryReply> {
        let wrong = self.layout.as_ref().map(|held| memory_differences(held, asked)).unwrap_or_default();
        self.compared("the memory".to_owned(), wrong)?;
        // A run before this one, or the holder's clients, may have written to it.
        self.memory()?.forget_content();
        Ok(MemoryReply { bytes: Bytes(self.memory()?.bytes()), elapsed_us: 0 })
    }

    pub(super) fn same_container(&mut self, asked: &ContainerParams) -> Result<()> {
        let wrong = match self.containers.iter().find(|container| container.name == asked.container) {
            Some(container) => container_differences(&container.asked, asked),
            None => vec![self.no_such_container(&asked.container)],
        };
        self.compared(format!("container {}", asked.container), wrong)
    }

    fn no_such_container(&self, wanted: &str) -> String {
        let names: Vec<_> = self.containers.iter().map(|container| container.name.as_str()).collect();
        format!("it has no container `{wanted}` (it has {})", names.join(", "))
    }

    pub(super) fn same_device(&mut self, asked: &DeviceParams) -> Result<DeviceReply> {
        let found = self.devices.iter().position(|device| device.name() == asked.device);
        let wrong = match found.and_then(|index| self.attached.get(index)) {
            Some(attached) => {
                let mut wrong = target_differences(&asked.device, &attached.target, &asked.target);
                if attached.container != asked.container {
                    let (held, asked) = (&attached.container, &asked.container);
                    wrong.push(format!("its container is `{held}`, the run wants `{asked}`"));
                }
                wrong
            }
            None => vec![format!("it has no device `{}`", asked.device)],
        };
        self.compared(format!("device {}", asked.device), wrong)?;
        let device = found.and_then(|index| self.devices.get_mut(index)).ok_or_else(|| out_of_order("device"))?;
        let reply = told(device)?;
        if reply.state == DeviceState::Running {
            return Ok(reply);
        }
        let message = format!("the holder has it in {}", reply.state);
        Err(HelperError::new("holder/not-running", message)
            .device(&asked.device)
            .state(reply.state)
            .suggest("an earlier run left it so: look at it, then release the holder and hold again"))
    }

    pub(super) fn same_map(&mut self, asked: &MapParams) -> Result<MapReply> {
        let mapped = match self.containers.iter().find(|container| container.name == asked.container) {
            Some(container) => container.mapped.clone().ok_or_else(|| out_of_order("map"))?,
            None => return Err(self.container(&asked.container).err().unwrap_or_else(|| out_of_order("container"))),
        };
        self.compared(format!("the mapping of {}", asked.container), Vec::new())?;
        Ok(MapReply { elapsed_us: 0, ..mapped })
    }

    /// Whatever the run did not name would go on working while the rest moves.
    ///
    /// # Errors
    /// `holder/mismatch` naming what was left out.
    pub(super) fn asked_for_all(&self) -> Result<()> {
        let Some(held) = &self.held else { return Ok(()) };
        let devices = self.devices.iter().map(|device| format!("device {}", device.name()));
        let containers = self.containers.iter().map(|container| format!("container {}", container.name));
        let missing: Vec<_> = std::iter::once("the memory".to_owned())
            .chain(devices)
            .chain(containers)
            .filter(|what| !held.asked.contains(what))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        mismatch(&held.workload, vec![format!("the run does not name {}, which it holds", missing.join(", "))])
    }
}
