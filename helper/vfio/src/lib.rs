//! What the kernel offers: devices and their migration, IOMMU backends, dirty trackers, and the memory that is mapped.

pub(crate) mod content;
pub mod device;
pub mod dirty;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzed;
pub mod iommu;
pub mod memory;
mod memory_fault;

use ferry_base::{area, error, message, state};
