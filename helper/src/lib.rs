//! The helper of ferry: owns the file descriptors, maps and pins, logs dirty pages, moves bytes, steps device states.
//! It decides nothing an operator could want decided otherwise: every limit reaches it as an argument.

pub mod area;
pub mod control;
pub mod device;
pub mod dirty;
pub mod durable;
pub mod error;
pub mod iommu;
pub mod log;
pub mod memory;
pub mod message;
pub mod privileges;
pub mod protocol;
pub mod resident;
pub mod session;
#[cfg(feature = "sim")]
pub mod stamps;
pub mod state;
pub mod sysfs;
pub mod transfer;
