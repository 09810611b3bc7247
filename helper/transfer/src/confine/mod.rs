//! Threads that hear strangers, or store what a peer sends, have no capability and few system calls. They share the memory
//! of this process: what this takes from one that was turned is the kernel, not what the process holds already.

mod calls;
mod files;

use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};
use seccompiler::{BpfProgram, apply_filter};

use crate::error::{FailureKind, HelperError, Result};
use calls::Compiled;

/// Confines the calling thread, for good. A call that is not allowed answers EPERM: a thread that hits one by a mistake of
/// ours fails its connection, and the run is undone; ending the process would stop devices in the middle.
///
/// # Errors
/// `link/thread` when the capabilities could not be dropped. A kernel without seccomp is no error.
pub fn confine() -> Result<()> {
    keep_only(CapabilitySet::empty())?;
    static FILTER: OnceLock<Option<BpfProgram>> = OnceLock::new();
    apply(&FILTER, calls::of_open_sockets);
    Ok(())
}

/// What a thread that carries out a side of a run, and so hears its peer, has to do beside that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Duty {
    /// It makes the connections.
    pub connects: bool,
    /// It reads what other processes wrote, and stops them.
    pub writers: bool,
    /// Where its record is.
    pub folder: Option<PathBuf>,
}

/// Confines the calling thread, and those it starts, to one side of a run: devices that are open, the files of its record,
/// sockets. No capability is left, unless processes are to be stopped.
///
/// # Errors
/// As [`confine`]. A kernel without seccomp or Landlock is no error.
pub fn confine_run(duty: &Duty) -> Result<()> {
    let writers =
        CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH | CapabilitySet::KILL | CapabilitySet::SYS_PTRACE;
    keep_only(if duty.writers { writers } else { CapabilitySet::empty() })?;
    // Landlock asks for it. It is set already where the program was started as it is to be.
    let private = set_no_new_privs(true);
    if let (Ok(()), Some(folder), false) = (private, &duty.folder, duty.writers) {
        // Fails where a folder is missing, and without it this thread has what seccomp leaves. With `writers` it would
        // hide the other processes.
        let _ = files::restrict(&["/proc".as_ref(), "/sys".as_ref()], folder, duty.connects);
    }
    static NO_CLONE3: OnceLock<Option<BpfProgram>> = OnceLock::new();
    static FILTERS: [OnceLock<Option<BpfProgram>>; 4] = [const { OnceLock::new() }; 4];
    apply(&NO_CLONE3, calls::no_clone3);
    let filter = &FILTERS[usize::from(duty.connects) * 2 + usize::from(duty.writers)];
    apply(filter, || calls::of_run(duty.connects, duty.writers));
    Ok(())
}

/// Takes calls that this program never makes from the calling thread and those it starts.
pub fn take_unused_calls() {
    static FILTER: OnceLock<Option<BpfProgram>> = OnceLock::new();
    apply(&FILTER, calls::never);
}

/// Leaves the calling thread, and those it starts, no capability but these.
///
/// # Errors
/// `link/thread`.
pub fn keep_only(kept: CapabilitySet) -> Result<()> {
    let fail = |errno: rustix::io::Errno| {
        HelperError::os_of(FailureKind::Link, "link/thread", "capset", &errno.into(), "capabilities stay")
    };
    let held = capabilities(None).map_err(fail)?;
    let left = CapabilitySets {
        effective: held.effective & kept,
        permitted: held.permitted & kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, left).map_err(fail)
}

/// What holds the calling thread, and what the kernel has for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InForce {
    /// It has a filter of system calls.
    pub seccomp: bool,
    /// The version of Landlock; 0: none.
    pub landlock: u32,
}

pub fn in_force() -> InForce {
    // SAFETY: the call takes no memory, and only answers. 2: it has a filter.
    let mode = unsafe { libc::prctl(libc::PR_GET_SECCOMP, 0, 0, 0, 0) };
    InForce { seccomp: mode == 2, landlock: files::version() }
}

fn apply(filter: &OnceLock<Option<BpfProgram>>, compile: impl FnOnce() -> Compiled) {
    if let Some(filter) = filter.get_or_init(|| compile().ok()) {
        // Fails where the kernel has none; the capabilities are gone all the same.
        let _ = apply_filter(filter);
    }
}

#[cfg(test)]
mod tests;
