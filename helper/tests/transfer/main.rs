//! Both sides of a transfer in one process, over loopback: scripted devices and trackers, and a proxy in between that
//! breaks things at every frame.

mod devices;
mod fake;
mod happy;
mod limits;
mod link;
mod proxy;
mod records;
mod rig;
mod wire;
mod writer;
