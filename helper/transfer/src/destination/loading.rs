//! A destination's state streams: written as they come, counted and hashed, and compared with the manifest before any
//! device leaves RESUMING, because several drivers load a truncated stream without a word.

use crate::device::transitions::Stepper;
use crate::device::{DeviceState, StateStream};
use crate::error::{FailureKind, HelperError, Result};
use crate::source::saving::Tally;
use crate::wire::payload::StreamSum;

pub struct Loading {
    stream: Option<Box<dyn StateStream>>,
    tally: Tally,
}

impl Loading {
    /// Brings the device to RESUMING. A device found in RESUMING or ERROR is reset first: its stream belongs to
    /// somebody who is gone, and leaving RESUMING any other way crashes mtty.
    pub fn begin(device: &mut Stepper) -> Result<Self> {
        if matches!(device.state()?, DeviceState::Resuming | DeviceState::Error) {
            device.discard()?;
        }
        let stream = device.set(DeviceState::Resuming)?;
        Ok(Self { stream, tally: Tally::new() })
    }

    /// Writes the next part of the stream, which must begin where the last one ended.
    ///
    /// # Errors
    /// `wire/unexpected-frame`, `device/stream-write` and what the device says; any is fatal for the load.
    pub fn write(&mut self, device: &str, at: u64, data: &[u8]) -> Result<()> {
        if at != self.tally.bytes() {
            return Err(HelperError::of(
                FailureKind::Wire,
                "wire/unexpected-frame",
                format!("state from offset {at}, expected {}", self.tally.bytes()),
            )
            .device(device));
        }
        let Some(stream) = &mut self.stream else {
            return Err(
                HelperError::new("device/stream-write", "the device gave no stream for RESUMING").device(device)
            );
        };
        stream.write_all(data).map_err(|error| error.device(device))?;
        self.tally.add(data);
        Ok(())
    }

    /// # Errors
    /// `device/stream-mismatch` naming what differs.
    pub fn check(&self, promised: &StreamSum) -> Result<()> {
        let arrived = self.tally.sum(&promised.device);
        if arrived == *promised {
            return Ok(());
        }
        let found = if arrived.bytes == promised.bytes {
            format!("{} bytes arrived but their hash is {}, not {}", arrived.bytes, arrived.hash, promised.hash)
        } else {
            format!("{} bytes of state arrived, the source sent {}", arrived.bytes, promised.bytes)
        };
        Err(HelperError::new("device/stream-mismatch", found).device(&promised.device))
    }

    /// RESUMING to STOP: the load happens here, and the state is read back.
    pub fn finish(&mut self, device: &mut Stepper) -> Result<()> {
        device.set(DeviceState::Stop)?;
        self.stream = None;
        Ok(())
    }
}
