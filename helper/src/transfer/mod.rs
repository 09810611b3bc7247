//! Moving bytes between the two helpers: wire format, link, pages, state streams, verification, and the loops of both
//! sides, which carry out what the machines of `protocol/` decide.

pub(crate) mod clock;
pub mod commit_record;
pub mod destination;
pub mod net;
pub mod source;
pub mod streams;
pub mod verify;
pub mod wire;
