//! What `inventory` is asked and answers: the twins of InventoryParams, InventoryReply and its parts in
//! src/protocol/protocol.ts.

use serde::{Deserialize, Serialize};

use super::SimSpec;
use super::TrackerKind;
use super::num::Bytes;
use crate::error::HelperError;
use crate::state::{DeviceState, MigrationFlags};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InventoryParams {
    /// Also PCI functions not bound to a VFIO driver.
    pub all: bool,
    /// Open devices that no one has open to ask them; ask those in use through their user's descriptor.
    pub probe: bool,
    /// Ids of the devices to open, without case; `None`: every one. Opening resets many functions, so a caller that means
    /// one device leaves the others alone.
    pub only: Option<Vec<String>>,
    pub sim: Vec<DeclaredSim>,
}

impl InventoryParams {
    pub fn probes(&self, id: &str) -> bool {
        self.probe && self.only.as_ref().is_none_or(|only| only.iter().any(|wanted| wanted.eq_ignore_ascii_case(id)))
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeclaredSim {
    pub name: String,
    pub spec: SimSpec,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InventoryReply {
    pub host: HostFacts,
    pub devices: Vec<DeviceFacts>,
    /// What could not be seen and why, one sentence each.
    pub unseen: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    pub hostname: String,
    pub kernel: String,
    pub uid: u32,
    pub page_size: u64,
    pub memlock_bytes: Option<Bytes>,
    pub memory_available_bytes: Bytes,
    pub type1: Option<bool>,
    pub iommufd: Option<bool>,
    pub iommu_present: bool,
    pub noiommu_enabled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    Mdev,
    Function,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceFacts {
    pub id: String,
    pub kind: DeviceKind,
    pub simulated: bool,
    pub sysfs_path: Option<String>,
    pub physical_function: Option<String>,
    pub virtual_functions: u32,
    pub vendor: Option<String>,
    pub device: Option<String>,
    pub class: Option<String>,
    pub mdev_type: Option<String>,
    pub mdev_parent: Option<String>,
    pub driver: Option<String>,
    pub group: Option<GroupFacts>,
    pub cdev: Option<CdevFacts>,
    pub migration: Option<MigrationFacts>,
    pub trackers: Vec<TrackerFacts>,
    pub probe: ProbeFacts,
}

/// `node` is `None` where the kernel made the directory but no character device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CdevFacts {
    pub name: String,
    pub node: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IommuKind {
    Emulated,
    Physical,
    Noiommu,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupFacts {
    pub id: String,
    pub node: Option<String>,
    #[serde(rename = "type")]
    pub domain: Option<String>,
    pub iommu: IommuKind,
    pub members: Vec<MemberFacts>,
    pub viable: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberFacts {
    pub id: String,
    pub driver: Option<String>,
    pub blocks_group: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MigrationFacts {
    pub supported: bool,
    pub flags: Vec<&'static str>,
    pub state: Option<DeviceState>,
    pub state_bytes: Option<Bytes>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrackerFacts {
    pub kind: TrackerKind,
    pub available: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl TrackerFacts {
    pub fn new(kind: TrackerKind, available: Option<bool>, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { kind, available, reason: (!reason.is_empty()).then_some(reason) }
    }
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeFacts {
    pub done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<&'static str>,
    /// The process that has the device open, where /proc shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<HelperError>,
}

impl ProbeFacts {
    pub fn skipped(why: &'static str) -> Self {
        Self { skipped: Some(why), ..Self::default() }
    }

    pub fn failed(error: HelperError) -> Self {
        let skipped = match error.code {
            "device/busy" => "busy",
            "device/no-permission" => "no-permission",
            _ => "failed",
        };
        Self { skipped: Some(skipped), error: Some(error), ..Self::default() }
    }

    pub fn done(via: &'static str) -> Self {
        Self { done: true, via: Some(via), ..Self::default() }
    }

    #[must_use]
    pub fn held_by(self, pid: u32) -> Self {
        Self { held_by: Some(pid), ..self }
    }
}

/// The flags' names on the control line.
pub fn flag_names(flags: MigrationFlags) -> Vec<&'static str> {
    [(flags.stop_copy, "stop-copy"), (flags.p2p, "p2p"), (flags.pre_copy, "pre-copy")]
        .into_iter()
        .filter_map(|(on, name)| on.then_some(name))
        .collect()
}
