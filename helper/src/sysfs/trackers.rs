//! Which trackers a device could have on this host, and why not.

use super::ask::Answers;
use super::host::Container;
use crate::dirty::TrackerKind;
use crate::message::{DeviceFacts, IommuKind, TrackerFacts};

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
        Some(IommuKind::Noiommu) => (Some(false), "a noiommu group has no IOMMU mapping"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::MigrationFlags;
    use crate::message::{DeviceKind, GroupFacts, MigrationFacts, ProbeFacts, flag_names};

    const TYPE1: Container = Container { type1: Some(true), compat: false };

    fn device(iommu: IommuKind) -> DeviceFacts {
        DeviceFacts {
            id: "10000:00:00.0".to_owned(),
            kind: DeviceKind::Function,
            simulated: false,
            sysfs_path: None,
            physical_function: None,
            virtual_functions: 0,
            vendor: None,
            device: None,
            class: None,
            mdev_type: None,
            mdev_parent: None,
            driver: Some("any".to_owned()),
            group: Some(GroupFacts {
                id: "3".to_owned(),
                node: None,
                domain: None,
                iommu,
                members: Vec::new(),
                viable: None,
            }),
            cdev: None,
            migration: None,
            trackers: Vec::new(),
            probe: ProbeFacts::skipped("not-asked"),
        }
    }

    fn said(dma_log: bool, iommu_tracks: Option<bool>) -> Answers {
        let flags = flag_names(MigrationFlags::from_raw(0));
        let migration = MigrationFacts { supported: false, flags, state: None, state_bytes: None };
        Answers { migration, dma_log, iommu_tracks }
    }

    /// pinned, device, iommu, all
    fn available(facts: &DeviceFacts, iommufd: bool, answers: Option<&Answers>) -> Vec<Option<bool>> {
        judge(facts, TYPE1, iommufd, answers).into_iter().map(|tracker| tracker.available).collect()
    }

    #[test]
    fn each_device_is_judged_by_its_own_answers() {
        let (yes, no) = (Some(true), Some(false));
        let physical = device(IommuKind::Physical);
        // Two functions of one host: one behind an IOMMU with dirty bits, one behind another without.
        assert_eq!(available(&physical, true, Some(&said(false, yes))), [no, no, yes, yes]);
        assert_eq!(available(&physical, true, Some(&said(true, no))), [no, yes, no, yes]);
        // Asked through its group, or not at all: nothing is known of the IOMMU.
        assert_eq!(available(&physical, true, Some(&said(true, None))), [no, yes, None, yes]);
        assert_eq!(available(&physical, true, None), [no, None, None, yes]);
        assert_eq!(available(&physical, false, Some(&said(false, yes))), [no, no, no, yes], "who would read them?");
        let mdev = device(IommuKind::Emulated);
        assert_eq!(available(&mdev, true, Some(&said(true, None))), [yes, yes, no, yes]);
        assert_eq!(available(&mdev, true, Some(&said(false, None))), [yes, no, no, yes]);
    }

    #[test]
    fn what_is_not_there_says_why() {
        for facts in [device(IommuKind::Physical), device(IommuKind::Emulated), device(IommuKind::Noiommu)] {
            for answers in [None, Some(said(false, Some(false)))] {
                for tracker in judge(&facts, TYPE1, true, answers.as_ref()) {
                    assert!(tracker.available == Some(true) || tracker.reason.is_some(), "{tracker:?}");
                }
            }
        }
    }
}
