//! What a request may choose between.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum TrackerKind {
    Pinned,
    Device,
    Iommu,
    /// What other processes write by CPU.
    Process,
    All,
}

/// How the writes of a process are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessMethod {
    #[default]
    Auto,
    WriteProtect,
    SoftDirty,
}

/// How a process is stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreezeWith {
    /// By its cgroup where it has one of its own, else by signal.
    #[default]
    Auto,
    Cgroup,
    Signal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendKind {
    Type1,
    Iommufd,
    Sim,
}
