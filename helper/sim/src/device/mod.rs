//! Simulated devices: an honest double of hardware behind the same traits as the kernel's devices.
//!
//! A device has a thread that writes real memory through the sim backend's page table, and states that step as the
//! kernel's core steps them. Nothing outside this folder and `iommu/sim` knows a simulated device from another.

mod arcs;
mod check;
mod engine;
pub(crate) mod faults;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzed;
mod load;
mod log;
mod log_tracker;
mod pace;
mod save;
mod session;
mod spec;
pub(crate) mod sync;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::thread;

pub use crate::message::{SimFault, SimFlag, SimModel, SimSpec, SimWindow};
pub use check::{Probe, check};
pub use log::DmaLog;
pub use wire::Registers;

use engine::Engine;
use faults::{DeviceFaults, Watch};
use session::Session;

use crate::dirty::{Tracker, TrackerKind};
use crate::error::{HelperError, Result};
use crate::iommu::SimIommu;
use crate::memory::Memory;
use crate::stamps::mix::word;
use crate::stamps::{Program, SLOTS};
use ferry_vfio::device::{Device, DeviceState, MigrationFlags, StateStream};

use DeviceState::{PreCopy, PreCopyP2p, Resuming, Running, RunningP2p, Stop, StopCopy};

/// One simulated device, open in one container.
pub struct SimDevice {
    name: String,
    spec: SimSpec,
    state: DeviceState,
    engine: Engine,
    faults: Arc<DeviceFaults>,
    registers: Registers,
    session: Session,
    /// Save sessions so far: no two streams of a device have the same filler.
    saves: u64,
}

impl SimDevice {
    /// Opens a device in RUNNING. `slot` is its ordinal in the workload (0 to 15). `programmed`: it works by its spec
    /// at once; otherwise its engine is off until a state stream programs it.
    ///
    /// # Errors
    /// `sim/spec`; `sim/slot` from the 17th device on; `device/open-failed` when there is no thread to be had.
    pub fn open(name: &str, spec: SimSpec, slot: u8, programmed: bool, iommu: Arc<SimIommu>) -> Result<Self> {
        spec::validate(&spec).map_err(|error| error.device(name))?;
        if slot >= SLOTS {
            return Err(
                HelperError::new("sim/slot", format!("a workload has at most {SLOTS} simulated devices")).device(name)
            );
        }
        let faults = Arc::new(DeviceFaults::new(name, spec.window(), spec.faults.clone()));
        let client = iommu.attach(spec.model, Arc::clone(&faults));
        let engine = Engine::start_thread(name, iommu, client, Arc::clone(&faults))?;
        let mut registers = [0; 16];
        if programmed {
            engine.program(Some((spec::program(&spec, slot), 0)));
            for (index, register) in registers.iter_mut().enumerate() {
                *register = word(spec.seed, index as u64) as u32;
            }
        }
        engine.start();
        let name = name.to_owned();
        Ok(Self { name, spec, state: Running, engine, faults, registers, session: Session::None, saves: 0 })
    }

    pub fn spec(&self) -> &SimSpec {
        &self.spec
    }

    /// What its engine is told to do and the sequence of its last write; `None`: the engine is off.
    pub fn progress(&self) -> Option<(Program, u64)> {
        self.engine.progress()
    }

    /// What [`check`] needs of it, whichever code has the device.
    pub fn probe(&self) -> Probe {
        Probe { name: self.name.clone(), engine: Arc::clone(self.engine.shared()) }
    }

    pub fn registers(&self) -> Registers {
        self.registers
    }

    /// What a guest's driver would do by MMIO. Registers out of range are ignored.
    pub fn set_register(&mut self, index: usize, value: u32) {
        if let Some(register) = self.registers.get_mut(index) {
            *register = value;
        }
    }

    /// The device's own DMA log, for callers that speak its ioctls.
    pub fn log(&self) -> &DmaLog {
        &self.engine.shared().log
    }

    /// The page whose dirty bit a `drop-dirty-bit` fault has broken, once it has.
    pub fn broken_page(&self) -> Option<u64> {
        self.faults.broken_page()
    }

    fn failed(&self, code: &'static str, operation: &str, errno: i32, meaning: &str) -> HelperError {
        let error = std::io::Error::from_raw_os_error(self.faults.errno(errno));
        HelperError::os(code, operation, &error, meaning).device(&self.name).state(self.state)
    }

    fn set_failed(&self, target: DeviceState, errno: i32, meaning: &str) -> HelperError {
        self.failed("device/set-failed", &format!("VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE {target}"), errno, meaning)
    }

    fn has_migration(&self, operation: &str) -> Result<()> {
        if self.spec.migration_flags().stop_copy {
            return Ok(());
        }
        Err(self.failed("device/not-migratable", operation, libc::ENOTTY, "the device's driver has no migration"))
    }

    /// One arc of the driver's own, as the kernel's core asks for it.
    fn step(&mut self, next: DeviceState) -> Result<Option<Box<dyn StateStream>>> {
        if let Some(failure) = self.faults.arc_into(next) {
            if failure.enter_error {
                self.engine.stop();
                self.session.end();
                self.state = DeviceState::Error;
            }
            return Err(self.set_failed(next, failure.errno, "the device failed to make this transition"));
        }
        let (was_writing, writes) = (self.state.writes_memory(), next.writes_memory());
        let slow = if was_writing && !writes { self.faults.slow_stop() } else { Default::default() };
        // Hardware goes on with its DMA while it is being stopped, so the delay comes before the stop.
        let delay = self.spec.latency(next) + slow;
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        if was_writing && !writes && !self.faults.has(&SimFault::WritesAfterStop) {
            self.engine.stop();
        }
        let stream = match (self.state, next) {
            (Running | RunningP2p, PreCopy | PreCopyP2p) => Some(self.begin_save()),
            (PreCopy | PreCopyP2p, StopCopy) => {
                self.seal_save();
                None
            }
            (Stop, StopCopy) => {
                let stream = self.begin_save();
                self.seal_save();
                Some(stream)
            }
            (Stop, Resuming) => Some(self.begin_load()),
            (Resuming, Stop) => {
                self.finish_load()?;
                None
            }
            (PreCopy | PreCopyP2p, Running | RunningP2p) | (StopCopy, Stop) => {
                self.session.end();
                None
            }
            _ => None,
        };
        if !was_writing && writes {
            self.engine.start();
        }
        self.state = next;
        Ok(stream)
    }
}

impl Device for SimDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn flags(&self) -> MigrationFlags {
        self.spec.migration_flags()
    }

    fn state(&mut self) -> Result<DeviceState> {
        self.has_migration("VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE")?;
        Ok(self.state)
    }

    fn set_state(&mut self, target: DeviceState) -> Result<Option<Box<dyn StateStream>>> {
        self.has_migration("VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE")?;
        if self.state == DeviceState::Error {
            return Err(self.set_failed(target, libc::EIO, "only VFIO_DEVICE_RESET leads out of ERROR"));
        }
        let mut stream = None;
        while self.state != target {
            let Some(next) = arcs::next(self.flags(), self.state, target) else {
                return Err(self.set_failed(target, libc::EINVAL, "the device has no such state or transition"));
            };
            stream = self.step(next)?;
        }
        if stream.is_some() && self.faults.has(&SimFault::StreamLost) {
            return Err(self.set_failed(
                target,
                libc::EMFILE,
                "the device is there, and its stream found no descriptor",
            ));
        }
        Ok(stream)
    }

    /// What is still to be read: all of the state, less what was read in PRE_COPY.
    fn stop_copy_bytes(&mut self) -> Result<Option<u64>> {
        self.has_migration("VFIO_DEVICE_FEATURE_MIG_DATA_SIZE")?;
        Ok(Some(self.session.remaining().unwrap_or(self.spec.state_bytes.0)))
    }

    /// Ends in RUNNING with the engine off and the registers zero: what the device was doing is lost.
    fn reset(&mut self) -> Result<()> {
        let stopped = matches!(self.state, Stop | StopCopy) && self.faults.has(&SimFault::ResetRefusedWhenStopped);
        if stopped || self.faults.has(&SimFault::ResetFails) {
            let errno = if stopped { libc::EINVAL } else { libc::EIO };
            let meaning = "the device does not come back";
            return Err(self.failed("device/reset-failed", "VFIO_DEVICE_RESET", errno, meaning));
        }
        if self.faults.has(&SimFault::ResetDoesNothing) {
            return Ok(());
        }
        self.engine.stop();
        self.session.end();
        self.engine.program(None);
        self.registers = [0; 16];
        self.engine.start();
        self.state = Running;
        Ok(())
    }

    fn dma_log(&mut self, name: &str, memory: &Arc<Memory>) -> Result<Box<dyn Tracker>> {
        if !self.spec.trackers.contains(&TrackerKind::Device) {
            let meaning = "this device keeps no log of its DMA";
            return Err(self.failed(
                "tracker/no-device-log",
                "VFIO_DEVICE_FEATURE_DMA_LOGGING_START",
                libc::ENOTTY,
                meaning,
            ));
        }
        Ok(Box::new(log_tracker::LogTracker {
            name: name.to_owned(),
            device: self.name.clone(),
            shared: Arc::clone(self.engine.shared()),
            faults: Arc::clone(&self.faults),
            ranges: memory.areas(),
            page_size: memory.page_size(),
            reads: 0,
            before: Watch::default(),
        }))
    }
}
