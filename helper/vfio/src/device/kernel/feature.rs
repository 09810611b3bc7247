//! `VFIO_DEVICE_FEATURE` on a device fd: migration, state size and DMA logging, as plain calls with plain errnos.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
    VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
    VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, VFIO_DEVICE_FEATURE_MIGRATION, VFIO_DEVICE_FEATURE_PROBE,
    VFIO_DEVICE_FEATURE_SET, vfio_device_feature, vfio_device_feature_dma_logging_control,
    vfio_device_feature_dma_logging_range, vfio_device_feature_dma_logging_report, vfio_device_feature_mig_data_size,
    vfio_device_feature_mig_state, vfio_device_feature_migration,
};

use super::ioctl;
use crate::area::Area;
use crate::device::{DeviceState, MigrationFlags};

/// The header and the payload behind it, as one structure; payloads are aligned to at most 8 bytes, so none is padded.
#[repr(C)]
struct Call<T> {
    header: vfio_device_feature,
    data: T,
}

/// A device fd, from a group or a bound cdev. Shared by the device and its DMA log; closed with the last of them.
#[derive(Debug)]
pub struct DeviceFd(OwnedFd);

impl AsRawFd for DeviceFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for DeviceFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for DeviceFd {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl DeviceFd {
    /// # Errors
    /// ENOTTY: the driver has no migration. EINVAL: a cdev not yet bound.
    pub fn migration_flags(&self) -> io::Result<MigrationFlags> {
        let found = self
            .call(VFIO_DEVICE_FEATURE_MIGRATION | VFIO_DEVICE_FEATURE_GET, vfio_device_feature_migration::default())?;
        Ok(MigrationFlags::from_raw(found.flags))
    }

    /// GET of the state; `Err(raw)` inside for a state this code does not know.
    pub fn state(&self) -> io::Result<Result<DeviceState, u32>> {
        let asked = vfio_device_feature_mig_state { device_state: 0, data_fd: -1 };
        let found = self.call(VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_GET, asked)?;
        Ok(DeviceState::from_raw(found.device_state).ok_or(found.device_state))
    }

    /// One SET of the state. `Some`: the arc entered a session and this is its (O_CLOEXEC) data fd; the kernel gives
    /// -1 on every other arc, so no one may replace a stream they hold by what comes back here.
    pub fn set_state(&self, target: DeviceState) -> io::Result<Option<OwnedFd>> {
        let asked = vfio_device_feature_mig_state { device_state: target as u32, data_fd: -1 };
        let given = self.call(VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET, asked)?;
        if given.data_fd < 0 {
            return Ok(None);
        }
        // SAFETY: the kernel just installed this descriptor for us; no one else knows it.
        Ok(Some(unsafe { OwnedFd::from_raw_fd(given.data_fd) }))
    }

    /// Estimated bytes of a STOP_COPY stream.
    pub fn stop_copy_bytes(&self) -> io::Result<u64> {
        let asked = vfio_device_feature_mig_data_size::default();
        Ok(self.call(VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | VFIO_DEVICE_FEATURE_GET, asked)?.stop_copy_length)
    }

    pub fn reset(&self) -> io::Result<()> {
        // SAFETY: RESET takes no argument.
        unsafe { ioctl::with_value(self, ioctl::VFIO_DEVICE_RESET(), 0) }.map(drop)
    }

    /// Whether the driver keeps a DMA log. PROBE changes nothing; any failure but ENOTTY is the caller's to judge.
    pub fn has_dma_log(&self) -> io::Result<bool> {
        let flags = VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET;
        match self.call(flags, vfio_device_feature_dma_logging_control::default()) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Starts the log; returns the page size the driver chose. `ranges` are the caller's to validate: the core lets
    /// zero lengths and odd page sizes through.
    pub fn dma_log_start(&self, page_size: u64, ranges: &[Area]) -> io::Result<u64> {
        let ranges: Vec<_> = ranges
            .iter()
            .map(|area| vfio_device_feature_dma_logging_range { iova: area.iova, length: area.bytes })
            .collect();
        let num_ranges = u32::try_from(ranges.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
        let control = vfio_device_feature_dma_logging_control {
            page_size,
            num_ranges,
            __reserved: 0,
            ranges: ranges.as_ptr() as u64,
        };
        let chosen = self.call(VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_SET, control)?;
        Ok(chosen.page_size)
    }

    pub fn dma_log_stop(&self) -> io::Result<()> {
        self.call(VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | VFIO_DEVICE_FEATURE_SET, ()).map(drop)
    }

    /// Reads and clears the log of `area`; ORs bit n for `area.iova + n * page_size` into `words`, which must hold a
    /// bit for each page (asserted: the kernel reports no error for memory it cannot write and has cleared the log).
    pub fn dma_log_report(&self, area: Area, page_size: u64, words: &mut [u64]) -> io::Result<()> {
        if (words.len() as u64) < area.bytes.div_ceil(page_size).div_ceil(64) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let report = vfio_device_feature_dma_logging_report {
            iova: area.iova,
            length: area.bytes,
            page_size,
            bitmap: words.as_mut_ptr() as u64,
        };
        self.call(VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT | VFIO_DEVICE_FEATURE_GET, report).map(drop)
    }

    fn call<T>(&self, flags: u32, data: T) -> io::Result<T> {
        let mut call = Call { header: vfio_device_feature { argsz: 0, flags, ..Default::default() }, data };
        call.header.argsz = ioctl::size_of_u32::<Call<T>>();
        // SAFETY: `Call<T>` is the header with the payload of this feature; argsz is its size. Addresses in the
        // payload (ranges, bitmap) point to slices the callers above hold across this call, the bitmap exclusively.
        unsafe { ioctl::with_struct(self, ioctl::VFIO_DEVICE_FEATURE(), &mut call)? };
        Ok(call.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_follow_the_header_without_padding() {
        assert_eq!(std::mem::offset_of!(Call<vfio_device_feature_mig_state>, data), 8);
        assert_eq!(size_of::<Call<vfio_device_feature_mig_state>>(), 16);
        assert_eq!(std::mem::offset_of!(Call<vfio_device_feature_dma_logging_report>, data), 8);
        assert_eq!(size_of::<Call<vfio_device_feature_dma_logging_report>>(), 40);
        assert_eq!(size_of::<Call<()>>(), 8);
    }

    #[test]
    fn a_bitmap_too_small_is_refused_before_the_kernel_clears_its_log() {
        let fd = DeviceFd::from(OwnedFd::from(std::fs::File::open("/dev/null").expect("open")));
        let area = Area { iova: 0, bytes: 65 * 4096 };
        let short = fd.dma_log_report(area, 4096, &mut [0]).expect_err("one word short");
        assert_eq!(short.raw_os_error(), Some(libc::EINVAL));
        let asked = fd.dma_log_report(area, 4096, &mut [0, 0]).expect_err("no device");
        assert_eq!(asked.raw_os_error(), Some(libc::ENOTTY));
    }
}
