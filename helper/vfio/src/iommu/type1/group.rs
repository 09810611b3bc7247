//! A VFIO group: `/dev/vfio/N`. It is opened once for all its devices.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use vfio_bindings::bindings::vfio::{VFIO_GROUP_FLAGS_VIABLE, vfio_group_status};

use crate::device::kernel::ioctl;
use crate::error::{HelperError, Result};
use crate::iommu::node::{DeviceNode, open_failed};

#[derive(Debug)]
pub struct Group {
    pub number: u32,
    /// Of an mdev. Such a group has one member, does not pin on mapping, and keeps the container's pinned scope.
    pub emulated: bool,
    file: File,
}

impl AsRawFd for Group {
    fn as_raw_fd(&self) -> i32 {
        self.file.as_raw_fd()
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Group {
    /// Opens the group of `node`.
    ///
    /// # Errors
    /// `iommu/no-group`, `iommu/noiommu`, `device/busy`, `device/no-node`, `device/no-permission`,
    /// `iommu/not-viable`.
    pub fn open(name: &str, node: &DeviceNode) -> Result<Self> {
        let (Some(number), Some(path)) = (node.group, node.group_node()) else {
            return Err(HelperError::new("iommu/no-group", format!("{} has no IOMMU group", node.id))
                .device(name)
                .suggest("switch the IOMMU on (firmware setup, and intel_iommu=on where the kernel needs it)"));
        };
        if node.noiommu {
            return Err(HelperError::new(
                "iommu/noiommu",
                format!("{} is in noiommu mode: its DMA is neither translated nor tracked", node.id),
            )
            .device(name));
        }
        // std opens with O_CLOEXEC.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| open_failed(name, node, &path, &error))?;
        let group = Self { number, emulated: node.emulated, file };
        group.require_viable(name)?;
        Ok(group)
    }

    fn require_viable(&self, name: &str) -> Result<()> {
        let mut status = vfio_group_status { argsz: ioctl::size_of_u32::<vfio_group_status>(), flags: 0 };
        // SAFETY: the request takes this structure, argsz is its size, it holds no addresses.
        unsafe { ioctl::with_struct(&self.file, ioctl::VFIO_GROUP_GET_STATUS(), &mut status) }.map_err(|error| {
            HelperError::os("iommu/group-status", "VFIO_GROUP_GET_STATUS", &error, "not a VFIO group").device(name)
        })?;
        if status.flags & VFIO_GROUP_FLAGS_VIABLE == 0 {
            return Err(self.not_viable(name));
        }
        Ok(())
    }

    fn not_viable(&self, name: &str) -> HelperError {
        HelperError::new(
            "iommu/not-viable",
            format!("IOMMU group {} has another member that its own driver still uses", self.number),
        )
        .device(name)
        .suggest("bind every member of the group to a VFIO driver or to none; `ferry devices` names them")
    }

    pub fn set_container(&self, name: &str, container: &impl AsRawFd) -> Result<()> {
        let mut fd: i32 = container.as_raw_fd();
        // SAFETY: the request reads one int.
        let set = unsafe { ioctl::with_struct(&self.file, ioctl::VFIO_GROUP_SET_CONTAINER(), &mut fd) };
        set.map(drop).map_err(|error| match error.raw_os_error().unwrap_or(0) {
            libc::EPERM => self.not_viable(name).operation("VFIO_GROUP_SET_CONTAINER"),
            number => {
                let meaning = match number {
                    libc::EINVAL => "the group is in a container already, or cannot share this one's mappings",
                    libc::EBUSY => "another user of the IOMMU owns the group",
                    libc::ENODEV => "the group's last device is gone",
                    libc::ENOMEM => "the kernel has no memory for the IOMMU domain",
                    _ => "",
                };
                HelperError::os("iommu/attach-failed", "VFIO_GROUP_SET_CONTAINER", &error, meaning).device(name)
            }
        })
    }

    /// Opens the device called `id` (BDF or UUID) of this group; needs a container with its IOMMU set.
    pub fn device_fd(&self, name: &str, id: &str) -> Result<OwnedFd> {
        let text = CString::new(id)
            .map_err(|_| HelperError::new("device/not-found", format!("{id:?} is not a device name")).device(name))?;
        // SAFETY: the request reads a NUL-terminated string, which `text` is and stays for the call.
        let fd = unsafe {
            vmm_sys_util::ioctl::ioctl_with_ptr(&self.file, ioctl::VFIO_GROUP_GET_DEVICE_FD(), text.as_ptr())
        };
        if fd >= 0 {
            // SAFETY: the kernel just installed this descriptor (O_CLOEXEC) for us; no one else knows it.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        let error = std::io::Error::last_os_error();
        let (code, meaning) = match error.raw_os_error().unwrap_or(0) {
            libc::ENODEV => ("device/no-node", "no VFIO driver is bound to this device, or it left the group"),
            libc::EBUSY => ("device/busy", "the device is open elsewhere"),
            libc::EACCES => ("device/vf-token", "the function wants the VF token its physical function's user has set"),
            libc::EINVAL => {
                ("device/open-failed", "the container has no IOMMU, or the driver refused to open the device")
            }
            _ => ("device/open-failed", "the driver refused to open the device"),
        };
        Err(HelperError::os(code, format!("VFIO_GROUP_GET_DEVICE_FD {id}"), &error, meaning).device(name))
    }
}
