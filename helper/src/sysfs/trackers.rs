//! Which trackers a device could have on this host, and why not.

use super::ask::Answers;
use super::facts::{DeviceFacts, IommuKind, TrackerFacts};
use super::host::Container;
use crate::dirty::TrackerKind;

/// All four kinds, each judged. `answers`: what the device said, if it was asked.
pub fn judge(facts: &DeviceFacts, container: Container, iommufd: bool, answers: Option<&Answers>) -> Vec<TrackerFacts> {
    let kind = facts.group.as_ref().map(|group| group.iommu);
    let (pinned, why_pinned) = pinned(kind, container);
    let (device, why_device) = match answers.map(|answers| answers.dma_log) {
        Some(true) => (Some(true), ""),
        Some(false) => (Some(false), "the driver keeps no log of the device's DMA"),
        None => (None, "the device was not asked"),
    };
    let (iommu, why_iommu) = iommu(kind, iommufd, answers.and_then(|answers| answers.iommu_tracks));
    vec![
        TrackerFacts::new(TrackerKind::Pinned, pinned, why_pinned),
        TrackerFacts::new(TrackerKind::Device, device, why_device),
        TrackerFacts::new(TrackerKind::Iommu, iommu, why_iommu),
        TrackerFacts::new(TrackerKind::All, Some(true), "every mapped page counts as dirty in every round"),
    ]
}

fn pinned(kind: Option<IommuKind>, container: Container) -> (Option<bool>, &'static str) {
    match kind {
        None => (Some(false), "the device has no IOMMU group"),
        Some(IommuKind::Noiommu) => (Some(false), "a noiommu group is mapped by nobody"),
        Some(IommuKind::Physical) => (
            Some(false),
            "a physical group makes every page of its container dirty; only emulated groups have this scope",
        ),
        Some(IommuKind::Emulated) => match container.type1 {
            Some(true) if container.compat => {
                (Some(false), "/dev/vfio/vfio is iommufd's imitation of type1, which tracks nothing")
            }
            Some(true) => (Some(true), ""),
            Some(false) => (Some(false), "this host has no type1 container"),
            None => (None, "/dev/vfio/vfio could not be opened by this user"),
        },
    }
}

fn iommu(kind: Option<IommuKind>, iommufd: bool, tracks: Option<bool>) -> (Option<bool>, &'static str) {
    match kind {
        None => (Some(false), "the device has no IOMMU group"),
        Some(IommuKind::Noiommu) => (Some(false), "a noiommu group has no page table"),
        Some(IommuKind::Emulated) => (Some(false), "an mdev's DMA does not pass the IOMMU"),
        Some(IommuKind::Physical) if !iommufd => (Some(false), "this host has no iommufd"),
        Some(IommuKind::Physical) => match tracks {
            Some(true) => (Some(true), ""),
            Some(false) => (Some(false), "the IOMMU behind this device has no dirty bits, or they are switched off"),
            None => (None, "iommufd could not be asked about this device"),
        },
    }
}
