//! A VFIO device by its fd (from a group or a bound cdev): migration v2, spoken plainly.
//!
//! The one step of policy here is [`KernelDevice::adopt`]: a device that no one else can have open but that is not
//! RUNNING was left over by a process that died.

pub mod feature;
pub mod ioctl;
pub mod meaning;
pub mod stream;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

pub use feature::DeviceFd;

use super::{Device, DeviceState, MigrationFlags, StateStream};
use crate::dirty::Tracker;
use crate::dirty::device_log::DeviceLogTracker;
use crate::error::{HelperError, Result};
use crate::iommu::Opened;
use crate::memory::Memory;
use stream::KernelStream;

/// EAGAIN from a reset means somebody else holds the device's lock for a moment (a config access, another reset).
const RESET_ATTEMPTS: u32 = 5;
const RESET_PAUSE: Duration = Duration::from_millis(20);

pub struct KernelDevice {
    name: String,
    fd: Arc<DeviceFd>,
    flags: MigrationFlags,
}

impl KernelDevice {
    /// Takes a device that is attached to its container. Real drivers start RUNNING at open; mtty keeps whatever
    /// state its last user died in, and leaving RESUMING by SET after a reopen crashes that kernel, so:
    /// RESUMING and ERROR are reset, any other state but RUNNING is taken back to RUNNING. Only a device that no one
    /// else has open gets here (groups and cdevs open once), so no live workload is disturbed.
    ///
    /// A device whose driver has no migration is taken too, without any flag: it can be mapped and tracked, it is
    /// always RUNNING, and the table of transitions lets nothing else be asked of it.
    ///
    /// # Errors
    /// `device/unknown-state`, `device/stale-state`, and what GET gives.
    pub fn adopt(name: &str, fd: Arc<DeviceFd>) -> Result<Opened> {
        let flags = match fd.migration_flags() {
            Ok(flags) => flags,
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => MigrationFlags::NONE,
            Err(error) => {
                let operation = "VFIO_DEVICE_FEATURE_MIGRATION";
                let meaning = meaning::get(error.raw_os_error());
                return Err(HelperError::os("device/get-failed", operation, &error, meaning).device(name));
            }
        };
        let mut device = Self { name: name.to_owned(), fd, flags };
        let notes = if flags == MigrationFlags::NONE { Vec::new() } else { device.settle()? };
        Ok(Opened { device: Box::new(device), notes })
    }

    fn settle(&mut self) -> Result<Vec<String>> {
        let found = self.state()?;
        let stale = |error: HelperError| HelperError { code: "device/stale-state", ..error };
        let done = match found {
            DeviceState::Running => return Ok(Vec::new()),
            DeviceState::Error | DeviceState::Resuming => {
                self.reset().map_err(stale)?;
                "was reset"
            }
            DeviceState::Stop
            | DeviceState::StopCopy
            | DeviceState::PreCopy
            | DeviceState::PreCopyP2p
            | DeviceState::RunningP2p => {
                drop(self.set_state(DeviceState::Running).map_err(stale)?);
                "was set RUNNING"
            }
        };
        match self.state()? {
            DeviceState::Running => Ok(vec![format!(
                "{}: found in {found} when opened, left so by a process that ended; it {done}",
                self.name
            )]),
            other => Err(HelperError::new(
                "device/stale-state",
                format!("found in {found} when opened; it {done} but did not become RUNNING"),
            )
            .device(&self.name)
            .state(other)),
        }
    }

    fn refuse(&self, code: &'static str, message: String, state: DeviceState) -> HelperError {
        HelperError::new(code, message).device(&self.name).operation("SET of the device state").state(state)
    }

    fn set_failed(&mut self, target: DeviceState, error: &std::io::Error) -> HelperError {
        let errno = error.raw_os_error();
        let lost = matches!(errno, Some(libc::EMFILE | libc::ENFILE));
        let code = match errno {
            _ if lost => "device/stream-lost",
            Some(libc::EBUSY) => "device/busy",
            Some(libc::ENOTTY) => "device/not-migratable",
            _ => "device/set-failed",
        };
        let failed = HelperError::os(code, format!("SET {target}"), error, meaning::set_state(errno, target));
        let mut failed = failed.device(&self.name);
        // After any failure the device may be in any step between.
        failed.state = self.state().ok();
        match code {
            "device/stream-lost" if target == DeviceState::Resuming => {
                failed.suggest("reset the device; raise the limit of open files (ulimit -n) before trying again")
            }
            "device/stream-lost" => {
                failed.suggest("set the device back to STOP; raise the limit of open files (ulimit -n)")
            }
            _ => failed,
        }
    }
}

/// Whether the arc opens a session, that is, whether the kernel must give a data fd.
fn enters_session(from: DeviceState, to: DeviceState) -> bool {
    let saving = |state| matches!(state, DeviceState::PreCopy | DeviceState::PreCopyP2p | DeviceState::StopCopy);
    (saving(to) && !saving(from)) || (to == DeviceState::Resuming && from != DeviceState::Resuming)
}

impl Device for KernelDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn flags(&self) -> MigrationFlags {
        self.flags
    }

    fn state(&mut self) -> Result<DeviceState> {
        if self.flags == MigrationFlags::NONE {
            return Ok(DeviceState::Running);
        }
        let found = self.fd.state().map_err(|error| {
            HelperError::os("device/get-failed", "GET of the device state", &error, meaning::get(error.raw_os_error()))
                .device(&self.name)
        })?;
        found.map_err(|raw| {
            HelperError::new("device/unknown-state", format!("the device is in state {raw}, unknown to this program"))
                .device(&self.name)
        })
    }

    fn set_state(&mut self, target: DeviceState) -> Result<Option<Box<dyn StateStream>>> {
        // The stepper's table already excludes these three; they are refused here too because two of them cost the
        // host: STOP_COPY to PRE_COPY* never returns on kernels without a26b499b757c, a SET in ERROR is a WARN.
        let from = self.state()?;
        if self.flags == MigrationFlags::NONE {
            let message = format!("SET {target} refused: the driver has no migration");
            return Err(self.refuse("device/not-migratable", message, from));
        }
        if from == DeviceState::Error {
            let message = format!("SET {target} refused: a device in ERROR can only be reset");
            return Err(self.refuse("device/in-error", message, from));
        }
        if target == DeviceState::Error {
            return Err(self.refuse("device/illegal-transition", "ERROR is not a state to ask for".to_owned(), from));
        }
        if from == DeviceState::StopCopy && matches!(target, DeviceState::PreCopy | DeviceState::PreCopyP2p) {
            let message = format!("SET {target} refused: from STOP_COPY this hangs the kernel for good");
            return Err(self.refuse("device/illegal-transition", message, from));
        }
        match self.fd.set_state(target) {
            Ok(Some(fd)) => {
                if target != DeviceState::Resuming {
                    // mlx5 waits for its firmware otherwise, in the blackout and deaf to every limit; other drivers
                    // take no notice, and one that refuses is read as it is.
                    let _ = rustix::fs::fcntl_setfl(&fd, rustix::fs::OFlags::NONBLOCK);
                }
                Ok(Some(Box::new(KernelStream::new(&self.name, fd))))
            }
            Ok(None) if enters_session(from, target) => {
                let message = format!("SET {target} gave no stream although it opens a session");
                Err(self.refuse("device/stream-lost", message, target))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(self.set_failed(target, &error)),
        }
    }

    fn stop_copy_bytes(&mut self) -> Result<Option<u64>> {
        match self.fd.stop_copy_bytes() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => Ok(None),
            Err(error) => Err(HelperError::os(
                "device/get-failed",
                "VFIO_DEVICE_FEATURE_MIG_DATA_SIZE",
                &error,
                meaning::get(error.raw_os_error()),
            )
            .device(&self.name)),
        }
    }

    fn reset(&mut self) -> Result<()> {
        for attempt in 1..=RESET_ATTEMPTS {
            match self.fd.reset() {
                Ok(()) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) && attempt < RESET_ATTEMPTS => {
                    std::thread::sleep(RESET_PAUSE);
                }
                Err(error) => {
                    let mut failed = HelperError::os(
                        "device/reset-failed",
                        "VFIO_DEVICE_RESET",
                        &error,
                        meaning::reset(error.raw_os_error()),
                    )
                    .device(&self.name);
                    failed.state = self.state().ok();
                    return Err(failed);
                }
            }
        }
        Ok(())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.fd.as_fd())
    }

    fn dma_log(&mut self, name: &str, memory: &Arc<Memory>) -> Result<Box<dyn Tracker>> {
        DeviceLogTracker::of_device(name, &self.name, &self.fd, memory)
    }
}

/// Wraps a descriptor the kernel gave for a device.
pub fn shared(fd: OwnedFd) -> Arc<DeviceFd> {
    Arc::new(DeviceFd::from(fd))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_fd_is_due_exactly_on_arcs_that_open_a_session() {
        use DeviceState::{PreCopy, PreCopyP2p, Resuming, Running, RunningP2p, Stop, StopCopy};
        for (from, to) in
            [(Running, PreCopy), (RunningP2p, PreCopyP2p), (Stop, StopCopy), (Running, StopCopy), (StopCopy, Resuming)]
        {
            assert!(enters_session(from, to), "{from} to {to}");
        }
        for (from, to) in
            [(PreCopy, PreCopyP2p), (PreCopyP2p, StopCopy), (PreCopy, StopCopy), (StopCopy, Stop), (Resuming, Stop)]
        {
            assert!(!enters_session(from, to), "{from} to {to}");
        }
        for state in DeviceState::ALL {
            assert!(!enters_session(state, state), "asking for {state} in {state} opens nothing");
        }
    }

    #[test]
    fn without_migration_nothing_can_be_set() {
        let null = OwnedFd::from(std::fs::File::open("/dev/null").expect("open"));
        let mut device = KernelDevice::adopt("gpu", shared(null)).expect("to be mapped and tracked").device;
        assert_eq!(device.flags(), MigrationFlags::NONE);
        assert_eq!(device.state().expect("state"), DeviceState::Running);
        let error = device.set_state(DeviceState::StopCopy).err().expect("refused");
        assert_eq!((error.code, error.device.as_deref()), ("device/not-migratable", Some("gpu")));
    }
}
