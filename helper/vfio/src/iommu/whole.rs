//! A region mapped by a kernel backend: all of it or none.

use std::io;

use crate::area::Area;
use crate::dirty::areas::map_chunks;
use crate::error::{HelperError, Result};
use crate::memory::Region;

/// Maps `region` piece by piece, `map` getting the address of each piece, and returns how many there were. What was mapped
/// when one fails is unmapped again; what cannot be taken back goes with the container.
///
/// # Errors
/// `iommu/memlock`, `iommu/map-failed`.
pub(super) fn map_whole(
    region: &Region,
    operation: &str,
    map: impl Fn(u64, Area) -> io::Result<()>,
    unmap: impl Fn(Area) -> io::Result<u64>,
) -> Result<u64> {
    let area = region.area();
    let mut maps = 0;
    for chunk in map_chunks(area) {
        if let Err(error) = map(region.host_address() + (chunk.iova - area.iova), chunk) {
            for done in map_chunks(area).take(maps) {
                let _ = unmap(done);
            }
            return Err(map_failed(operation, region, &error));
        }
        maps += 1;
    }
    Ok(maps as u64)
}

fn map_meaning(error: &io::Error) -> (&'static str, String) {
    let text = match error.raw_os_error().unwrap_or(0) {
        libc::ENOMEM => {
            let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
            let limit = limit.map_or_else(|| "none".to_owned(), |bytes| format!("{bytes} bytes"));
            return (
                "iommu/memlock",
                format!("locked-memory limit reached (RLIMIT_MEMLOCK: {limit}) or no memory left"),
            );
        }
        libc::EEXIST => "the range overlaps one that is mapped",
        libc::EFAULT => "the memory behind it cannot be pinned",
        libc::EINVAL => "the range is not aligned, or the IOMMU cannot map it",
        libc::ENOSPC => "the container has no room for more mappings (dma_entry_limit)",
        _ => "",
    };
    ("iommu/map-failed", text.to_owned())
}

/// A failed map of `region`.
fn map_failed(operation: &str, region: &Region, error: &io::Error) -> HelperError {
    let (code, meaning) = map_meaning(error);
    let mut failed = HelperError::os(code, operation, error, meaning);
    failed.message = format!("region {}: {}", region.name(), failed.message);
    if code == "iommu/memlock" {
        failed.suggest("raise the limit (ulimit -l, LimitMEMLOCK=) or run as root")
    } else {
        failed
    }
}
