//! The kernel backends, trackers and devices against a real VFIO kernel. They run in the lab's guest only (see
//! test/lab/README.md), from test/helper/kernel.lab.ts, which makes the devices and names them:
//! FERRY_LAB_MDEV, a mtty mdev no one uses; FERRY_LAB_FUNCTION, a PCI function bound to vfio-pci. Both sysfs paths.
//! One at a time: they share the devices.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferry_helper::area::Area;
use ferry_helper::device::{Device, DeviceState, MigrationFlags, StateStream, StreamRead};
use ferry_helper::dirty::{DirtyBitmap, TrackerKind};
use ferry_helper::error::HelperError;
use ferry_helper::iommu::Backend;
use ferry_helper::iommu::iommufd::IommufdBackend;
use ferry_helper::iommu::type1::Type1Backend;
use ferry_helper::memory::{Backing, Memory, Region};
use ferry_helper::sysfs::{InventoryParams, inventory};

use DeviceState::{PreCopy, PreCopyP2p, Resuming, Running, RunningP2p, Stop, StopCopy};

const PAGE: u64 = 4096;
const MIB: u64 = 1 << 20;

fn path(variable: &str) -> PathBuf {
    PathBuf::from(std::env::var(variable).unwrap_or_else(|_| panic!("{variable} names the device's sysfs path")))
}

fn mdev() -> PathBuf {
    path("FERRY_LAB_MDEV")
}

fn function() -> PathBuf {
    path("FERRY_LAB_FUNCTION")
}

fn memory(areas: &[(u64, u64)]) -> Arc<Memory> {
    let regions = areas.iter().enumerate().map(|(index, &(iova, bytes))| {
        let backing = Backing::Memfd { huge_page_bytes: None };
        Region::open(&format!("ram{index}"), Area { iova, bytes }, &backing).expect("memfd")
    });
    Arc::new(Memory::new(PAGE, regions.collect()).expect("layout"))
}

fn map_all(backend: &mut dyn Backend, memory: &Arc<Memory>) {
    for region in memory.regions() {
        backend.map(memory, region).expect("map");
    }
}

fn opened(backend: &mut dyn Backend, path: &Path) -> Box<dyn Device> {
    let opened = backend.open_kernel_device("dev", path).expect("open");
    println!("notes: {:?}", opened.notes);
    opened.device
}

fn refused<T>(result: Result<T, HelperError>) -> HelperError {
    let error = result.err().expect("must be refused");
    println!("refused: {} {error} [{:?}]", error.code, error.suggestion);
    error
}

fn drain(stream: &mut dyn StateStream) -> Vec<u8> {
    let (mut all, mut buf) = (Vec::new(), [0; 7]);
    while let StreamRead::Data(bytes) = stream.read(&mut buf).expect("read") {
        all.extend_from_slice(&buf[..bytes]);
    }
    all
}

fn save(device: &mut dyn Device) -> Vec<u8> {
    let mut stream = device.set_state(PreCopy).expect("PRE_COPY").expect("a session opens");
    let info = stream.precopy_info().expect("precopy info");
    let head = drain(stream.as_mut());
    println!(
        "PRE_COPY offers {} initial and {} dirty bytes, gave {}",
        info.initial_bytes,
        info.dirty_bytes,
        head.len()
    );
    assert_eq!(head.len() as u64, info.initial_bytes);
    assert!(device.set_state(PreCopyP2p).expect("PRE_COPY_P2P").is_none(), "the session goes on");
    assert!(device.set_state(StopCopy).expect("STOP_COPY").is_none(), "the session goes on");
    assert_eq!(stream.precopy_info().expect_err("not in STOP_COPY").errno, Some(libc::EINVAL));
    let state = [head, drain(stream.as_mut())].concat();
    assert_eq!(stream.read(&mut [0]).expect("still the end"), StreamRead::End);
    assert_eq!(Some(state.len() as u64), device.stop_copy_bytes().expect("size"));
    state
}

fn both() -> [Box<dyn Backend>; 2] {
    [Box::new(Type1Backend::open().expect("type1")), Box::new(IommufdBackend::open(false).expect("iommufd"))]
}

#[test]
#[ignore = "needs the lab's guest"]
fn state_is_saved_and_loaded_through_either_backend() {
    for mut backend in both() {
        println!("-- {:?}", backend.kind());
        let mut device = opened(backend.as_mut(), &mdev());
        let flags = device.flags();
        assert!(flags.stop_copy && flags.p2p && flags.pre_copy);
        assert_eq!(device.state().expect("state"), Running);
        let state = save(device.as_mut());
        println!("saved {} bytes", state.len());
        assert_eq!(u64::from_ne_bytes(state[..8].try_into().expect("magic")), 0x7e9d_0989_8c3e_2c4e);

        // The arc that hangs 6.12 for good must not reach it.
        assert_eq!(refused(device.set_state(PreCopy)).code, "device/illegal-transition");
        assert_eq!(device.state().expect("state"), StopCopy);
        assert!(device.set_state(Running).expect("RUNNING").is_none());

        let mut stream = device.set_state(Resuming).expect("RESUMING").expect("a session opens");
        for part in state.chunks(10) {
            stream.write_all(part).expect("load");
        }
        assert!(device.set_state(Stop).expect("STOP loads it").is_none());
        drop(stream);
        for target in [RunningP2p, Running] {
            assert!(device.set_state(target).expect("resume").is_none());
        }
        assert_eq!(save(device.as_mut()), state, "what was loaded is what was saved");
        device.set_state(Running).expect("RUNNING");
    }
}

#[test]
#[ignore = "needs the lab's guest"]
fn bad_streams_are_refused_with_their_meaning_and_reset_brings_the_device_back() {
    let mut backend = Type1Backend::open().expect("type1");
    let mut device = opened(&mut backend, &mdev());
    let state = save(device.as_mut());
    device.set_state(Running).expect("RUNNING");

    let mut stream = device.set_state(Resuming).expect("RESUMING").expect("stream");
    let error = refused(stream.write_all(&[0xff; 24]));
    assert_eq!((error.code, error.errno), ("device/stream-write", Some(libc::EFAULT)));
    assert!(error.meaning.is_some_and(|meaning| meaning.contains("not compatible")));
    device.reset().expect("reset");
    assert_eq!(device.state().expect("state"), Running);
    assert_eq!(refused(stream.write_all(&[0])).errno, Some(libc::ENODEV), "reset ends the session");
    drop(stream);

    let mut stream = device.set_state(Resuming).expect("RESUMING").expect("stream");
    stream.write_all(&state[..state.len() - 1]).expect("part of it");
    let error = refused(device.set_state(Stop));
    assert_eq!((error.code, error.errno, error.state), ("device/set-failed", Some(libc::EINVAL), Some(Resuming)));
    device.reset().expect("reset");
    let mut long = device.set_state(Resuming).expect("RESUMING").expect("stream");
    let error = refused(long.write_all(&[state.as_slice(), &[0]].concat()));
    assert_eq!(error.errno, Some(libc::ENOMEM));
    device.reset().expect("reset");
}

#[test]
#[ignore = "needs the lab's guest"]
fn a_device_left_in_a_stale_state_is_brought_back_when_opened() {
    for (left, done) in [(Resuming, "reset"), (StopCopy, "set RUNNING"), (PreCopyP2p, "set RUNNING")] {
        let mut backend = Type1Backend::open().expect("type1");
        let mut device = opened(&mut backend, &mdev());
        let stream = device.set_state(left).expect("set").expect("stream");
        drop((stream, device, backend));
        let mut backend = IommufdBackend::open(false).expect("iommufd");
        let mut again = backend.open_kernel_device("dev", &mdev()).expect("open");
        println!("{:?}", again.notes);
        assert_eq!(again.notes.len(), 1);
        assert!(again.notes[0].contains(&left.to_string()) && again.notes[0].contains(done));
        assert_eq!(again.device.state().expect("state"), Running);
    }
}

#[test]
#[ignore = "needs the lab's guest"]
fn an_idle_mdev_dirties_nothing_and_all_dirties_everything() {
    let memory = memory(&[(0, 16 * MIB), (1 << 32, 3 * PAGE), ((1 << 32) + MIB, 70 * PAGE)]);
    let mut backend = Type1Backend::open().expect("type1");
    let mut device = opened(&mut backend, &mdev());
    map_all(&mut backend, &memory);
    let overlap = Region::open("again", Area { iova: PAGE, bytes: PAGE }, &Backing::Memfd { huge_page_bytes: None });
    assert_eq!(refused(backend.map(&memory, &overlap.expect("memfd"))).errno, Some(libc::EEXIST));
    let mut bitmap = DirtyBitmap::new(PAGE, &memory.areas());
    let mut pinned = backend.tracker("pinned", TrackerKind::Pinned, &memory).expect("emulated group");
    assert_eq!(refused(pinned.read(&mut bitmap)).code, "tracker/log-lost");
    pinned.start().expect("start");
    for _ in 0..2 {
        let pages = pinned.read(&mut bitmap).expect("read");
        println!("pinned: {pages} of {} pages dirty", bitmap.total_pages());
        assert_eq!((pages, bitmap.count()), (0, 0));
    }
    pinned.stop().expect("stop");
    let mut log = device.dma_log("log", &memory).expect("mtty's stub");
    log.start().expect("start");
    assert_eq!(log.read(&mut bitmap).expect("read"), 0);
    log.stop().expect("stop");
    let mut all = backend.tracker("all", TrackerKind::All, &memory).expect("all");
    assert_eq!(all.read(&mut bitmap).expect("read"), bitmap.total_pages());
    assert_eq!(refused(backend.tracker("x", TrackerKind::Iommu, &memory)).code, "tracker/needs-iommufd");
    for region in memory.regions() {
        backend.unmap(region).expect("unmap");
        assert_eq!(refused(backend.unmap(region)).code, "iommu/not-mapped");
    }
    map_all(&mut backend, &memory);
}

#[test]
#[ignore = "needs the lab's guest"]
fn iommufd_maps_mdevs_but_tracks_none() {
    let memory = memory(&[(0, 16 * MIB), (1 << 32, 3 * PAGE)]);
    let mut backend = IommufdBackend::open(false).expect("iommufd");
    let _device = opened(&mut backend, &mdev());
    map_all(&mut backend, &memory);
    assert_eq!(refused(backend.tracker("x", TrackerKind::Pinned, &memory)).code, "tracker/needs-type1");
    assert_eq!(refused(backend.tracker("x", TrackerKind::Iommu, &memory)).code, "tracker/iommu-unsupported");
    for region in memory.regions() {
        backend.unmap(region).expect("unmap");
    }
    map_all(&mut backend, &memory);
    drop((_device, backend));
    let mut tracking = IommufdBackend::open(true).expect("iommufd");
    assert_eq!(refused(tracking.open_kernel_device("dev", &mdev())).code, "tracker/iommu-unsupported");
}

#[test]
#[ignore = "needs the lab's guest"]
fn a_device_in_use_is_refused_with_its_user_and_asked_without_disturbing_it() {
    for mut backend in both() {
        let mut device = opened(backend.as_mut(), &mdev());
        let stream = device.set_state(PreCopy).expect("PRE_COPY").expect("stream");
        for mut other in both() {
            let error = refused(other.open_kernel_device("second", &mdev()));
            assert_eq!(error.code, "device/busy");
            let pid = format!("pid {}", std::process::id());
            assert!(error.meaning.is_some_and(|meaning| meaning.contains(&pid)), "names its user");
        }
        let params = InventoryParams { probe: true, ..InventoryParams::default() };
        let found = inventory(&params, Path::new("/")).expect("inventory");
        let id = mdev().file_name().expect("uuid").to_string_lossy().into_owned();
        let facts = found.devices.iter().find(|facts| facts.id == id).expect("listed");
        println!("{}", serde_json::to_string(facts).expect("json"));
        assert!(facts.probe.done, "{:?}", facts.probe);
        assert_eq!(facts.migration.as_ref().and_then(|migration| migration.state), Some(PreCopy));
        assert_eq!(device.state().expect("undisturbed"), PreCopy);
        drop(stream);
        device.set_state(Running).expect("RUNNING");
    }
}

#[test]
#[ignore = "needs the lab's guest"]
fn a_plain_function_maps_but_neither_migrates_nor_tracks() {
    let memory = memory(&[(16 * MIB, 4 * MIB), (0xfee0_0000, PAGE)]);
    let mut type1 = Type1Backend::open().expect("type1");
    let mut device = type1.open_kernel_device("edu", &function()).expect("to be mapped").device;
    assert_eq!((device.flags(), device.state().expect("state")), (MigrationFlags::NONE, Running));
    assert_eq!(refused(device.set_state(Stop)).code, "device/not-migratable");
    assert_eq!(refused(device.dma_log("log", &memory)).code, "tracker/no-device-log");
    type1.map(&memory, &memory.regions()[0]).expect("its group is in the container");
    assert_eq!(refused(type1.map(&memory, &memory.regions()[1])).code, "iommu/iova-reserved");
    assert_eq!(refused(type1.tracker("x", TrackerKind::Pinned, &memory)).code, "tracker/pinned-needs-emulated");
    drop((device, type1));
    let mut iommufd = IommufdBackend::open(false).expect("iommufd");
    let device = iommufd.open_kernel_device("edu", &function()).expect("to be mapped").device;
    assert_eq!(device.flags(), MigrationFlags::NONE);
    drop((device, iommufd));
    let mut tracking = IommufdBackend::open(true).expect("iommufd");
    assert_eq!(refused(tracking.open_kernel_device("edu", &function())).code, "tracker/iommu-unsupported");
}

#[test]
#[ignore = "needs the lab's guest"]
fn the_inventory_shows_what_each_device_can() {
    let params = InventoryParams { probe: true, ..InventoryParams::default() };
    let found = inventory(&params, Path::new("/")).expect("inventory");
    println!("{}", serde_json::to_string_pretty(&found).expect("json"));
    assert_eq!((found.host.type1, found.host.iommufd, found.host.iommu_present), (Some(true), Some(true), true));
    let of = |path: &Path| {
        let id = path.file_name().expect("name").to_string_lossy().into_owned();
        found.devices.iter().find(|facts| facts.id == id).expect("listed")
    };
    let available = |path: &Path, kind| of(path).trackers.iter().find(|t| t.kind == kind).and_then(|t| t.available);
    let mdev = mdev();
    let migration = of(&mdev).migration.as_ref().expect("asked");
    assert_eq!((migration.supported, migration.flags.len(), migration.state), (true, 3, Some(Running)));
    assert_eq!(available(&mdev, TrackerKind::Pinned), Some(true));
    assert_eq!(available(&mdev, TrackerKind::Device), Some(true));
    let function = function();
    assert!(!of(&function).migration.as_ref().expect("asked").supported);
    assert_eq!(available(&function, TrackerKind::Iommu), Some(false), "QEMU's VT-d has no dirty bits");
    assert_eq!(available(&function, TrackerKind::Pinned), Some(false));
}
