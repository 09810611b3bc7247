//! Moving bytes between the two helpers: wire format, link, pages, state streams, verification, and the loops of both
//! sides, which carry out what the machines of `protocol/` decide.

mod clock;
pub mod commit_record;
pub mod confine;
pub mod destination;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzed;
pub mod net;
pub mod source;
pub mod streams;
pub mod verify;
pub mod wire;

use ferry_base::{area, error, message};
use ferry_protocol as protocol;
use ferry_vfio::{device, dirty, memory};
