//! The simulated device as a whole; the parts have their tests beside them.

mod copier;
mod faults;
mod migrate;
mod schedule;
mod trackers;
mod vices;
