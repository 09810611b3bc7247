//! The helper of ferry: owns the file descriptors, maps and pins, logs dirty pages, moves bytes, steps device states.
//! It decides nothing an operator could want decided otherwise: every limit reaches it as an argument.

pub mod control;
pub mod durable;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzed;
pub mod launcher;
pub mod privileges;
pub mod resident;
pub mod session;
pub mod sysfs;

pub use ferry_base::{area, error, log, message};
#[cfg(feature = "sim")]
pub use ferry_sim as sim;
pub use ferry_transfer as transfer;
pub use ferry_vfio::{device, dirty, iommu, memory};
