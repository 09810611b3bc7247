//! The ground floor: what every other crate of the helper speaks of, and which needs none of them.

pub mod area;
pub mod error;
pub mod log;
pub mod message;
pub mod state;
