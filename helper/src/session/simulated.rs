//! What a session keeps of its simulated devices, beside what it keeps of every device: enough to hold the memory against
//! what they wrote.

use super::opened::Opened;
use crate::device::Device;
use crate::error::{HelperError, Result};
use crate::memory::{Memory, Region};
use crate::message::num::{Bytes, Iova};
use crate::message::{CheckReply, FillSpec, LostPage, Role, SimSpec};
use crate::sim::device::{Probe, check};
use crate::sim::stamps::{Fill, fill};

#[derive(Default)]
pub(super) struct Simulated {
    probes: Vec<Probe>,
    /// Initial content of the regions that were given one, by name.
    fills: Vec<(String, Fill)>,
}

impl Simulated {
    /// Gives a region its initial content. A destination only needs to know what a source began with, to check what
    /// arrived.
    pub(super) fn fill(&mut self, region: &Region, content: FillSpec, role: Role) -> Result<()> {
        let content = Fill { seed: content.seed, zero_percent: content.zero_percent };
        self.fills.push((region.name().to_owned(), content));
        if role == Role::Source {
            fill(region, content.seed, content.zero_percent);
        }
        Ok(())
    }

    /// Opens the device that is the workload's number `ordinal`. What is returned with it is for [`Self::watch`].
    pub(super) fn open(
        container: &mut Opened,
        device: &str,
        spec: SimSpec,
        ordinal: usize,
        role: Role,
    ) -> Result<(Box<dyn Device>, Probe)> {
        let bad = |message: &str| HelperError::new("request/bad-params", message).device(device);
        let Opened::Sim(backend) = container else {
            return Err(bad("a simulated device needs a container of backend sim"));
        };
        let slot = u8::try_from(ordinal).map_err(|_| bad("too many simulated devices"))?;
        let opened = backend.open_sim(device, spec, slot, role == Role::Source)?;
        let probe = opened.probe();
        Ok((Box::new(opened), probe))
    }

    pub(super) fn watch(&mut self, probe: Probe) {
        self.probes.push(probe);
    }

    /// Replays what the devices wrote and compares every page.
    pub(super) fn check(&self, memory: &Memory) -> Result<CheckReply> {
        if self.probes.is_empty() {
            return Err(HelperError::new(
                "check/no-sim",
                "no simulated device: the expected content of the memory is unknown",
            ));
        }
        let initial = |region: &str| self.fills.iter().find(|(name, _)| name == region).map(|(_, content)| *content);
        let report = check(&self.probes, memory, &initial)?;
        let lost = report.lost.into_iter().map(|page| LostPage {
            iova: Iova(page.iova),
            device: page.device,
            expected: Bytes(page.expected),
            found: Bytes(page.found),
        });
        Ok(CheckReply {
            pages: report.pages,
            writes: Bytes(report.writes),
            lost_pages: report.lost_pages,
            lost: lost.collect(),
        })
    }
}
