//! `/dev/iommu`: one call each. What `iommufd-ioctls` wraps goes through its `IommuFd`; IOVA ranges, options and the
//! two dirty-tracking requests are not in it and are made here from the bindings.

use std::io;
use std::sync::Arc;

use iommufd_bindings::iommufd::{
    IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP, IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING, IOMMUFD_CMD_IOAS_IOVA_RANGES,
    IOMMUFD_CMD_OPTION, IOMMUFD_TYPE, iommu_hw_info, iommu_hwpt_alloc, iommu_hwpt_get_dirty_bitmap,
    iommu_hwpt_set_dirty_tracking, iommu_ioas_alloc, iommu_ioas_iova_ranges, iommu_ioas_map, iommu_ioas_unmap,
    iommu_iova_range, iommu_option, iommufd_hw_capabilities_IOMMU_HW_CAP_DIRTY_TRACKING,
    iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
    iommufd_hwpt_set_dirty_tracking_flags_IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
    iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA, iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE,
    iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE, iommufd_option_IOMMU_OPTION_HUGE_PAGES,
    iommufd_option_IOMMU_OPTION_RLIMIT_MODE, iommufd_option_ops_IOMMU_OPTION_OP_GET,
    iommufd_option_ops_IOMMU_OPTION_OP_SET,
};
use iommufd_ioctls::{IommuFd, IommufdError};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use vmm_sys_util::ioctl_io_nr;

use crate::area::Area;
use crate::device::kernel::ioctl::{size_of_u32, with_struct};
use crate::dirty::areas::bitmap_words;
use crate::dirty::hwpt::PageTableBits;
use crate::iommu::ranges::IovaRange;

pub const IOMMU_NODE: &str = "/dev/iommu";

ioctl_io_nr!(IOMMU_IOAS_IOVA_RANGES, IOMMUFD_TYPE as u32, IOMMUFD_CMD_IOAS_IOVA_RANGES);
ioctl_io_nr!(IOMMU_OPTION, IOMMUFD_TYPE as u32, IOMMUFD_CMD_OPTION);
ioctl_io_nr!(IOMMU_HWPT_SET_DIRTY_TRACKING, IOMMUFD_TYPE as u32, IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING);
ioctl_io_nr!(IOMMU_HWPT_GET_DIRTY_BITMAP, IOMMUFD_TYPE as u32, IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP);

/// Shared by the backend and its tracker; closed with the last of them.
#[derive(Clone)]
pub struct Iommufd(Arc<IommuFd>);

impl AsRawFd for Iommufd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Iommufd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as `self` is, which the result borrows.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}

/// The errno inside, which is all the kernel said.
fn errno(error: IommufdError) -> io::Error {
    match error {
        IommufdError::OpenIommufd(error) | IommufdError::AttachHwpt(error) => error,
        IommufdError::IommuDestroy(error)
        | IommufdError::IommuIoasAlloc(error)
        | IommufdError::IommuIoasMap(error)
        | IommufdError::IommuIoasUnmap(error)
        | IommufdError::IommuHwptAlloc(error)
        | IommufdError::IommuGetHwInfo(error) => io::Error::from_raw_os_error(error.errno()),
        other => io::Error::other(other.to_string()),
    }
}

impl Iommufd {
    /// Opens `/dev/iommu` (O_CLOEXEC, by std).
    pub fn open() -> io::Result<Self> {
        IommuFd::new().map(|fd| Self(Arc::new(fd))).map_err(errno)
    }

    pub fn alloc_ioas(&self) -> io::Result<u32> {
        let mut alloc = iommu_ioas_alloc { size: size_of_u32::<iommu_ioas_alloc>(), flags: 0, out_ioas_id: 0 };
        self.0.alloc_iommu_ioas(&mut alloc).map_err(errno)?;
        Ok(alloc.out_ioas_id)
    }

    /// Makes the address space map single pages only, so that a dirty bit stands for one page and not for 2 MiB or
    /// 1 GiB of it. EINVAL once a page table has mappings.
    pub fn no_huge_pages(&self, ioas: u32) -> io::Result<()> {
        let mut option = iommu_option {
            size: size_of_u32::<iommu_option>(),
            option_id: iommufd_option_IOMMU_OPTION_HUGE_PAGES,
            op: iommufd_option_ops_IOMMU_OPTION_OP_SET as u16,
            __reserved: 0,
            object_id: ioas,
            val64: 0,
        };
        // SAFETY: the request takes this structure, size is its size, it holds no addresses.
        unsafe { with_struct(self, IOMMU_OPTION(), &mut option) }.map(drop)
    }

    /// `writable` and readable, at exactly `area.iova`.
    ///
    /// # Safety
    /// `address` must begin `area.bytes` of mapped memory that devices may write at any time, and that stays mapped
    /// until `area` is unmapped here or the address space is destroyed.
    pub unsafe fn map(&self, ioas: u32, address: u64, area: Area) -> io::Result<()> {
        let map = iommu_ioas_map {
            size: size_of_u32::<iommu_ioas_map>(),
            flags: iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA
                | iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE
                | iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE,
            ioas_id: ioas,
            __reserved: 0,
            user_va: address,
            length: area.bytes,
            iova: area.iova,
        };
        self.0.map_iommu_ioas(&map).map_err(errno)
    }

    /// Unmaps one whole mapping; ENOENT when `area` is none. Returns the bytes unmapped.
    pub fn unmap(&self, ioas: u32, area: Area) -> io::Result<u64> {
        let mut unmap = iommu_ioas_unmap {
            size: size_of_u32::<iommu_ioas_unmap>(),
            ioas_id: ioas,
            iova: area.iova,
            length: area.bytes,
        };
        self.0.unmap_iommu_ioas(&mut unmap).map_err(errno)?;
        Ok(unmap.length)
    }

    /// What can be mapped, with the devices attached now: each attach may narrow it.
    pub fn iova_ranges(&self, ioas: u32) -> io::Result<Vec<IovaRange>> {
        let mut found = vec![iommu_iova_range::default(); 16];
        loop {
            let mut request = iommu_ioas_iova_ranges {
                size: size_of_u32::<iommu_ioas_iova_ranges>(),
                ioas_id: ioas,
                num_iovas: u32::try_from(found.len()).unwrap_or(u32::MAX),
                __reserved: 0,
                allowed_iovas: found.as_mut_ptr() as u64,
                out_iova_alignment: 0,
            };
            // SAFETY: the request takes this structure, size is its size; `allowed_iovas` is `found`, exclusively
            // ours, and num_iovas its length.
            let answered = unsafe { with_struct(self, IOMMU_IOAS_IOVA_RANGES(), &mut request) };
            let needed = request.num_iovas as usize;
            match answered {
                Ok(_) => {
                    found.truncate(needed);
                    return Ok(found.iter().map(|range| IovaRange { first: range.start, last: range.last }).collect());
                }
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) && needed > found.len() => {
                    found.resize(needed, iommu_iova_range::default());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the IOMMU behind a bound physical device can track. ENOENT for an mdev, whose id is an access id.
    pub fn tracks(&self, device: u32) -> io::Result<bool> {
        let mut info =
            iommu_hw_info { size: size_of_u32::<iommu_hw_info>(), dev_id: device, ..iommu_hw_info::default() };
        self.0.get_hw_info(&mut info).map_err(errno)?;
        Ok(info.out_capabilities & u64::from(iommufd_hw_capabilities_IOMMU_HW_CAP_DIRTY_TRACKING) != 0)
    }

    /// A page table over `ioas` that can track; EOPNOTSUPP where the IOMMU cannot.
    pub fn alloc_tracking_hwpt(&self, device: u32, ioas: u32) -> io::Result<u32> {
        let mut alloc = iommu_hwpt_alloc {
            size: size_of_u32::<iommu_hwpt_alloc>(),
            flags: iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
            dev_id: device,
            pt_id: ioas,
            ..iommu_hwpt_alloc::default()
        };
        self.0.alloc_iommu_hwpt(&mut alloc).map_err(errno)?;
        Ok(alloc.out_hwpt_id)
    }

    pub fn destroy(&self, id: u32) -> io::Result<()> {
        self.0.destroy_iommu_object(id).map_err(errno)
    }
}

impl PageTableBits for Iommufd {
    fn set_tracking(&mut self, hwpt: u32, on: bool) -> io::Result<()> {
        let enable = iommufd_hwpt_set_dirty_tracking_flags_IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
        let mut request = iommu_hwpt_set_dirty_tracking {
            size: size_of_u32::<iommu_hwpt_set_dirty_tracking>(),
            flags: if on { enable } else { 0 },
            hwpt_id: hwpt,
            __reserved: 0,
        };
        // SAFETY: the request takes this structure, size is its size, it holds no addresses.
        unsafe { with_struct(self, IOMMU_HWPT_SET_DIRTY_TRACKING(), &mut request) }.map(drop)
    }

    fn read_and_clear(&mut self, hwpt: u32, mapping: Area, page_size: u64, words: &mut [u64]) -> io::Result<()> {
        // The kernel reports no error for bitmap memory it cannot write, and has cleared its bits by then.
        if words.len() < bitmap_words(mapping.bytes, page_size) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut request = iommu_hwpt_get_dirty_bitmap {
            size: size_of_u32::<iommu_hwpt_get_dirty_bitmap>(),
            hwpt_id: hwpt,
            flags: 0,
            __reserved: 0,
            iova: mapping.iova,
            length: mapping.bytes,
            page_size,
            data: words.as_mut_ptr() as u64,
        };
        // SAFETY: the request takes this structure, size is its size; `data` is `words`, exclusively ours, with a bit
        // for each page of the range.
        unsafe { with_struct(self, IOMMU_HWPT_GET_DIRTY_BITMAP(), &mut request) }.map(drop)
    }
}

/// Whether `container` (an open `/dev/vfio/vfio`) is iommufd's imitation of type1, which tracks nothing: the imitation
/// answers iommufd's own requests (EPERM without CAP_SYS_RESOURCE), a real container without a group knows none.
pub fn is_compat(container: &impl AsRawFd) -> bool {
    let mut option = iommu_option {
        size: size_of_u32::<iommu_option>(),
        option_id: iommufd_option_IOMMU_OPTION_RLIMIT_MODE,
        op: iommufd_option_ops_IOMMU_OPTION_OP_GET as u16,
        ..iommu_option::default()
    };
    // SAFETY: the request takes this structure, size is its size, it holds no addresses; type1 rejects the number.
    match unsafe { with_struct(container, IOMMU_OPTION(), &mut option) } {
        Ok(_) => true,
        Err(error) => error.raw_os_error() == Some(libc::EPERM),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes_are_those_of_the_uapi_header() {
        assert_eq!(IOMMU_IOAS_IOVA_RANGES(), 0x3b84);
        assert_eq!(IOMMU_OPTION(), 0x3b87);
        assert_eq!(IOMMU_HWPT_SET_DIRTY_TRACKING(), 0x3b8b);
        assert_eq!(IOMMU_HWPT_GET_DIRTY_BITMAP(), 0x3b8c);
        assert_eq!(size_of::<iommu_hwpt_get_dirty_bitmap>(), 48);
        assert_eq!(size_of::<iommu_ioas_iova_ranges>(), 32);
        assert_eq!(size_of::<iommu_option>(), 24);
    }

    #[test]
    fn an_errno_survives_the_wrapper() {
        let missing = errno(IommufdError::IommuHwptAlloc(vmm_sys_util::errno::Error::new(libc::EOPNOTSUPP)));
        assert_eq!(missing.raw_os_error(), Some(libc::EOPNOTSUPP));
        assert!(!is_compat(&std::fs::File::open("/dev/null").expect("open")));
    }
}
