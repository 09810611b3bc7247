//! Vices that real implementations were seen to have: each does what it says.

use std::thread;
use std::time::Duration;

use super::super::log::DmaLog;
use crate::area::Area;
use crate::device::testing::{device, memory, position, read_all, spec, state, wait_writes, with_faults};
use crate::device::{SimDevice, SimFault, SimModel};
use crate::dirty::DirtyBitmap;
use crate::iommu::SimBackend;
use crate::message::num::Bytes;
use ferry_vfio::device::{Device, DeviceState, StreamRead};

use DeviceState::{PreCopy, Resuming, Running, Stop, StopCopy};

fn faulty(fault: SimFault) -> (SimBackend, SimDevice) {
    device(&memory(&[(0, 64)]), with_faults(spec(SimModel::Function, 0, 64), &[fault]))
}

fn errno<T>(result: crate::error::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.errno)
}

#[test]
fn a_reset_that_only_says_so_and_one_that_is_refused_when_stopped() {
    let (_backend, mut device) = faulty(SimFault::ResetDoesNothing);
    device.set_state(Resuming).expect("RESUMING");
    device.reset().expect("it says so");
    assert_eq!(state(&mut device), Resuming);

    let (_backend, mut device) = faulty(SimFault::ResetRefusedWhenStopped);
    for stopped in [Stop, StopCopy] {
        device.set_state(stopped).expect("stopped");
        assert_eq!((errno(device.reset()), state(&mut device)), (Some(libc::EINVAL), stopped));
    }
    device.set_state(Running).expect("back");
    device.reset().expect("while it runs");
}

#[test]
fn a_lost_stream_leaves_the_device_where_it_was_sent() {
    let (_backend, mut device) = faulty(SimFault::StreamLost);
    for target in [PreCopy, Running, StopCopy] {
        let lost = errno(device.set_state(target));
        assert_eq!((lost, state(&mut device)), ((target != Running).then_some(libc::EMFILE), target));
    }
}

#[test]
fn a_blocked_stream_pauses_and_never_ends() {
    let (_backend, mut device) = faulty(SimFault::BlockedStream);
    let mut stream = device.set_state(PreCopy).expect("PRE_COPY").expect("stream");
    let mut read = Vec::new();
    read_all(stream.as_mut(), 700, &mut read);
    assert!(!read.is_empty(), "PRE_COPY gives what it has");
    device.set_state(StopCopy).expect("STOP_COPY");
    for _ in 0..3 {
        assert_eq!(stream.read(&mut [0; 700]).expect("read"), StreamRead::Drained);
    }
}

#[test]
fn short_reads_are_not_the_end() {
    let (_backend, mut device) = faulty(SimFault::ShortReads { bytes: Bytes(7) });
    let mut stream = device.set_state(StopCopy).expect("STOP_COPY").expect("stream");
    assert_eq!(stream.read(&mut [0; 700]).expect("read"), StreamRead::Data(7));
    let mut rest = Vec::new();
    assert_eq!(read_all(stream.as_mut(), 700, &mut rest), StreamRead::End);
    assert_eq!(rest.len(), 10_000 - 7);
}

#[test]
fn a_stale_session_goes_on_where_the_last_reader_stopped() {
    let (_backend, mut device) = faulty(SimFault::StaleSession);
    let mut stream = device.set_state(PreCopy).expect("PRE_COPY").expect("stream");
    stream.read(&mut [0; 1000]).expect("read");
    device.set_state(Running).expect("back");
    let mut stream = device.set_state(StopCopy).expect("STOP_COPY").expect("stream");
    let mut rest = Vec::new();
    assert_eq!(read_all(stream.as_mut(), 700, &mut rest), StreamRead::End);
    assert_eq!(rest.len(), 9_000);
}

#[test]
fn a_refused_write_is_forgotten_at_the_load() {
    let (_backend, mut device) = faulty(SimFault::RefusedWrite);
    let mut stream = device.set_state(Resuming).expect("RESUMING").expect("stream");
    assert_eq!(errno(stream.write_all(&[0; 9000])), Some(libc::EFAULT));
    device.set_state(Stop).expect("as if nothing had been");
    assert!(device.progress().is_none());
}

#[test]
fn a_device_that_writes_after_its_stop() {
    let (_backend, mut device) = faulty(SimFault::WritesAfterStop);
    wait_writes(&device, 1);
    device.set_state(StopCopy).expect("STOP_COPY");
    wait_writes(&device, 10);
    device.reset().expect("reset");
    assert!(device.progress().is_none());
}

#[test]
fn a_log_forgets_only_in_larger_pages_than_its_own() {
    let area = Area { iova: 0, bytes: 1024 * 4096 };
    for (page_size, remembered) in [(4096, 1024), (8192, 128)] {
        let log = DmaLog::new(true);
        log.start(4096, &[area]).expect("start");
        (0..1024).for_each(|page| log.hold().mark(page * 4096));
        let mut bits = [0; 16];
        log.report(area, page_size, &mut bits).expect("report");
        assert_eq!(bits.iter().map(|word: &u64| word.count_ones()).sum::<u32>(), remembered);
    }
}

#[test]
fn a_read_that_hangs_ends_with_the_device() {
    let memory = memory(&[(0, 64)]);
    let (_backend, mut device) =
        device(&memory, with_faults(spec(SimModel::Function, 0, 64), &[SimFault::TrackerHangs { nth: 2 }]));
    let mut tracker = device.dma_log("t", &memory).expect("log");
    tracker.start().expect("start");
    let mut dirty = DirtyBitmap::new(4096, &memory.areas());
    tracker.read(&mut dirty).expect("first");
    let reading = thread::spawn(move || tracker.read(&mut dirty).map_err(|error| error.code));
    thread::sleep(Duration::from_millis(20));
    assert!(!reading.is_finished());
    device.set_state(StopCopy).expect("it can be stopped meanwhile");
    assert!(position(&device) > 0);
    drop(device);
    assert_eq!(reading.join().expect("no panic").err(), Some("tracker/log-lost"));
}

#[test]
fn refusals_may_all_be_einval() {
    let faults = [
        SimFault::RefusalsEinval,
        SimFault::ResetFails,
        SimFault::TrackerError { nth: 1 },
        SimFault::Transition { state: PreCopy, nth: None, errno: Some("EBUSY".into()), enter_error: None },
    ];
    let memory = memory(&[(0, 64)]);
    let (_backend, mut device) = device(&memory, with_faults(spec(SimModel::Function, 0, 64), &faults));
    let mut tracker = device.dma_log("t", &memory).expect("log");
    tracker.start().expect("start");
    let read = errno(tracker.read(&mut DirtyBitmap::new(4096, &memory.areas())));
    let mut stream = device.set_state(Resuming).expect("RESUMING").expect("stream");
    let long = errno(stream.write_all(&[0; 20_000]));
    let answers = [errno(device.reset()), errno(device.set_state(PreCopy)), read, long];
    assert_eq!(answers, [Some(libc::EINVAL); 4]);
}
