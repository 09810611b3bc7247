//! Each fault does what it says, and nothing else.

use std::time::{Duration, Instant};

use crate::device::testing::{container, device, memory, position, read_all, spec, state, wait_writes, with_faults};
use crate::device::{SimDevice, SimFault, SimModel};
use crate::dirty::{DirtyBitmap, TrackerKind};
use crate::iommu::SimBackend;
use crate::message::num::Bytes;
use ferry_vfio::device::{Device, DeviceState, StreamRead};
use ferry_vfio::iommu::Backend;

use DeviceState::{Error, PreCopy, PreCopyP2p, Running, RunningP2p, Stop, StopCopy};

fn faulty(faults: &[SimFault]) -> (SimBackend, SimDevice) {
    device(&memory(&[(0, 64)]), with_faults(spec(SimModel::Function, 0, 64), faults))
}

fn transition(state: DeviceState, nth: Option<u32>, errno: Option<&str>, enter_error: Option<bool>) -> SimFault {
    SimFault::Transition { state, nth, errno: errno.map(str::to_owned), enter_error }
}

#[test]
fn a_transition_fails_the_nth_time_and_the_state_stays() {
    let (_backend, mut device) = faulty(&[transition(PreCopy, Some(2), Some("ENOTCONN"), None)]);
    device.set_state(PreCopy).expect("first");
    device.set_state(Running).expect("back");
    let error = device.set_state(PreCopy).err().expect("second");
    assert_eq!((error.errno_name.as_deref(), error.state), (Some("ENOTCONN"), Some(Running)));
    assert!(error.operation.is_some_and(|operation| operation.ends_with("PRE_COPY")));
    device.set_state(PreCopy).expect("third");
}

#[test]
fn a_failing_step_on_the_way_leaves_the_device_there() {
    let (_backend, mut device) = faulty(&[transition(StopCopy, None, None, None)]);
    let error = device.set_state(StopCopy).err().expect("refused");
    assert_eq!((error.errno, state(&mut device)), (Some(libc::EIO), Stop));
    let (_backend, mut device) = faulty(&[transition(Stop, None, Some("EBUSY"), Some(false))]);
    assert_eq!(device.set_state(StopCopy).err().and_then(|error| error.errno), Some(libc::EBUSY));
    assert_eq!(state(&mut device), RunningP2p);
    wait_writes(&device, 10);
}

#[test]
fn error_is_left_by_reset_alone() {
    let (_backend, mut device) = faulty(&[transition(PreCopyP2p, None, None, Some(true))]);
    let mut stream = device.set_state(PreCopy).expect("PRE_COPY").expect("stream");
    device.set_state(PreCopyP2p).err().expect("fails");
    assert_eq!(state(&mut device), Error);
    let at = position(&device);
    for target in DeviceState::ALL {
        assert_eq!(device.set_state(target).err().and_then(|error| error.errno), Some(libc::EIO), "{target}");
    }
    assert_eq!(stream.read(&mut [0; 8]).err().and_then(|error| error.errno), Some(libc::ENODEV));
    assert_eq!(position(&device), at, "no DMA in ERROR");
    device.reset().expect("reset");
    assert_eq!(state(&mut device), Running);
}

#[test]
fn short_and_endless_streams() {
    for (bytes, precopy) in [(0, false), (9_999, false), (2_000, true), (3_500, true)] {
        let (_backend, mut device) = faulty(&[SimFault::ShortStream { bytes: Bytes(bytes) }]);
        let mut read = Vec::new();
        let stream = if precopy {
            let mut stream = device.set_state(PreCopy).expect("PRE_COPY").expect("stream");
            read_all(stream.as_mut(), 700, &mut read);
            device.set_state(StopCopy).expect("STOP_COPY");
            Some(stream)
        } else {
            device.set_state(StopCopy).expect("STOP_COPY")
        };
        assert_eq!(read_all(stream.expect("stream").as_mut(), 700, &mut read), StreamRead::End);
        assert_eq!(read.len() as u64, bytes);
    }
    let (_backend, mut device) = faulty(&[SimFault::EndlessStream]);
    let mut stream = device.set_state(PreCopy).expect("PRE_COPY").expect("stream");
    assert_eq!(read_all(stream.as_mut(), 700, &mut Vec::new()), StreamRead::Drained, "PRE_COPY still pauses");
    device.set_state(StopCopy).expect("STOP_COPY");
    let mut buf = vec![0; 100_000];
    for _ in 0..100 {
        assert_eq!(stream.read(&mut buf).expect("read"), StreamRead::Data(100_000));
    }
}

#[test]
fn precopy_may_end_with_zero_instead_of_enomsg() {
    for (faults, end) in [(vec![], StreamRead::Drained), (vec![SimFault::PrecopyEndsWithZero], StreamRead::End)] {
        let (_backend, mut device) = faulty(&faults);
        let mut stream = device.set_state(PreCopyP2p).expect("PRE_COPY_P2P").expect("stream");
        assert_eq!(read_all(stream.as_mut(), 4096, &mut Vec::new()), end);
    }
}

#[test]
fn a_slow_stop_goes_on_writing_meanwhile() {
    let (_backend, mut device) = faulty(&[SimFault::SlowStop { delay_us: 60_000 }]);
    wait_writes(&device, 1);
    let began = Instant::now();
    device.set_state(RunningP2p).expect("not a stop");
    let before = position(&device);
    device.set_state(Stop).expect("slow");
    assert!(began.elapsed() >= Duration::from_millis(60));
    assert!(position(&device) > before);
}

#[test]
fn latencies_are_by_target_and_taken_on_the_way_too() {
    let mut slow = spec(SimModel::Mdev, 0, 64);
    slow.latency_us.insert(RunningP2p, 30_000);
    slow.latency_us.insert(StopCopy, 20_000);
    let (_backend, mut device) = device(&memory(&[(0, 64)]), slow);
    let began = Instant::now();
    device.set_state(StopCopy).expect("by RUNNING_P2P and STOP");
    assert!(began.elapsed() >= Duration::from_millis(50));
}

#[test]
fn a_reset_that_fails_changes_nothing() {
    let (_backend, mut device) = faulty(&[SimFault::ResetFails]);
    device.set_state(Stop).expect("stop");
    assert_eq!(device.reset().err().and_then(|error| error.errno), Some(libc::EIO));
    assert_eq!(state(&mut device), Stop);
    assert!(device.progress().is_some());
}

#[test]
fn a_tracker_read_fails_the_nth_time() {
    for kind in [TrackerKind::Device, TrackerKind::Pinned, TrackerKind::Iommu] {
        let memory = memory(&[(0, 64)]);
        let mut backend = container(&memory, true);
        let model = if kind == TrackerKind::Pinned { SimModel::Mdev } else { SimModel::Function };
        let spec = with_faults(spec(model, 0, 64), &[SimFault::TrackerError { nth: 2 }]);
        let mut device = backend.open_sim("d", spec, 0, true).expect("open");
        let mut tracker = match kind {
            TrackerKind::Device => device.dma_log("t", &memory).expect("log"),
            kind => backend.tracker("t", kind, &memory).expect("tracker"),
        };
        tracker.start().expect("start");
        let mut dirty = DirtyBitmap::new(4096, &memory.areas());
        tracker.read(&mut dirty).expect("first");
        let error = tracker.read(&mut dirty).expect_err("second");
        assert_eq!((error.errno, error.device.as_deref()), (Some(libc::EIO), Some("d")), "{kind:?}");
        tracker.read(&mut dirty).expect("third");
    }
}
