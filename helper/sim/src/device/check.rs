//! Holds a memory against what simulated devices wrote to it.

use std::sync::Arc;

use super::engine::Shared;
use crate::error::{HelperError, Result};
use crate::memory::Memory;
use crate::stamps::{self, CheckReport, Fill, Writer};

/// One device, as far as holding a memory against it needs it. The device itself may be anybody's.
pub struct Probe {
    pub(super) name: String,
    pub(super) engine: Arc<Shared>,
}

/// [`stamps::check`] with these devices as the writers. Their engines stand still meanwhile; device states do not change.
///
/// # Errors
/// `sim/not-programmed`: a device's engine is off (never loaded, or reset), so there is nothing to hold memory
/// against. `check/slot`: two devices share a slot.
pub fn check(probes: &[Probe], memory: &Memory, initial: &dyn Fn(&str) -> Option<Fill>) -> Result<CheckReport> {
    let _frozen = Frozen::new(probes);
    let writers = probes.iter().map(writer).collect::<Result<Vec<_>>>()?;
    stamps::check(&writers, memory, initial)
}

/// Engines that stand still as long as this lives.
struct Frozen<'a>(&'a [Probe]);

impl<'a> Frozen<'a> {
    fn new(probes: &'a [Probe]) -> Self {
        probes.iter().for_each(|probe| probe.engine.freeze());
        Self(probes)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|probe| probe.engine.thaw());
    }
}

fn writer(probe: &Probe) -> Result<Writer> {
    let (program, position) = probe.engine.progress().ok_or_else(|| {
        HelperError::new(
            "sim/not-programmed",
            "the device was never programmed or has been reset: nothing says what it wrote",
        )
        .device(&probe.name)
    })?;
    Ok(Writer { name: probe.name.clone(), program, position })
}
