//! `VFIO_IOMMU_GET_INFO` of a type1 container: page sizes, and the capability chain behind the fixed part.

use std::io;
use std::os::fd::AsRawFd;

use vfio_bindings::bindings::vfio::{
    VFIO_IOMMU_INFO_CAPS, VFIO_IOMMU_INFO_PGSIZES, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
    VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, vfio_iommu_type1_info,
};
use vmm_sys_util::ioctl::ioctl_with_mut_ptr;

use crate::device::kernel::ioctl;
use crate::iommu::ranges::IovaRange;

/// Far above any chain (an IOVA range takes 16 bytes); larger answers are a kernel fault.
const MAX_INFO_BYTES: u32 = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerInfo {
    /// Bit mask of the page sizes the container maps, in bytes.
    pub page_sizes: u64,
    /// IOVAs that can be mapped; `None` for a container of emulated groups only, where all can.
    pub iova_ranges: Option<Vec<IovaRange>>,
    /// Capability 2: the container can track. Missing in iommufd's imitation of type1.
    pub tracking: Option<TrackingInfo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackingInfo {
    pub page_sizes: u64,
    pub max_bitmap_bytes: u64,
}

impl ContainerInfo {
    pub fn read(container: &impl AsRawFd) -> io::Result<Self> {
        // A too small argsz is answered with the size needed and no chain, so it takes two calls.
        let mut argsz = ioctl::size_of_u32::<vfio_iommu_type1_info>();
        loop {
            let mut buffer = vec![0u64; (argsz as usize).div_ceil(8)];
            if let Some(first) = buffer.first_mut() {
                // argsz is the first field, a native u32.
                let mut bytes = first.to_ne_bytes();
                bytes[..4].copy_from_slice(&argsz.to_ne_bytes());
                *first = u64::from_ne_bytes(bytes);
            }
            // SAFETY: the buffer is 8-aligned, exclusively ours and at least argsz bytes long; the kernel writes no
            // more than argsz of them.
            let answered = unsafe { ioctl_with_mut_ptr(container, ioctl::VFIO_IOMMU_GET_INFO(), buffer.as_mut_ptr()) };
            if answered < 0 {
                return Err(io::Error::last_os_error());
            }
            let bytes: Vec<u8> = buffer.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let needed = u32_at(&bytes, 0).unwrap_or(0);
            if needed <= argsz || needed > MAX_INFO_BYTES {
                return Ok(Self::parse(&bytes));
            }
            argsz = needed;
        }
    }

    /// From what the kernel wrote: `struct vfio_iommu_type1_info` and the chain at `cap_offset`.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let flags = u32_at(bytes, 4).unwrap_or(0);
        let mut info = Self::default();
        if flags & VFIO_IOMMU_INFO_PGSIZES != 0 {
            info.page_sizes = u64_at(bytes, 8).unwrap_or(0);
        }
        let mut at = if flags & VFIO_IOMMU_INFO_CAPS != 0 { u32_at(bytes, 16).unwrap_or(0) as usize } else { 0 };
        // Offsets are from the start of the structure; a chain that does not advance ends the walk.
        while at != 0 {
            let Some(id) = u16_at(bytes, at) else { break };
            match u32::from(id) {
                VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE => info.iova_ranges = Some(ranges(bytes, at)),
                VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION => info.tracking = tracking(bytes, at),
                _ => {}
            }
            let next = u32_at(bytes, at + 4).unwrap_or(0) as usize;
            at = if next > at { next } else { 0 };
        }
        info
    }
}

fn ranges(bytes: &[u8], at: usize) -> Vec<IovaRange> {
    let count = u32_at(bytes, at + 8).unwrap_or(0) as usize;
    (0..count)
        .map_while(|index| {
            let entry = at + 16 + index * 16;
            Some(IovaRange { first: u64_at(bytes, entry)?, last: u64_at(bytes, entry + 8)? })
        })
        .collect()
}

fn tracking(bytes: &[u8], at: usize) -> Option<TrackingInfo> {
    Some(TrackingInfo { page_sizes: u64_at(bytes, at + 16)?, max_bitmap_bytes: u64_at(bytes, at + 24)? })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use vfio_bindings::bindings::vfio::{
        vfio_info_cap_header, vfio_iommu_type1_info_cap_iova_range, vfio_iommu_type1_info_cap_migration,
    };

    use super::*;

    fn put(bytes: &mut Vec<u8>, at: usize, value: &[u8]) {
        bytes.resize(bytes.len().max(at + value.len()), 0);
        bytes[at..at + value.len()].copy_from_slice(value);
    }

    fn header(bytes: &mut Vec<u8>, at: usize, id: u16, next: u32) {
        put(bytes, at, &id.to_ne_bytes());
        put(bytes, at + 4, &next.to_ne_bytes());
    }

    fn with_caps() -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, 0, &112u32.to_ne_bytes());
        put(&mut bytes, 4, &3u32.to_ne_bytes());
        put(&mut bytes, 8, &0x1000u64.to_ne_bytes());
        put(&mut bytes, 16, &24u32.to_ne_bytes());
        header(&mut bytes, 24, 2, 56);
        put(&mut bytes, 40, &0x1000u64.to_ne_bytes());
        put(&mut bytes, 48, &0x1000_0000u64.to_ne_bytes());
        header(&mut bytes, 56, 1, 0);
        put(&mut bytes, 64, &2u32.to_ne_bytes());
        for (index, value) in [0u64, 0xfedf_ffff, 0xfef0_0000, u64::MAX].iter().enumerate() {
            put(&mut bytes, 72 + index * 8, &value.to_ne_bytes());
        }
        bytes
    }

    #[test]
    fn offsets_are_those_of_the_bindings() {
        assert_eq!(std::mem::offset_of!(vfio_iommu_type1_info, cap_offset), 16);
        assert_eq!(std::mem::offset_of!(vfio_info_cap_header, next), 4);
        assert_eq!(std::mem::offset_of!(vfio_iommu_type1_info_cap_migration, pgsize_bitmap), 16);
        assert_eq!(std::mem::offset_of!(vfio_iommu_type1_info_cap_migration, max_dirty_bitmap_size), 24);
        assert_eq!(std::mem::offset_of!(vfio_iommu_type1_info_cap_iova_range, nr_iovas), 8);
        assert_eq!(std::mem::offset_of!(vfio_iommu_type1_info_cap_iova_range, iova_ranges), 16);
    }

    #[test]
    fn both_capabilities_are_found_in_any_order() {
        let info = ContainerInfo::parse(&with_caps());
        assert_eq!(info.page_sizes, 0x1000);
        assert_eq!(info.tracking, Some(TrackingInfo { page_sizes: 0x1000, max_bitmap_bytes: 1 << 28 }));
        let ranges = info.iova_ranges.expect("capability 1");
        assert_eq!(ranges.len(), 2);
        assert_eq!((ranges[0].last, ranges[1].first), (0xfedf_ffff, 0xfef0_0000));
    }

    #[test]
    fn a_container_without_capabilities_and_a_broken_chain_end_the_walk() {
        let mut bytes = with_caps();
        bytes[4] = 1;
        let info = ContainerInfo::parse(&bytes);
        assert_eq!((info.tracking, info.iova_ranges), (None, None));
        let mut looped = with_caps();
        put(&mut looped, 60, &24u32.to_ne_bytes());
        assert!(ContainerInfo::parse(&looped).tracking.is_some());
        for length in 0..with_caps().len() {
            let _ = ContainerInfo::parse(&with_caps()[..length]);
        }
    }
}
