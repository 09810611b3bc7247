//! Frames and pages over one connection or several at once.

pub(in crate::transfer) mod beside;
pub(in crate::transfer) mod incoming;
pub mod link;
pub(in crate::transfer) mod outgoing;
pub mod pages;
pub(in crate::transfer) mod spread;
