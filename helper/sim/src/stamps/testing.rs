//! What tests of those who write stamps share.

use std::sync::Arc;

use super::stamp::PAGE_BYTES;
use crate::area::Area;
use crate::memory::{Backing, Memory, Region};

/// A memory of (IOVA, pages) regions, which are called r0, r1 and so on.
pub(crate) fn memory(regions: &[(u64, u64)]) -> Arc<Memory> {
    let open = |(index, (iova, pages)): (usize, &(u64, u64))| {
        let area = Area { iova: *iova, bytes: pages * PAGE_BYTES };
        Region::open(&format!("r{index}"), area, &Backing::Memfd { huge_page_bytes: None }).expect("memfd")
    };
    Arc::new(Memory::new(PAGE_BYTES, regions.iter().enumerate().map(open).collect()).expect("layout"))
}
