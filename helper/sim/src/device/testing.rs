//! What the simulator's tests share: small memories, specs, containers with devices in them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{SimDevice, SimFault, SimFlag, SimModel, SimSpec, SimWindow};
use crate::dirty::TrackerKind;
use crate::iommu::SimBackend;
use crate::memory::Memory;
use crate::message::num::{Bytes, Iova};
pub(crate) use crate::stamps::testing::memory;
use crate::stamps::{CheckReport, Fill, PAGE_BYTES, Pattern, fill};
use ferry_vfio::device::{Device, StateStream, StreamRead};
use ferry_vfio::iommu::Backend;

pub(crate) const PAGE: u64 = PAGE_BYTES;

/// A device of all flags and trackers that writes `pages` pages from `iova` on, fast.
pub(crate) fn spec(model: SimModel, iova: u64, pages: u64) -> SimSpec {
    SimSpec {
        model,
        flags: vec![SimFlag::StopCopy, SimFlag::P2p, SimFlag::PreCopy],
        trackers: vec![TrackerKind::Device, TrackerKind::Iommu, TrackerKind::Pinned],
        state_bytes: Bytes(10_000),
        precopy_bytes: Bytes(3_000),
        state_bytes_per_second: None,
        seed: 11,
        window: SimWindow { iova: Iova(iova), bytes: Bytes(pages * PAGE) },
        write_bytes_per_second: Bytes(2_000_000_000),
        pattern: Pattern::Uniform,
        latency_us: BTreeMap::new(),
        faults: Vec::new(),
    }
}

pub(crate) fn with_faults(mut spec: SimSpec, faults: &[SimFault]) -> SimSpec {
    spec.faults = faults.to_vec();
    spec
}

pub(crate) fn fill_all(memory: &Memory, content: Fill) {
    memory.regions().iter().for_each(|region| fill(region, content.seed, content.zero_percent));
}

/// The flags of the kernel's u64: 1, 3, 5 or 7.
pub(crate) fn flags(raw: u64) -> Vec<SimFlag> {
    let all = [(1, SimFlag::StopCopy), (2, SimFlag::P2p), (4, SimFlag::PreCopy)];
    all.iter().filter(|(bit, _)| raw & bit != 0).map(|(_, flag)| *flag).collect()
}

/// A container with all of `memory` mapped.
pub(crate) fn container(memory: &Arc<Memory>, dirty_tracking: bool) -> SimBackend {
    let mut backend = SimBackend::new(dirty_tracking);
    for region in memory.regions() {
        backend.map(memory, region).expect("map");
    }
    backend
}

/// A programmed device in a container of its own.
pub(crate) fn device(memory: &Arc<Memory>, spec: SimSpec) -> (SimBackend, SimDevice) {
    let mut backend = container(memory, true);
    let device = backend.open_sim("d", spec, 0, true).expect("open");
    (backend, device)
}

/// Waits until the device has done `more` writes from now on.
pub(crate) fn wait_writes(device: &SimDevice, more: u64) {
    let goal = position(device) + more;
    wait_until(|| position(device) >= goal);
}

pub(crate) fn wait_until(done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing moves");
        thread::sleep(Duration::from_micros(200));
    }
}

pub(crate) fn position(device: &SimDevice) -> u64 {
    device.progress().map_or(0, |(_, position)| position)
}

/// Reads to the first pause or the end, in pieces of `piece` bytes.
pub(crate) fn read_all(stream: &mut dyn StateStream, piece: usize, into: &mut Vec<u8>) -> StreamRead {
    let mut buf = vec![0; piece];
    loop {
        match stream.read(&mut buf).expect("read") {
            StreamRead::Data(length) => into.extend_from_slice(&buf[..length]),
            end => return end,
        }
    }
}

pub(crate) fn state(device: &mut SimDevice) -> ferry_vfio::device::DeviceState {
    device.state().expect("state")
}

impl SimDevice {
    /// Programs the device by its own spec, in `slot`, from its first write on.
    pub(crate) fn reprogram(&mut self, slot: u8) {
        self.engine.program(Some((super::spec::program(&self.spec, slot), 0)));
    }
}

/// [`super::check`] of devices that are at hand.
pub(crate) fn check(
    devices: &mut [&mut SimDevice],
    memory: &Memory,
    initial: &dyn Fn(&str) -> Option<Fill>,
) -> crate::error::Result<CheckReport> {
    let probes: Vec<_> = devices.iter().map(|device| device.probe()).collect();
    super::check(&probes, memory, initial)
}
