//! Asking a device through an fd, with GETs and PROBEs only: nothing it does changes, in whatever state it is.

use crate::device::MigrationFlags;
use crate::device::kernel::{DeviceFd, meaning};
use crate::error::{HelperError, Result};
use crate::message::num::Bytes;
use crate::message::{MigrationFacts, flag_names};

/// What a device said for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    pub migration: MigrationFacts,
    pub dma_log: bool,
    /// Whether the IOMMU behind it tracks; `None` where iommufd was not asked.
    pub iommu_tracks: Option<bool>,
}

pub fn ask(device: &str, fd: &DeviceFd) -> Result<Answers> {
    let failed = |operation: &str, error: &std::io::Error| {
        HelperError::os("device/get-failed", operation, error, meaning::get(error.raw_os_error())).device(device)
    };
    let flags = match fd.migration_flags() {
        Ok(flags) => flags,
        Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => MigrationFlags::from_raw(0),
        Err(error) => return Err(failed("VFIO_DEVICE_FEATURE_MIGRATION", &error)),
    };
    let mut migration =
        MigrationFacts { supported: flags.stop_copy, flags: flag_names(flags), state: None, state_bytes: None };
    if flags.stop_copy {
        // Neither is needed to know that it can migrate; a state newer than this code stays unknown.
        migration.state = fd.state().ok().and_then(std::result::Result::ok);
        migration.state_bytes = fd.stop_copy_bytes().ok().map(Bytes);
    }
    let dma_log = fd.has_dma_log().map_err(|error| failed("VFIO_DEVICE_FEATURE_DMA_LOGGING_START (probe)", &error))?;
    Ok(Answers { migration, dma_log, iommu_tracks: None })
}
