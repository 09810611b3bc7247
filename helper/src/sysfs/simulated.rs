//! Devices a profile declares as simulated: their specification is all there is to know.

use crate::device::DeviceState;
use crate::dirty::TrackerKind;
use crate::message::{DeclaredSim, DeviceFacts, DeviceKind, MigrationFacts, ProbeFacts, TrackerFacts};
use crate::message::{SimFlag, SimModel};

pub fn facts(declared: &DeclaredSim) -> DeviceFacts {
    let spec = &declared.spec;
    let named = [(SimFlag::StopCopy, "stop-copy"), (SimFlag::P2p, "p2p"), (SimFlag::PreCopy, "pre-copy")];
    let flags: Vec<&'static str> =
        named.into_iter().filter_map(|(flag, name)| spec.flags.contains(&flag).then_some(name)).collect();
    let supported = spec.flags.contains(&SimFlag::StopCopy);
    let trackers = [TrackerKind::Pinned, TrackerKind::Device, TrackerKind::Iommu, TrackerKind::All]
        .into_iter()
        .map(|kind| match spec.trackers.contains(&kind) || kind == TrackerKind::All {
            true => TrackerFacts::new(kind, Some(true), ""),
            false => TrackerFacts::new(kind, Some(false), "not among the trackers its `sim` block lists"),
        })
        .collect();
    DeviceFacts {
        id: declared.name.clone(),
        kind: match spec.model {
            SimModel::Mdev => DeviceKind::Mdev,
            SimModel::Function => DeviceKind::Function,
        },
        simulated: true,
        sysfs_path: None,
        physical_function: None,
        virtual_functions: 0,
        vendor: None,
        device: None,
        class: None,
        mdev_type: None,
        mdev_parent: None,
        driver: None,
        group: None,
        cdev: None,
        migration: Some(MigrationFacts {
            supported,
            flags,
            state: supported.then_some(DeviceState::Running),
            state_bytes: supported.then_some(spec.state_bytes),
        }),
        trackers,
        probe: ProbeFacts::done("sim"),
    }
}
