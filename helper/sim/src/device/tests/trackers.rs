//! Trackers and page table behave as the kernel's: what is dirty when no one writes, who is refused, what an unmap
//! does to a device that does not stop.

use std::sync::Arc;

use crate::device::SimModel;
use crate::device::testing::{check, container, device, memory, position, spec, wait_until, wait_writes};
use crate::dirty::{DirtyBitmap, Tracker, TrackerKind};
use crate::iommu::SimBackend;
use crate::memory::Memory;
use ferry_vfio::device::{Device, DeviceState};
use ferry_vfio::iommu::Backend;

use DeviceState::{Running, Stop};

fn read(tracker: &mut dyn Tracker, memory: &Memory) -> DirtyBitmap {
    let mut dirty = DirtyBitmap::new(4096, &memory.areas());
    let pages = tracker.read(&mut dirty).expect("read");
    assert_eq!(pages, dirty.count());
    dirty
}

fn started(backend: &mut SimBackend, kind: TrackerKind, memory: &Arc<Memory>) -> Box<dyn Tracker> {
    let mut tracker = backend.tracker("t", kind, memory).expect("tracker");
    assert_eq!(
        tracker.read(&mut DirtyBitmap::new(4096, &memory.areas())).err().and_then(|e| e.errno),
        Some(libc::EINVAL)
    );
    tracker.start().expect("start");
    tracker
}

#[test]
fn pinned_pages_are_dirty_at_every_read_and_nothing_else_is() {
    let memory = memory(&[(0, 100), (0x100_0000, 50)]);
    let mut backend = container(&memory, false);
    let mut tracker = started(&mut backend, TrackerKind::Pinned, &memory);
    assert!(read(tracker.as_mut(), &memory).is_empty(), "nothing pinned");
    let mut first = backend.open_sim("a", spec(SimModel::Mdev, 8 * 4096, 10), 0, true).expect("open");
    let second = backend.open_sim("b", spec(SimModel::Mdev, 12 * 4096, 20), 1, true).expect("open");
    first.set_state(Stop).expect("stop");
    for _ in 0..3 {
        let dirty = read(tracker.as_mut(), &memory);
        assert_eq!(dirty.count(), 24);
        assert!(dirty.get(8 * 4096) && dirty.get(31 * 4096) && !dirty.get(32 * 4096));
    }
    assert_eq!(backend.iommu().pinned_pages(), 24);
    drop(second);
    assert_eq!(read(tracker.as_mut(), &memory).count(), 24, "unpinned since");
    assert_eq!(read(tracker.as_mut(), &memory).count(), 10);
    // One function among them and every mapped page is dirty, every time; once more after it has gone.
    let function = backend.open_sim("f", spec(SimModel::Function, 0, 1), 2, true).expect("open");
    assert_eq!(read(tracker.as_mut(), &memory).count(), 150);
    assert_eq!(read(tracker.as_mut(), &memory).count(), 150);
    drop(function);
    assert_eq!(read(tracker.as_mut(), &memory).count(), 150);
    assert_eq!(read(tracker.as_mut(), &memory).count(), 10);
}

#[test]
fn page_table_bits_are_read_and_cleared_and_mdevs_leave_none() {
    let memory = memory(&[(0, 64), (0x100_0000, 64)]);
    let mut backend = container(&memory, true);
    let mut function = backend.open_sim("f", spec(SimModel::Function, 0, 64), 0, true).expect("open");
    let mdev = backend.open_sim("m", spec(SimModel::Mdev, 0x100_0000, 64), 1, true).expect("open");
    wait_writes(&function, 10);
    let mut tracker = started(&mut backend, TrackerKind::Iommu, &memory);
    wait_writes(&function, 1000);
    wait_writes(&mdev, 1000);
    function.set_state(Stop).expect("stop");
    let dirty = read(tracker.as_mut(), &memory);
    assert_eq!(dirty.count(), 64);
    assert!(!dirty.get(0x100_0000));
    assert!(read(tracker.as_mut(), &memory).is_empty());
    function.set_state(Running).expect("run");
    wait_writes(&function, 1);
    assert!(!read(tracker.as_mut(), &memory).is_empty());
    function.set_state(Stop).expect("stop");
    tracker.start().expect("enabling again clears again");
    assert!(read(tracker.as_mut(), &memory).is_empty());
}

#[test]
fn a_coarser_bitmap_gets_the_pages_around() {
    let memory = memory(&[(0, 64)]);
    let mut backend = container(&memory, true);
    let mut one = spec(SimModel::Function, 20 * 4096, 1);
    one.pattern = crate::stamps::Pattern::Sequential;
    let mut device = backend.open_sim("f", one, 0, true).expect("open");
    let mut trackers =
        vec![started(&mut backend, TrackerKind::Iommu, &memory), device.dma_log("log", &memory).expect("log")];
    trackers[1].start().expect("start");
    wait_writes(&device, 5);
    for tracker in &mut trackers {
        let mut dirty = DirtyBitmap::new(65536, &memory.areas());
        assert_eq!(tracker.read(&mut dirty).expect("read"), 1);
        assert!(dirty.get(16 * 4096) && !dirty.get(15 * 4096));
    }
}

#[test]
fn trackers_nobody_has_are_refused() {
    let memory = memory(&[(0, 64)]);
    let mut plain = container(&memory, false);
    let refused = |backend: &mut SimBackend, kind| backend.tracker("t", kind, &memory).err().expect("refused").code;
    assert_eq!(refused(&mut plain, TrackerKind::Iommu), "tracker/iommu-unsupported");
    assert_eq!(refused(&mut plain, TrackerKind::All), "tracker/not-of-container");
    let mut bare = spec(SimModel::Function, 0, 64);
    bare.trackers.clear();
    let mut device = plain.open_sim("d", bare.clone(), 0, true).expect("open");
    assert_eq!(device.dma_log("t", &memory).err().expect("refused").code, "tracker/no-device-log");
    let error = container(&memory, true).open_sim("d", bare, 0, true).err().expect("refused");
    assert_eq!((error.code, error.errno), ("iommu/attach-failed", Some(libc::EINVAL)));
    assert!(plain.open_kernel_device("d", std::path::Path::new("/sys/devices/x")).is_err());
    assert!(plain.open_sim("d", spec(SimModel::Mdev, 0, 64), 16, true).is_err());
}

#[test]
fn one_log_a_device_and_none_after_it_is_closed() {
    let memory = memory(&[(0, 64)]);
    let (_backend, mut device) = device(&memory, spec(SimModel::Function, 0, 64));
    let mut first = device.dma_log("a", &memory).expect("log");
    let mut second = device.dma_log("b", &memory).expect("log");
    first.start().expect("start");
    let error = second.start().expect_err("refused");
    assert_eq!((error.code, error.errno), ("tracker/start-failed", Some(libc::EINVAL)));
    first.stop().expect("stop");
    assert_eq!(
        first.read(&mut DirtyBitmap::new(4096, &memory.areas())).err().and_then(|e| e.errno),
        Some(libc::EINVAL)
    );
    second.start().expect("free again");
    drop(device);
    assert_eq!(
        second.read(&mut DirtyBitmap::new(4096, &memory.areas())).err().and_then(|e| e.errno),
        Some(libc::ENODEV)
    );
}

#[test]
fn a_device_waits_for_its_window_and_faults_when_it_is_taken_away() {
    let memory = memory(&[(0, 64)]);
    for model in [SimModel::Mdev, SimModel::Function] {
        let mut backend = SimBackend::new(false);
        let mut device = backend.open_sim("d", spec(model, 0, 64), 0, true).expect("open");
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert_eq!((position(&device), backend.iommu().dma_faults()), (0, 0), "not started yet");
        let region = &memory.regions()[0];
        backend.map(&memory, region).expect("map");
        assert_eq!(backend.map(&memory, region).err().and_then(|error| error.errno), Some(libc::EEXIST));
        wait_writes(&device, 100);
        backend.unmap(region).expect("unmap");
        let at = position(&device);
        // What a freed page would show: the region is another's now.
        region.slice(0, 64 * 4096).expect("all").copy_from(&vec![0u8; 64 * 4096]);
        let iommu = backend.iommu();
        wait_until(|| iommu.dma_faults() == 1);
        std::thread::sleep(std::time::Duration::from_millis(10));
        assert_eq!((position(&device), iommu.dma_faults(), iommu.pinned_pages()), (at, 1, 0));
        let mut all = vec![1u8; 64 * 4096];
        region.slice(0, 64 * 4096).expect("all").copy_to(&mut all);
        assert!(all.iter().all(|byte| *byte == 0), "written after the unmap");
        assert_eq!(backend.unmap(region).err().and_then(|error| error.errno), Some(libc::ENOENT));
        backend.map(&memory, region).expect("map again");
        wait_writes(&device, 2000);
        device.set_state(Stop).expect("stop");
        assert_eq!(check(&mut [&mut device], &memory, &|_| None).expect("check").lost_pages, 0);
    }
}

#[test]
fn checks_need_slots_of_their_own() {
    let memory = memory(&[(0, 64)]);
    let mut backend = container(&memory, false);
    let mut first = backend.open_sim("a", spec(SimModel::Mdev, 0, 64), 3, true).expect("open");
    let mut second = backend.open_sim("b", spec(SimModel::Mdev, 0, 64), 3, true).expect("open");
    let error = check(&mut [&mut first, &mut second], &memory, &|_| None).expect_err("refused");
    assert_eq!((error.code, error.device.as_deref()), ("check/slot", Some("b")));
}
