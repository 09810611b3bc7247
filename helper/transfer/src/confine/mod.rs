//! Threads that hear strangers, or store what a peer sends, have no capability and few system calls. They share the memory
//! of this process: what this takes from one that was turned is the kernel, not what the process holds already.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use crate::error::{FailureKind, HelperError, Result};

/// Sockets that are open, memory, time, locks, and the end of the thread. Nothing that opens, starts or connects anything.
const CALLS: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_fcntl,
    libc::SYS_futex,
    libc::SYS_getpeername,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    // Where the holes of memory are.
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_set_robust_list,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Confines the calling thread, for good. A call that is not allowed answers EPERM: a thread that hits one by a mistake of
/// ours fails its connection, and the run is undone; ending the process would stop devices in the middle.
///
/// # Errors
/// `link/thread` when the capabilities could not be dropped. A kernel without seccomp is no error.
pub fn confine() -> Result<()> {
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(|errno| HelperError::os_of(FailureKind::Link, "link/thread", "capset", &errno.into(), ""))?;
    static FILTER: OnceLock<Option<BpfProgram>> = OnceLock::new();
    if let Some(filter) = FILTER.get_or_init(|| filter().ok()) {
        // Fails where the kernel has none; the capabilities are gone all the same.
        let _ = apply_filter(filter);
    }
    Ok(())
}

fn filter() -> std::result::Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    let only = |argument, operator, value| {
        SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?])
    };
    // No new code.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![only(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0)?]);
    }
    // A device's ioctls are another thread's.
    let sockets = [libc::FIONBIO, libc::TIOCOUTQ].map(|request| only(1, SeccompCmpOp::Eq, request));
    rules.insert(libc::SYS_ioctl, sockets.into_iter().collect::<std::result::Result<_, _>>()?);
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?.try_into()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::process::Command;
    use std::thread;

    use rustix::thread::capabilities;

    use super::*;

    #[test]
    fn a_confined_thread_opens_starts_and_connects_nothing() {
        filter().expect("it compiles");
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let errno = |result: std::io::Result<()>| result.err().and_then(|error| error.raw_os_error());
        let found = thread::spawn(move || {
            confine().expect("always allowed");
            let mut size = 0;
            // SAFETY: FIONREAD writes one int, which is ours.
            let asked = unsafe { libc::ioctl(listener.as_raw_fd(), libc::FIONREAD, &raw mut size) };
            let ioctl = if asked == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
            // SAFETY: a new anonymous mapping takes nothing from anyone.
            let code = unsafe {
                let prot = libc::PROT_READ | libc::PROT_EXEC;
                libc::mmap(std::ptr::null_mut(), 4096, prot, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
            };
            let mapped = if code == libc::MAP_FAILED { Err(std::io::Error::last_os_error()) } else { Ok(()) };
            let held = capabilities(None);
            let refused = [
                errno(File::open("/etc/hostname").map(drop)),
                errno(Command::new("/bin/true").spawn().map(drop)),
                errno(TcpStream::connect(address).map(drop)),
                errno(ioctl),
                errno(mapped),
            ];
            // Its own work goes on.
            listener.set_nonblocking(true).expect("FIONBIO");
            (refused, held.is_err())
        });
        let (refused, asks_nothing) = found.join().expect("thread");
        assert_eq!(refused, [Some(libc::EPERM); 5]);
        assert!(asks_nothing);
    }

    #[test]
    fn only_the_thread_itself_is_confined() {
        thread::spawn(|| confine().expect("always allowed")).join().expect("thread");
        File::open("/proc/self/status").expect("still allowed here");
    }
}
