//! In place of `simulated` in a helper built without the simulator: whatever would need one is refused.

use super::opened::Opened;
use crate::device::Device;
use crate::error::Result;
use crate::memory::{Memory, Region};
use crate::message::{CheckReply, FillSpec, Role, SimSpec, not_built};

/// Of a simulated device: there is none.
pub(super) enum Probe {}

#[derive(Default)]
pub(super) struct Simulated {}

impl Simulated {
    pub(super) fn fill(&mut self, _: &Region, _: FillSpec, _: Role) -> Result<()> {
        Err(not_built())
    }

    pub(super) fn open(_: &mut Opened, _: &str, _: SimSpec, _: usize, _: Role) -> Result<(Box<dyn Device>, Probe)> {
        Err(not_built())
    }

    pub(super) fn watch(&mut self, probe: Probe) {
        match probe {}
    }

    pub(super) fn check(&self, _: &Memory) -> Result<CheckReply> {
        Err(not_built())
    }
}
