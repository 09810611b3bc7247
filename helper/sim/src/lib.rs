//! The simulator: devices and their IOMMU behind the traits of `ferry-vfio`, and the checker of what they wrote. A
//! production helper is built without it.

pub mod device;
pub mod iommu;
pub mod stamps;

use ferry_base::{area, error, message};
use ferry_vfio::{dirty, memory};
