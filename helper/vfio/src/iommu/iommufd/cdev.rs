//! A device's own node (`/dev/vfio/devices/vfioN`): open, bind to iommufd, attach to an address space or page table.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use vfio_bindings::bindings::vfio::{
    vfio_device_attach_iommufd_pt, vfio_device_bind_iommufd, vfio_device_detach_iommufd_pt,
};

use super::fd::Iommufd;
use crate::device::kernel::{DeviceFd, ioctl, shared};
use crate::error::{HelperError, Result};
use crate::iommu::node::{DeviceNode, busy, open_failed};

/// A bound device. `id` is a device id for physical devices and an access id for mdevs, which no page table takes.
pub struct Bound {
    pub fd: Arc<DeviceFd>,
    pub id: u32,
}

/// Opens the node and binds it. Until then every request on it gives EINVAL.
///
/// # Errors
/// `iommu/noiommu`, `device/no-cdev`, `device/busy`, `device/no-node`, `device/no-permission`, `iommu/not-viable`,
/// `iommu/bind-failed`.
pub fn open(name: &str, node: &DeviceNode, iommufd: &Iommufd) -> Result<Bound> {
    if node.noiommu {
        let message = format!("{} is in noiommu mode: its DMA is neither translated nor tracked", node.id);
        return Err(HelperError::new("iommu/noiommu", message).device(name));
    }
    let Some(path) = node.cdev_node() else {
        return Err(HelperError::new("device/no-cdev", format!("{} has no device node", node.id))
            .device(name)
            .suggest("bind it to a VFIO driver on a kernel with CONFIG_VFIO_DEVICE_CDEV, or use the backend type1"));
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|error| open_failed(name, node, &path, &error))?;
    let fd = shared(OwnedFd::from(file));
    // Only the part every kernel knows; later ones take a token behind it.
    let argsz = std::mem::offset_of!(vfio_device_bind_iommufd, out_devid) + size_of::<u32>();
    let mut bind = vfio_device_bind_iommufd { argsz: argsz as u32, iommufd: iommufd.as_raw_fd(), ..Default::default() };
    // SAFETY: the request takes this structure, argsz is no more than its size, it holds no addresses (the token's is
    // behind argsz and null).
    let bound = unsafe { ioctl::with_struct(fd.as_ref(), ioctl::VFIO_DEVICE_BIND_IOMMUFD(), &mut bind) };
    if let Err(error) = bound {
        // Closed first, so that the search for who has the device open does not find us.
        drop(fd);
        return Err(bind_failed(name, node, &path, &error));
    }
    Ok(Bound { fd, id: bind.out_devid })
}

fn bind_failed(name: &str, node: &DeviceNode, path: &Path, error: &io::Error) -> HelperError {
    let (code, meaning) = match error.raw_os_error().unwrap_or(0) {
        // EBUSY: open by its group. EINVAL: bound already, which is the same to us; or, where no one has it, a
        // platform whose DMA is not cache-coherent.
        libc::EBUSY | libc::EINVAL => {
            let (meaning, hint) = busy(node, path);
            let failed = HelperError::os("device/busy", "VFIO_DEVICE_BIND_IOMMUFD", error, meaning);
            return failed.device(name).suggest(hint);
        }
        libc::EPERM => {
            ("iommu/not-viable", "another member of its IOMMU group is in use, or its interrupts are not isolated")
        }
        libc::EACCES => ("device/vf-token", "the function wants the VF token its physical function's user has set"),
        _ => ("iommu/bind-failed", "the driver refused to open the device"),
    };
    HelperError::os(code, "VFIO_DEVICE_BIND_IOMMUFD", error, meaning).device(name)
}

/// Attaches to an IOAS or HWPT. Attaching to another one later replaces it.
pub fn attach(fd: &DeviceFd, page_table: u32) -> io::Result<()> {
    let argsz = std::mem::offset_of!(vfio_device_attach_iommufd_pt, pt_id) + size_of::<u32>();
    let mut request = vfio_device_attach_iommufd_pt { argsz: argsz as u32, pt_id: page_table, ..Default::default() };
    // SAFETY: the request takes this structure, argsz is no more than its size, it holds no addresses.
    unsafe { ioctl::with_struct(fd, ioctl::VFIO_DEVICE_ATTACH_IOMMUFD_PT(), &mut request) }.map(drop)
}

pub fn detach(fd: &DeviceFd) -> io::Result<()> {
    let argsz = std::mem::offset_of!(vfio_device_detach_iommufd_pt, pasid);
    let mut request = vfio_device_detach_iommufd_pt { argsz: argsz as u32, ..Default::default() };
    // SAFETY: the request takes this structure, argsz is no more than its size, it holds no addresses.
    unsafe { ioctl::with_struct(fd, ioctl::VFIO_DEVICE_DETACH_IOMMUFD_PT(), &mut request) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_the_oldest_kernel_with_cdev_takes() {
        assert_eq!(std::mem::offset_of!(vfio_device_bind_iommufd, out_devid) + 4, 16);
        assert_eq!(std::mem::offset_of!(vfio_device_attach_iommufd_pt, pt_id) + 4, 12);
        assert_eq!(std::mem::offset_of!(vfio_device_detach_iommufd_pt, pasid), 8);
    }
}
