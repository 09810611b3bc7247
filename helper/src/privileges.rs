//! The helper runs as root and listens on a network, so before it reads a byte it gives up what it will not need.

use std::sync::OnceLock;

use rustix::fs::Mode;
use rustix::process::umask;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};

/// What is left of root. Opening device nodes and a VMM's memory files that another user owns: DAC_OVERRIDE,
/// DAC_READ_SEARCH. Pinning beyond RLIMIT_MEMLOCK, which root may: IPC_LOCK. Asking a device in use through its
/// user's descriptor (pidfd_getfd): SYS_PTRACE. Giving the socket at which a holder hands its descriptors out to the one
/// user it is for: CHOWN. Stopping a process of another user, whose writes are tracked, in the blackout: KILL. A port
/// below 1024, if the profile says so: NET_BIND_SERVICE.
fn kept() -> CapabilitySet {
    CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::DAC_READ_SEARCH
        | CapabilitySet::IPC_LOCK
        | CapabilitySet::KILL
        | CapabilitySet::SYS_PTRACE
        | CapabilitySet::NET_BIND_SERVICE
}

static AT_START: OnceLock<CapabilitySet> = OnceLock::new();

/// What [`drop_unneeded`] left of them. Threads give more of it up as they go.
pub fn kept_at_start() -> CapabilitySet {
    AT_START.get().copied().unwrap_or(CapabilitySet::empty())
}

/// Drops every other capability of this thread, and of all threads it starts, for good; makes files private.
/// Call it before the first thread is started.
///
/// # Errors
/// The kernel's, when it does not let us: then the process should not serve.
pub fn drop_unneeded() -> std::io::Result<()> {
    umask(Mode::from_raw_mode(0o077));
    set_no_new_privs(true)?;
    let held = capabilities(None)?;
    let permitted = held.permitted & kept();
    let left = CapabilitySets { effective: held.effective & kept(), permitted, inheritable: CapabilitySet::empty() };
    set_capabilities(None, left)?;
    let _ = AT_START.set(permitted);
    Ok(())
}

/// What a side that ends with its run needs no more once it is connected: files are open, mapped and given away. `writers`: it reads what processes write and stops them.
pub fn unneeded_by_a_source(writers: bool) -> CapabilitySet {
    let of_writers = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH | CapabilitySet::SYS_PTRACE;
    let others = CapabilitySet::CHOWN | CapabilitySet::NET_BIND_SERVICE;
    if writers { others } else { others | of_writers | CapabilitySet::KILL }
}

/// For threads that open nothing and ask for nothing.
pub fn without_capabilities() {
    // Giving up is always allowed; a thread that could not would do its work all the same.
    let _ = give_up(CapabilitySet::all());
}

/// Takes these from the calling thread, and from those it starts, for good.
///
/// # Errors
/// The kernel's.
pub fn give_up(unneeded: CapabilitySet) -> std::io::Result<()> {
    let held = capabilities(None)?;
    let left = CapabilitySets {
        effective: held.effective - unneeded,
        permitted: held.permitted - unneeded,
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, left)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a thread of its own: capabilities are a thread's, and other tests want theirs.
    #[test]
    fn nothing_but_what_is_kept_is_left() {
        let left = std::thread::spawn(|| {
            drop_unneeded().expect("giving up is always allowed");
            capabilities(None).expect("capget")
        });
        let left = left.join().expect("thread");
        assert!((left.permitted | left.effective | left.inheritable) - kept() == CapabilitySet::empty());
    }
}
