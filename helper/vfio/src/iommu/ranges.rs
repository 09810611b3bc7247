//! The IOVAs an IOMMU can map: what it cannot is reserved (interrupt windows, firmware regions) or too wide.

use crate::area::Area;
use crate::error::{HelperError, Result};
use crate::memory::Region;

/// First to last IOVA, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IovaRange {
    pub first: u64,
    pub last: u64,
}

fn fits(area: Area, ranges: &[IovaRange]) -> bool {
    let Some(last) = area.bytes.checked_sub(1).and_then(|more| area.iova.checked_add(more)) else { return false };
    // Ranges are sorted; neighbours may touch.
    let mut at = area.iova;
    for range in ranges {
        if range.first <= at && at <= range.last {
            if last <= range.last {
                return true;
            }
            at = range.last + 1;
        }
    }
    false
}

/// # Errors
/// `iommu/iova-reserved` when `region` does not lie wholly in what can be mapped; names the ranges that can.
pub fn check(region: &Region, ranges: &[IovaRange]) -> Result<()> {
    let area = region.area();
    if fits(area, ranges) {
        return Ok(());
    }
    let usable: Vec<String> = ranges.iter().map(|range| format!("{:#x}-{:#x}", range.first, range.last)).collect();
    Err(HelperError::new(
        "iommu/iova-reserved",
        format!(
            "region {} at {:#x}-{:#x} cannot be mapped on this host: its IOMMU maps {}",
            region.name(),
            area.iova,
            area.end() - 1,
            usable.join(", ")
        ),
    )
    .suggest("give the workload's memory IOVAs that both hosts can map, or use another host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_must_lie_in_the_mappable_ranges_end_to_end() {
        let ranges = [
            IovaRange { first: 0, last: 0xfedf_ffff },
            IovaRange { first: 0xfef0_0000, last: 0xffff_ffff },
            IovaRange { first: 1 << 32, last: (1 << 39) - 1 },
        ];
        let area = |iova, bytes| Area { iova, bytes };
        assert!(fits(area(0, 0xfee0_0000), &ranges));
        assert!(!fits(area(0, 0xfee0_1000), &ranges), "reaches into the interrupt window");
        assert!(!fits(area(0xfee0_0000, 0x1000), &ranges), "inside the interrupt window");
        assert!(fits(area(0xfff0_0000, 0x20_0000), &ranges), "touching ranges are one");
        assert!(!fits(area((1 << 39) - 0x1000, 0x2000), &ranges), "past the address width");
        assert!(!fits(area(0, 0), &ranges));
        assert!(!fits(area(u64::MAX, 2), &ranges));
    }
}
