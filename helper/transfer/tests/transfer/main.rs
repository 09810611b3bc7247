//! Both sides of a transfer in one process, over loopback: scripted devices and trackers, and a proxy in between that
//! breaks things at every frame.

mod alive;
mod devices;
mod ends;
mod fake;
mod happy;
mod held;
mod limits;
mod link;
mod meddled;
mod network;
mod pauses;
mod proxy;
mod ran;
mod random;
mod records;
mod relayed;
mod rig;
mod silent_trackers;
mod streams;
mod wire;
mod writer;
mod zeros;
