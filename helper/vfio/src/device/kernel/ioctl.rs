//! VFIO ioctl numbers and the one place that calls them.
//!
//! The structures are those of `vfio-bindings`. `vfio-ioctls` is left out on purpose: its container and device types
//! own the whole flow (one container per process style, map on region, no way to hold a group open alone), hide the
//! dirty-page and migration ioctls, and fold errnos into enums without the errno's meaning.

use std::io;
use std::os::fd::AsRawFd;

use vfio_bindings::bindings::vfio::{VFIO_BASE, VFIO_TYPE};
use vmm_sys_util::ioctl::{ioctl_with_mut_ref, ioctl_with_val};
use vmm_sys_util::ioctl_io_nr;

const TYPE: u32 = VFIO_TYPE as u32;

ioctl_io_nr!(VFIO_GET_API_VERSION, TYPE, VFIO_BASE);
ioctl_io_nr!(VFIO_CHECK_EXTENSION, TYPE, VFIO_BASE + 1);
ioctl_io_nr!(VFIO_SET_IOMMU, TYPE, VFIO_BASE + 2);
ioctl_io_nr!(VFIO_GROUP_GET_STATUS, TYPE, VFIO_BASE + 3);
ioctl_io_nr!(VFIO_GROUP_SET_CONTAINER, TYPE, VFIO_BASE + 4);
ioctl_io_nr!(VFIO_GROUP_GET_DEVICE_FD, TYPE, VFIO_BASE + 6);
ioctl_io_nr!(VFIO_DEVICE_RESET, TYPE, VFIO_BASE + 11);
ioctl_io_nr!(VFIO_IOMMU_GET_INFO, TYPE, VFIO_BASE + 12);
ioctl_io_nr!(VFIO_IOMMU_MAP_DMA, TYPE, VFIO_BASE + 13);
ioctl_io_nr!(VFIO_IOMMU_UNMAP_DMA, TYPE, VFIO_BASE + 14);
ioctl_io_nr!(VFIO_IOMMU_DIRTY_PAGES, TYPE, VFIO_BASE + 17);
// The same number on another kind of fd.
ioctl_io_nr!(VFIO_DEVICE_FEATURE, TYPE, VFIO_BASE + 17);
ioctl_io_nr!(VFIO_DEVICE_BIND_IOMMUFD, TYPE, VFIO_BASE + 18);
ioctl_io_nr!(VFIO_DEVICE_ATTACH_IOMMUFD_PT, TYPE, VFIO_BASE + 19);
ioctl_io_nr!(VFIO_DEVICE_DETACH_IOMMUFD_PT, TYPE, VFIO_BASE + 20);
ioctl_io_nr!(VFIO_MIG_GET_PRECOPY_INFO, TYPE, VFIO_BASE + 21);

/// `ioctl(fd, request, &mut arg)`; what it returned, or the errno.
///
/// # Safety
/// `T` must begin with the structure that `request` expects on this kind of fd, its size field must not exceed
/// `size_of::<T>()`, and every address inside must stay valid for the kernel's accesses during the call.
pub unsafe fn with_struct<T>(fd: &impl AsRawFd, request: libc::c_ulong, arg: &mut T) -> io::Result<i32> {
    // SAFETY: `arg` is a live exclusive reference; the rest is the caller's promise above.
    checked(unsafe { ioctl_with_mut_ref(fd, request, arg) })
}

/// `ioctl(fd, request, value)` for requests that take a plain number or nothing; what it returned, or the errno.
///
/// # Safety
/// `request` must take a plain number or nothing on this kind of fd: the kernel must not read `value` as an address.
pub unsafe fn with_value(fd: &impl AsRawFd, request: libc::c_ulong, value: libc::c_ulong) -> io::Result<i32> {
    // SAFETY: the caller promises that the request reads no memory of ours.
    checked(unsafe { ioctl_with_val(fd, request, value) })
}

fn checked(returned: i32) -> io::Result<i32> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// `size_of::<T>()` as the uAPI's size fields have it.
pub const fn size_of_u32<T>() -> u32 {
    size_of::<T>() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_uapi_header() {
        let expected = [
            (VFIO_GET_API_VERSION(), 0x3b64),
            (VFIO_DEVICE_RESET(), 0x3b6f),
            (VFIO_IOMMU_MAP_DMA(), 0x3b71),
            (VFIO_IOMMU_UNMAP_DMA(), 0x3b72),
            (VFIO_IOMMU_DIRTY_PAGES(), 0x3b75),
            (VFIO_DEVICE_FEATURE(), 0x3b75),
            (VFIO_DEVICE_BIND_IOMMUFD(), 0x3b76),
            (VFIO_DEVICE_ATTACH_IOMMUFD_PT(), 0x3b77),
            (VFIO_DEVICE_DETACH_IOMMUFD_PT(), 0x3b78),
            (VFIO_MIG_GET_PRECOPY_INFO(), 0x3b79),
        ];
        for (found, number) in expected {
            assert_eq!(found, number, "{found:#x}");
        }
    }

    #[test]
    fn a_refused_ioctl_keeps_its_errno() {
        let null = std::fs::File::open("/dev/null").expect("/dev/null");
        // SAFETY: RESET takes no argument, and /dev/null knows no such request.
        let error = unsafe { with_value(&null, VFIO_DEVICE_RESET(), 0) }.expect_err("no VFIO device");
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }
}
