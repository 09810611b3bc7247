//! What this host has: devices, their IOMMU groups, backends, trackers, limits. Reading /sys needs no root; what
//! does is said in `unseen` instead of being left out in silence.

mod ask;
mod device;
mod group;
mod host;
mod probe;
#[cfg(feature = "sim")]
mod simulated;
#[cfg(test)]
mod tests;
mod trackers;

use std::path::Path;

pub use crate::message::{
    CdevFacts, DeclaredSim, DeviceFacts, DeviceKind, GroupFacts, HostFacts, InventoryParams, InventoryReply, IommuKind,
    MemberFacts, MigrationFacts, ProbeFacts, TrackerFacts,
};

use crate::error::Result;
use crate::iommu::holders;

/// Looks at the host below `root` (`/` except in tests). Devices are only opened when `params.probe` says so, and
/// never while somebody uses them.
///
/// # Errors
/// `sim/not-built` when it is asked for simulated devices and has none.
pub fn inventory(params: &InventoryParams, root: &Path) -> Result<InventoryReply> {
    #[cfg(not(feature = "sim"))]
    if !params.sim.is_empty() {
        return Err(crate::message::not_built());
    }
    let mut unseen = Vec::new();
    let container = host::container(root);
    let host = host::facts(root, container, &mut unseen);
    let iommufd = host.iommufd == Some(true);
    let users = holders::all(root);
    if host.uid != 0 && params.probe {
        unseen.push("not root: which devices other users have open cannot be seen".to_owned());
    }
    let mut devices = Vec::new();
    for mut seen in device::list(root, params.all, &mut unseen) {
        let bound = seen.facts.driver.is_some() && (seen.facts.cdev.is_some() || has_node(&seen.facts));
        let answers = match (params.probes(&seen.facts.id), bound) {
            (false, _) => None,
            (true, false) => {
                seen.facts.probe = ProbeFacts::skipped("not-bound");
                None
            }
            (true, true) => probe::probe(&mut seen, &users),
        };
        seen.facts.trackers = trackers::judge(&seen.facts, container, iommufd, answers.as_ref());
        seen.facts.migration = answers.map(|answers| answers.migration);
        devices.push(seen.facts);
    }
    #[cfg(feature = "sim")]
    devices.extend(params.sim.iter().map(simulated::facts));
    Ok(InventoryReply { host, devices, unseen })
}

fn has_node(facts: &DeviceFacts) -> bool {
    facts.group.as_ref().is_some_and(|group| group.node.is_some())
}
