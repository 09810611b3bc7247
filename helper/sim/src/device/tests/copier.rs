//! "Nothing lost" in small: a copier that reads a tracker and copies what it names, against a device at full speed.

use std::sync::Arc;

use proptest::prelude::*;

use crate::area::Area;
use crate::device::testing::{check, container, fill_all, memory, position, spec, wait_writes, with_faults};
use crate::device::{SimDevice, SimFault, SimModel, SimSpec};
use crate::dirty::{DirtyBitmap, Tracker, TrackerKind};
use crate::memory::Memory;
use crate::stamps::{CheckReport, Fill, Mismatch, Pattern};
use ferry_vfio::device::{Device, DeviceState};
use ferry_vfio::iommu::Backend;

const FILL: Fill = Fill { seed: 3, zero_percent: 30 };
const REGIONS: [(u64, u64); 2] = [(0x10_0000, 256), (0x100_0000, 130)];

fn copy(from: &Memory, to: &Memory, area: Area) {
    let target = to.slice(area.iova, area.bytes).expect("inside");
    from.slice(area.iova, area.bytes).expect("inside").copy_to_volatile_slice(target);
}

/// Moves the memory of `specs` (all in one container) under load with the trackers of `kind`, `rounds` times over,
/// then stops the devices, reads a last time, and returns the devices with both memories.
fn migrate_memory(specs: &[SimSpec], kind: TrackerKind, rounds: usize) -> (Vec<SimDevice>, Arc<Memory>, Arc<Memory>) {
    let (source, copied) = (memory(&REGIONS), memory(&REGIONS));
    fill_all(&source, FILL);
    let mut backend = container(&source, kind == TrackerKind::Iommu);
    let mut devices: Vec<SimDevice> = Vec::new();
    for (slot, spec) in specs.iter().enumerate() {
        devices.push(backend.open_sim(&format!("d{slot}"), spec.clone(), slot as u8, true).expect("open"));
    }
    let mut trackers: Vec<Box<dyn Tracker>> = match kind {
        TrackerKind::Device => devices.iter_mut().map(|device| device.dma_log("log", &source).expect("log")).collect(),
        kind => vec![backend.tracker("container", kind, &source).expect("tracker")],
    };
    trackers.iter_mut().for_each(|tracker| tracker.start().expect("start"));
    source.areas().into_iter().for_each(|area| copy(&source, &copied, area));
    for round in 0..=rounds {
        if round == rounds {
            devices.iter_mut().for_each(|device| assert!(device.set_state(DeviceState::Stop).expect("stop").is_none()));
        } else {
            devices.iter().for_each(|device| wait_writes(device, 500));
        }
        let mut dirty = DirtyBitmap::new(4096, &source.areas());
        trackers.iter_mut().for_each(|tracker| assert!(tracker.read(&mut dirty).expect("read") <= dirty.count()));
        dirty.runs(64 * 4096).for_each(|run| copy(&source, &copied, run));
    }
    trackers.iter_mut().for_each(|tracker| tracker.stop().expect("stop"));
    (devices, source, copied)
}

fn check_all(devices: &mut [SimDevice], memory: &Memory) -> CheckReport {
    let mut devices: Vec<&mut SimDevice> = devices.iter_mut().collect();
    check(&mut devices, memory, &|_| Some(FILL)).expect("check")
}

fn model(kind: TrackerKind) -> SimModel {
    if kind == TrackerKind::Pinned { SimModel::Mdev } else { SimModel::Function }
}

fn specs(kind: TrackerKind, pattern: Pattern) -> Vec<SimSpec> {
    // Overlapping windows, one of them across the whole of the first region.
    let mut first = spec(model(kind), REGIONS[0].0, 256);
    let mut second = spec(model(kind), REGIONS[0].0 + 100 * 4096, 100);
    let third = spec(model(kind), REGIONS[1].0 + 4096, 128);
    first.pattern = pattern;
    second.seed = 77;
    vec![first, second, third]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn nothing_is_lost_by_any_tracker(
        kind in prop::sample::select(vec![TrackerKind::Device, TrackerKind::Pinned, TrackerKind::Iommu]),
        pattern in prop::sample::select(vec![Pattern::Uniform, Pattern::Hot, Pattern::Sequential]),
        rounds in 1usize..12,
    ) {
        let (mut devices, source, copied) = migrate_memory(&specs(kind, pattern), kind, rounds);
        for (name, memory) in [("source", &source), ("copy", &copied)] {
            let report = check_all(&mut devices, memory);
            prop_assert_eq!(&report.lost, &vec![], "{}", name);
            prop_assert_eq!((report.pages, report.lost_pages), (386, 0));
            prop_assert!(report.writes >= 1500 * rounds as u64);
        }
    }

    #[test]
    fn a_broken_dirty_bit_loses_its_page_and_the_checker_names_it(
        kind in prop::sample::select(vec![TrackerKind::Device, TrackerKind::Pinned, TrackerKind::Iommu]),
        nth in 1u64..6,
        which in 0usize..3,
    ) {
        let mut specs = specs(kind, Pattern::Uniform);
        // The other devices keep out of its window, and write too little to matter for the container's trackers.
        specs[0].window.bytes.0 = 90 * 4096;
        specs[which] = with_faults(specs[which].clone(), &[SimFault::DropDirtyBit { nth }]);
        let (mut devices, source, copied) = migrate_memory(&specs, kind, 5);
        prop_assert_eq!(check_all(&mut devices, &source).lost_pages, 0);
        let report = check_all(&mut devices, &copied);
        prop_assert_eq!(report.lost_pages, 1);
        let lost = &report.lost[0];
        prop_assert_eq!(Some(lost.iova), devices[which].broken_page());
        prop_assert_eq!(&lost.device, &format!("d{which}"));
        prop_assert_eq!(lost.mismatch, Mismatch::Stale);
        prop_assert!(lost.found < lost.expected);
    }
}

/// The order of data and dirty bit, and bits that must not be lost to a concurrent clear: every page is written once
/// (one lap of a sequential engine), so a bit that gets lost is not made good by a later write, and the copier reads
/// without a pause, so that its reads fall between any two instructions of a write.
#[test]
fn no_interleaving_of_write_and_read_loses_a_page() {
    for kind in [TrackerKind::Device, TrackerKind::Iommu] {
        let regions = [(0, 1 << 17)];
        let (source, copied) = (memory(&regions), memory(&regions));
        let mut backend = container(&source, kind == TrackerKind::Iommu);
        let mut spec = spec(SimModel::Function, 0, 1 << 17);
        spec.pattern = Pattern::Sequential;
        let mut device = backend.open_sim("d", spec, 0, false).expect("open");
        let mut tracker = match kind {
            TrackerKind::Device => device.dma_log("log", &source).expect("log"),
            kind => backend.tracker("container", kind, &source).expect("tracker"),
        };
        tracker.start().expect("start");
        device.reprogram(0);
        let mut dirty = DirtyBitmap::new(4096, &source.areas());
        let mut rounds = 0;
        loop {
            let last = position(&device) >= 40_000;
            if last {
                device.set_state(DeviceState::Stop).expect("stop");
            }
            tracker.read(&mut dirty).expect("read");
            dirty.runs(4096).for_each(|run| copy(&source, &copied, run));
            dirty.clear();
            rounds += 1;
            if last {
                break;
            }
        }
        let report = check(&mut [&mut device], &copied, &|_| None).expect("check");
        assert_eq!((report.lost, report.writes >= 40_000), (vec![], true), "{kind:?}, {rounds} rounds");
    }
}

#[test]
fn a_page_that_was_not_copied_is_named_with_what_is_there() {
    let kind = TrackerKind::Device;
    let (mut devices, _, copied) = migrate_memory(&specs(kind, Pattern::Sequential), kind, 2);
    // Damage by hand: initial content, half a write, another page's stamp.
    copied.slice(REGIONS[1].0, 8).expect("page").copy_from(&[0xa5u8; 8]);
    copied.slice(REGIONS[0].0 + 200, 8).expect("page").copy_from(&[0xa5u8; 8]);
    let to = copied.slice(REGIONS[0].0 + 4096 * 9, 256).expect("page");
    copied.slice(REGIONS[0].0 + 4096 * 8, 256).expect("page").copy_to_volatile_slice(to);
    let report = check_all(&mut devices, &copied);
    let named: Vec<_> = report.lost.iter().map(|lost| (lost.iova, lost.device.as_str(), lost.mismatch)).collect();
    assert_eq!(
        named,
        [
            (REGIONS[0].0, "d0", Mismatch::Torn),
            (REGIONS[0].0 + 4096 * 9, "d0", Mismatch::Misplaced),
            (REGIONS[1].0, "initial content", Mismatch::Stale),
        ]
    );
    assert_eq!(report.lost[0].expected, report.lost[0].found);
    assert_eq!((report.lost[2].expected, report.lost[2].found), (0, 0));
}

#[test]
fn many_losses_are_counted_and_eight_of_them_named() {
    let kind = TrackerKind::Pinned;
    let (mut devices, _, _) = migrate_memory(&specs(kind, Pattern::Uniform), kind, 1);
    let empty = memory(&REGIONS);
    let report = check_all(&mut devices, &empty);
    assert!(report.lost_pages > 200);
    assert_eq!(report.lost.len(), 8);
}
