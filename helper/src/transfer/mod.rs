//! Moving bytes between the two helpers: wire format, link, pages, state streams, verification, and the loops of both
//! sides, which carry out what the machines of `protocol/` decide.

mod abort;
mod blackout;
mod cutover;
pub mod destination;
mod estimate;
mod inbox;
pub mod link;
mod listener;
mod loading;
mod outbox;
mod pace;
pub mod pages;
pub mod payload;
mod precopy;
pub mod preface;
pub mod record;
mod saving;
mod socket;
pub mod source;
pub mod tls;
pub mod verify;
pub mod wire;
