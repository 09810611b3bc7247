//! Cutover and its undoing as pure state machines: events in, actions out; no I/O, no clock, no threads. The loops in
//! `transfer/` carry the actions out one at a time and report what came of each. Whether a side may run, must undo,
//! or must refuse a late message is decided here and nowhere else, so the crash and message-loss tests (and a model
//! checker) exercise the very code that runs.

pub mod destination;
pub mod source;

#[cfg(test)]
mod joined;
#[cfg(test)]
mod reachable;

/// The handshake between the two helpers, without what each message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Message {
    /// Source: everything was sent; here is what it was.
    Manifest,
    /// Destination: all of it arrived, every device has loaded and stands in STOP.
    Prepared,
    /// Source: hash your memory.
    Verify,
    /// Destination: the hashes.
    Hashes,
    /// Source: my COMMIT record is durable. Run.
    Commit,
    /// Destination: every device is RUNNING.
    Running,
    /// Either side gives up. `discarded`: the destination has dropped the run, has recorded that, and will refuse a
    /// COMMIT that comes late; the source may run again whatever it had written.
    Abort { discarded: bool },
}
