//! The container fd (`/dev/vfio/vfio`) and its type1v2 requests, one ioctl each.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use vfio_bindings::bindings::vfio::{
    VFIO_API_VERSION, VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
    VFIO_IOMMU_DIRTY_PAGES_FLAG_START, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, VFIO_TYPE1v2_IOMMU, vfio_bitmap,
    vfio_iommu_type1_dirty_bitmap, vfio_iommu_type1_dirty_bitmap_get, vfio_iommu_type1_dma_map,
    vfio_iommu_type1_dma_unmap,
};

use super::info::ContainerInfo;
use crate::area::Area;
use crate::device::kernel::ioctl;
use crate::dirty::areas::bitmap_words;
use crate::dirty::pinned::DirtyPages;
use crate::error::{HelperError, Result};

pub const CONTAINER_NODE: &str = "/dev/vfio/vfio";

/// Shared by the backend and its tracker; closed with the last of them.
#[derive(Debug, Clone)]
pub struct ContainerFd(Arc<File>);

impl AsRawFd for ContainerFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for ContainerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `vfio_iommu_type1_dirty_bitmap` with the payload of GET_BITMAP behind it, 48 bytes.
#[repr(C)]
struct GetBitmap {
    header: vfio_iommu_type1_dirty_bitmap,
    get: vfio_iommu_type1_dirty_bitmap_get,
}

impl ContainerFd {
    /// # Errors
    /// `iommu/no-type1`: no container node, or one without type1.
    pub fn open() -> Result<Self> {
        let hint = "load vfio_iommu_type1, or use the backend iommufd";
        let file = OpenOptions::new().read(true).write(true).open(CONTAINER_NODE).map_err(|error| {
            HelperError::os("iommu/no-type1", format!("open {CONTAINER_NODE}"), &error, "no type1 container here")
                .suggest(hint)
        })?;
        let container = Self(Arc::new(file));
        // SAFETY: GET_API_VERSION takes no argument.
        let version = unsafe { ioctl::with_value(&container, ioctl::VFIO_GET_API_VERSION(), 0) }.unwrap_or(-1);
        if version != VFIO_API_VERSION as i32 || !container.has_type1() {
            return Err(HelperError::new("iommu/no-type1", format!("{CONTAINER_NODE} offers no type1v2 IOMMU"))
                .operation("VFIO_CHECK_EXTENSION")
                .suggest(hint));
        }
        Ok(container)
    }

    fn has_type1(&self) -> bool {
        let extension = libc::c_ulong::from(VFIO_TYPE1v2_IOMMU);
        // SAFETY: CHECK_EXTENSION takes a plain number.
        unsafe { ioctl::with_value(self, ioctl::VFIO_CHECK_EXTENSION(), extension) }.is_ok_and(|answer| answer > 0)
    }

    /// Needs a group in the container. Version 2, because version 1 has no dirty tracking.
    pub fn set_type1(&self) -> io::Result<()> {
        // SAFETY: SET_IOMMU takes a plain number.
        unsafe { ioctl::with_value(self, ioctl::VFIO_SET_IOMMU(), libc::c_ulong::from(VFIO_TYPE1v2_IOMMU)) }.map(drop)
    }

    pub fn info(&self) -> io::Result<ContainerInfo> {
        ContainerInfo::read(self)
    }

    /// Readable too: a driver's `vfio_dma_rw` checks for READ even where it writes.
    ///
    /// # Safety
    /// `address` must begin `area.bytes` of mapped memory that devices may write at any time, and that stays mapped
    /// until `area` is unmapped here or the container is closed.
    pub unsafe fn map(&self, address: u64, area: Area) -> io::Result<()> {
        let mut map = vfio_iommu_type1_dma_map {
            argsz: ioctl::size_of_u32::<vfio_iommu_type1_dma_map>(),
            flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
            vaddr: address,
            iova: area.iova,
            size: area.bytes,
        };
        // SAFETY: the request takes this structure and argsz is its size. `vaddr` names memory that the
        // device may write for as long as it is mapped: the caller's promise.
        unsafe { ioctl::with_struct(self, ioctl::VFIO_IOMMU_MAP_DMA(), &mut map) }.map(drop)
    }

    /// Returns the bytes unmapped.
    pub fn unmap(&self, area: Area) -> io::Result<u64> {
        let mut unmap = vfio_iommu_type1_dma_unmap {
            argsz: ioctl::size_of_u32::<vfio_iommu_type1_dma_unmap>(),
            flags: 0,
            iova: area.iova,
            size: area.bytes,
            ..Default::default()
        };
        // SAFETY: the request takes this structure, argsz is its size, without flags it holds no addresses.
        unsafe { ioctl::with_struct(self, ioctl::VFIO_IOMMU_UNMAP_DMA(), &mut unmap) }?;
        Ok(unmap.size)
    }

    fn switch_tracking(&self, flags: u32) -> io::Result<()> {
        let mut request = vfio_iommu_type1_dirty_bitmap {
            argsz: ioctl::size_of_u32::<vfio_iommu_type1_dirty_bitmap>(),
            flags,
            ..Default::default()
        };
        // SAFETY: START and STOP take the header alone, argsz is its size.
        unsafe { ioctl::with_struct(self, ioctl::VFIO_IOMMU_DIRTY_PAGES(), &mut request) }.map(drop)
    }
}

impl DirtyPages for ContainerFd {
    fn start(&mut self) -> io::Result<()> {
        self.switch_tracking(VFIO_IOMMU_DIRTY_PAGES_FLAG_START)
    }

    fn stop(&mut self) -> io::Result<()> {
        self.switch_tracking(VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP)
    }

    fn bitmap(&mut self, mapping: Area, page_size: u64, words: &mut [u64]) -> io::Result<()> {
        // The kernel takes any size up to 256 MiB but writes only what the mapping needs; so does our check.
        if words.len() != bitmap_words(mapping.bytes, page_size) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut request = GetBitmap {
            header: vfio_iommu_type1_dirty_bitmap {
                argsz: ioctl::size_of_u32::<GetBitmap>(),
                flags: VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
                ..Default::default()
            },
            get: vfio_iommu_type1_dirty_bitmap_get {
                iova: mapping.iova,
                size: mapping.bytes,
                bitmap: vfio_bitmap {
                    pgsize: page_size,
                    size: size_of_val(words) as u64,
                    data: words.as_mut_ptr().cast(),
                },
            },
        };
        // SAFETY: header and payload of GET_BITMAP, argsz is their size; the bitmap is `words`, exclusively ours for
        // the call, and its size is told in bytes.
        unsafe { ioctl::with_struct(self, ioctl::VFIO_IOMMU_DIRTY_PAGES(), &mut request) }.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bitmap_request_has_the_uapi_layout() {
        assert_eq!(size_of::<GetBitmap>(), 48);
        assert_eq!(std::mem::offset_of!(GetBitmap, get), 8);
        assert_eq!(size_of::<vfio_iommu_type1_dma_unmap>(), 24);
    }
}
