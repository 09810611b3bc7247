//! Holds a memory against what simulated devices wrote to it.

use std::sync::Arc;

use super::SimDevice;
use super::engine::Shared;
use crate::error::{HelperError, Result};
use crate::memory::Memory;
use crate::stamps::{self, CheckReport, Fill, Writer};

/// [`stamps::check`] with `devices` as the writers. Their engines stand still meanwhile; device states do not change.
///
/// # Errors
/// `sim/not-programmed`: a device's engine is off (never loaded, or reset), so there is nothing to hold memory
/// against. `check/slot`: two devices share a slot.
pub fn check(
    devices: &mut [&mut SimDevice],
    memory: &Memory,
    initial: &dyn Fn(&str) -> Option<Fill>,
) -> Result<CheckReport> {
    let _frozen = Frozen::new(devices);
    let writers = devices.iter().map(|device| writer(device)).collect::<Result<Vec<_>>>()?;
    stamps::check(&writers, memory, initial)
}

/// Engines that stand still as long as this lives.
struct Frozen(Vec<Arc<Shared>>);

impl Frozen {
    fn new(devices: &[&mut SimDevice]) -> Self {
        let engines: Vec<_> = devices.iter().map(|device| Arc::clone(device.engine.shared())).collect();
        engines.iter().for_each(|engine| engine.freeze());
        Self(engines)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.iter().for_each(|engine| engine.thaw());
    }
}

fn writer(device: &SimDevice) -> Result<Writer> {
    let (program, position) = device.progress().ok_or_else(|| {
        HelperError::new(
            "sim/not-programmed",
            "the device was never programmed or has been reset: nothing says what it wrote",
        )
        .device(&device.name)
    })?;
    Ok(Writer { name: device.name.clone(), program, position })
}
