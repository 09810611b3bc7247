//! What devices write, and whether it arrived: a write whose place and bytes follow from a program and its number, and
//! a checker that replays programs against a memory and names the first pages that differ.
//!
//! Simulated devices (`device/sim`) and the lab's kernel modules (test/lab/modules) write the same stamps by the same
//! programs, so that one checker serves both. Nothing here knows a device; real workloads have no use for any of it.

mod check;
mod fill;
pub(crate) mod mix;
mod program;
mod stamp;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use check::{CheckReport, Lost, Mismatch, Writer, check};
pub use fill::{Fill, fill};
pub use program::{Pattern, Program};
pub use stamp::{PAGE_BYTES, SLOT_BYTES, SLOTS, Stamp};
