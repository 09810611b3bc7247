//! Frames and pages over one connection or several at once.

pub(crate) mod incoming;
pub mod link;
pub(crate) mod outgoing;
pub mod pages;
pub(crate) mod side_streams;
pub(crate) mod spread;
