//! State from one device to another, by any flags, cut into any pieces, and a workload that goes on there.

use proptest::prelude::*;

use crate::device::testing::{
    check, container, device, flags, memory, position, read_all, spec, state, wait_writes, with_faults,
};
use crate::device::{SimDevice, SimFault, SimModel, SimSpec};
use crate::message::num::Bytes;
use ferry_vfio::device::{Device, DeviceState, StreamRead};

use DeviceState::{PreCopy, Resuming, Running, Stop, StopCopy};

/// Everything a device's stream holds, read by its flags; the device ends in STOP_COPY.
fn save(device: &mut SimDevice, piece: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if device.flags().pre_copy {
        let mut stream = device.set_state(PreCopy).expect("PRE_COPY").expect("stream");
        let info = stream.precopy_info().expect("info");
        assert_eq!(info.initial_bytes, device.spec().precopy_bytes.0);
        wait_writes(device, 20);
        assert_eq!(read_all(stream.as_mut(), piece, &mut bytes), StreamRead::Drained);
        assert!(bytes.len() as u64 >= info.initial_bytes);
        assert_eq!(stream.precopy_info().expect("info").initial_bytes, 0);
        assert!(device.set_state(StopCopy).expect("STOP_COPY").is_none(), "same session, same stream");
        assert!(stream.precopy_info().is_err(), "EINVAL outside PRE_COPY");
        assert_eq!(device.stop_copy_bytes().expect("size"), Some(device.spec().state_bytes.0 - bytes.len() as u64));
        assert_eq!(read_all(stream.as_mut(), piece, &mut bytes), StreamRead::End);
    } else {
        let mut stream = device.set_state(StopCopy).expect("STOP_COPY").expect("stream");
        assert_eq!(read_all(stream.as_mut(), piece, &mut bytes), StreamRead::End);
    }
    bytes
}

fn fresh(spec: SimSpec) -> (crate::iommu::SimBackend, SimDevice) {
    let mut backend = container(&memory(&[(0, 64)]), false);
    let device = backend.open_sim("fresh", spec, 9, false).expect("open");
    (backend, device)
}

fn errno(result: crate::error::Result<impl Sized>) -> Option<i32> {
    result.err().expect("refused").errno
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_workload_goes_on_where_it_stopped(
        raw in prop::sample::select(vec![1u64, 3, 5, 7]),
        mdev: bool,
        state_bytes in 256u64..40_000,
        precopy in 0u64..40_000,
        (piece_out, piece_in) in (1usize..5_000, 1usize..5_000),
    ) {
        let model = if mdev { SimModel::Mdev } else { SimModel::Function };
        let mut spec = spec(model, 0, 64);
        spec.flags = flags(raw);
        spec.state_bytes = Bytes(state_bytes);
        spec.precopy_bytes = Bytes(precopy % (state_bytes - 127));
        let source_memory = memory(&[(0, 64)]);
        let (_backend, mut source) = device(&source_memory, spec.clone());
        source.set_register(5, 0xdead_beef);
        wait_writes(&source, 100);
        let bytes = save(&mut source, piece_out);
        prop_assert_eq!(bytes.len() as u64, state_bytes);
        let stopped_at = position(&source);

        let memory = memory(&[(0, 64)]);
        source_memory.slice(0, 64 * 4096).expect("all").copy_to_volatile_slice(memory.slice(0, 64 * 4096).expect("all"));
        let mut backend = container(&memory, false);
        spec.seed = 999; // The stream says what to do, not the destination's own block.
        let mut there = backend.open_sim("there", spec, 7, false).expect("open");
        prop_assert_eq!(there.progress(), None, "off until programmed");
        let mut stream = there.set_state(Resuming).expect("RESUMING").expect("stream");
        bytes.chunks(piece_in).for_each(|piece| stream.write_all(piece).expect("write"));
        there.set_state(Stop).expect("load");
        prop_assert_eq!(there.progress(), source.progress());
        prop_assert_eq!(there.registers(), source.registers());
        prop_assert_eq!(position(&there), stopped_at);
        let clean = check(&mut [&mut there], &memory, &|_| None).expect("check");
        prop_assert_eq!((clean.lost_pages, clean.writes), (0, stopped_at));
        there.set_state(Running).expect("RUNNING");
        wait_writes(&there, 300);
        let clean = check(&mut [&mut there], &memory, &|_| None).expect("check while running");
        prop_assert!(clean.lost_pages == 0 && clean.writes >= stopped_at + 300, "{:?}", clean);
        prop_assert_eq!(state(&mut there), Running);
        prop_assert_eq!(position(&source), stopped_at, "the source stands still");
    }

    #[test]
    fn a_damaged_or_cut_stream_never_loads(cut in 0usize..10_000, flip in prop_oneof![0usize..80_000, 0usize..1_024, 78_976usize..80_000], damage: bool) {
        let (_backend, mut source) = device(&memory(&[(0, 64)]), spec(SimModel::Mdev, 0, 64));
        let mut bytes = save(&mut source, 4096);
        if damage { bytes[flip / 8] ^= 1 << (flip % 8) } else { bytes.truncate(cut) }
        let (_backend, mut there) = fresh(spec(SimModel::Mdev, 0, 64));
        let mut stream = there.set_state(Resuming).expect("RESUMING").expect("stream");
        let written = stream.write_all(&bytes);
        if damage && flip / 8 < 128 {
            prop_assert_eq!(errno(written), Some(libc::EFAULT));
            prop_assert_eq!(errno(stream.write_all(&[0])), Some(libc::EFAULT), "once rejected, for good");
        } else {
            written.expect("judged later");
        }
        prop_assert_eq!(errno(there.set_state(Stop)), Some(libc::EINVAL));
        prop_assert_eq!(state(&mut there), Resuming);
        prop_assert_eq!(there.progress(), None);
        there.reset().expect("the way out");
        prop_assert_eq!(state(&mut there), Running);
        prop_assert_eq!(errno(stream.write_all(&[0])), Some(libc::ENODEV));
    }
}

#[test]
fn an_incompatible_source_is_told_from_a_long_stream() {
    let (_backend, mut source) = device(&memory(&[(0, 64)]), spec(SimModel::Mdev, 0, 64));
    let bytes = save(&mut source, 4096);
    let mut other = spec(SimModel::Function, 0, 64);
    let (_b, mut function) = fresh(other.clone());
    let mut stream = function.set_state(Resuming).expect("RESUMING").expect("stream");
    assert_eq!(errno(stream.write_all(&bytes)), Some(libc::EFAULT), "other model");
    other.model = SimModel::Mdev;
    other.state_bytes = Bytes(10_001);
    let (_b, mut longer) = fresh(other);
    let mut stream = longer.set_state(Resuming).expect("RESUMING").expect("stream");
    assert_eq!(errno(stream.write_all(&bytes)), Some(libc::EFAULT), "other size");
    let (_b, mut same) = fresh(spec(SimModel::Mdev, 0, 64));
    let mut stream = same.set_state(Resuming).expect("RESUMING").expect("stream");
    stream.write_all(&bytes).expect("whole");
    assert_eq!(errno(stream.write_all(&[0])), Some(libc::ENOMEM));
    assert_eq!(errno(stream.read(&mut [0])), Some(libc::EBADF));
    assert_eq!(errno(stream.precopy_info()), Some(libc::ENOTTY));
    same.set_state(Stop).expect("what fitted is a whole state");
}

#[test]
fn a_session_left_disables_its_stream() {
    let (_backend, mut device) = device(&memory(&[(0, 64)]), spec(SimModel::Mdev, 0, 64));
    let mut first = device.set_state(PreCopy).expect("PRE_COPY").expect("stream");
    assert_eq!(errno(first.write_all(&[0])), Some(libc::EBADF));
    device.set_state(Running).expect("back");
    assert_eq!(errno(first.read(&mut [0; 8])), Some(libc::ENODEV));
    assert_eq!(errno(first.precopy_info()), Some(libc::ENODEV));
    let mut second = device.set_state(StopCopy).expect("again").expect("a stream of its own");
    let mut bytes = Vec::new();
    assert_eq!(read_all(second.as_mut(), 999, &mut bytes), StreamRead::End);
    assert_eq!(bytes.len(), 10_000);
    drop(device);
    assert_eq!(errno(second.read(&mut [0; 8])), Some(libc::ENODEV), "closing the device");
}

#[test]
fn precopy_offers_more_as_the_device_runs_but_never_the_end() {
    let (_backend, mut device) = device(&memory(&[(0, 64)]), spec(SimModel::Mdev, 0, 64));
    let mut stream = device.set_state(PreCopy).expect("PRE_COPY").expect("stream");
    wait_writes(&device, 1000);
    let info = stream.precopy_info().expect("info");
    assert_eq!((info.initial_bytes, info.dirty_bytes), (3000, (10_000 - 128 - 3000) / 2));
    let mut bytes = Vec::new();
    assert_eq!(read_all(stream.as_mut(), 100, &mut bytes), StreamRead::Drained);
    assert_eq!(bytes.len() as u64, 3000 + info.dirty_bytes);
    assert_eq!(stream.precopy_info().expect("info"), Default::default());
}

#[test]
fn bandwidth_holds_reads_back() {
    let mut slow = spec(SimModel::Mdev, 0, 64);
    slow.state_bytes_per_second = Some(Bytes(100_000));
    let (_backend, mut device) = device(&memory(&[(0, 64)]), slow);
    let mut stream = device.set_state(StopCopy).expect("STOP_COPY").expect("stream");
    let began = std::time::Instant::now();
    let mut bytes = Vec::new();
    read_all(stream.as_mut(), 1 << 20, &mut bytes);
    // A lower bound, which no slow machine can break.
    assert!(began.elapsed().as_millis() >= 95, "10 kB at 100 kB/s took {:?}", began.elapsed());
    assert_eq!(bytes.len(), 10_000);
}

#[test]
fn a_reset_loses_the_work_and_says_so() {
    let memory = memory(&[(0, 64)]);
    let (backend, mut device) = device(&memory, spec(SimModel::Mdev, 0, 64));
    wait_writes(&device, 10);
    assert_eq!(backend.iommu().pinned_pages(), 64);
    device.reset().expect("reset");
    assert_eq!((state(&mut device), device.progress(), device.registers()), (Running, None, [0; 16]));
    assert_eq!(backend.iommu().pinned_pages(), 0);
    let error = check(&mut [&mut device], &memory, &|_| None).expect_err("nothing to replay");
    assert_eq!((error.code, error.device.as_deref()), ("sim/not-programmed", Some("d")));
    let mut bytes = Vec::new();
    let mut stream = device.set_state(StopCopy).expect("STOP_COPY").expect("stream");
    read_all(stream.as_mut(), 4096, &mut bytes);
    let (_b, mut there) = fresh(spec(SimModel::Mdev, 0, 64));
    let mut stream = there.set_state(Resuming).expect("RESUMING").expect("stream");
    stream.write_all(&bytes).expect("write");
    there.set_state(Running).expect("an engine that is off loads as one that is off");
    assert_eq!(there.progress(), None);
}

#[test]
fn a_device_without_migration_has_no_states() {
    let mut plain = with_faults(spec(SimModel::Function, 0, 64), &[SimFault::ResetFails]);
    plain.flags.clear();
    let (_backend, mut device) = device(&memory(&[(0, 64)]), plain);
    assert_eq!(errno(device.state()), Some(libc::ENOTTY));
    assert_eq!(errno(device.set_state(Stop)), Some(libc::ENOTTY));
    assert_eq!(errno(device.stop_copy_bytes()), Some(libc::ENOTTY));
    wait_writes(&device, 10);
}
