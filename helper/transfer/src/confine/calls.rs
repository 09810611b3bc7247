//! The system calls that a thread may make, by its work.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Sockets that are open, memory, time, locks, and the end of the thread. Nothing that opens, starts or connects anything.
const OPEN_SOCKETS: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_fcntl,
    // Whether memory can have holes, and of what kind its file is.
    libc::SYS_fstat,
    libc::SYS_fstatfs,
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

/// What one side of a run needs beyond that: connections that come, threads, files of its record, and to confine itself and
/// its threads further.
const RUN: &[libc::c_long] = &[
    libc::SYS_accept4,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    libc::SYS_capget,
    libc::SYS_capset,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    libc::SYS_clock_getres,
    // Refused with ENOSYS by a filter of its own: its flags are behind a pointer.
    libc::SYS_clone3,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getrusage,
    libc::SYS_getuid,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
    libc::SYS_linkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    libc::SYS_membarrier,
    libc::SYS_mincore,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_msync,
    libc::SYS_newfstatat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    libc::SYS_openat,
    libc::SYS_pipe2,
    libc::SYS_prctl,
    libc::SYS_pread64,
    libc::SYS_prlimit64,
    libc::SYS_pwrite64,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_seccomp,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    libc::SYS_unlinkat,
];

const CONNECTING: &[libc::c_long] = &[libc::SYS_bind, libc::SYS_connect, libc::SYS_socket];

/// Stopping and waking a process that writes the workload's memory.
const WRITERS: &[libc::c_long] = &[libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal];

/// Calls that no part of this program makes, and that lead out of it or deep into the kernel.
pub(super) const NEVER: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    libc::SYS_mknodat,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_setfsgid,
    libc::SYS_setfsuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_settimeofday,
    libc::SYS_setuid,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: u64 = 0xC060_6610;
/// VFIO's and iommufd's requests have this type, in bits 8 to 15.
const VFIO_TYPE: u64 = 0x3B00;

pub type Compiled = std::result::Result<BpfProgram, BackendError>;

fn only(argument: u8, operator: SeccompCmpOp, value: u64) -> std::result::Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?])
}

fn allow(mut rules: BTreeMap<i64, Vec<SeccompRule>>, ioctls: Vec<SeccompRule>) -> Compiled {
    // No new code.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![only(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0)?]);
    }
    rules.insert(libc::SYS_ioctl, ioctls);
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?.try_into()
}

fn free(calls: &[&[libc::c_long]]) -> BTreeMap<i64, Vec<SeccompRule>> {
    calls.iter().copied().flatten().map(|call| (*call, Vec::new())).collect()
}

fn requests(of: &[u64]) -> std::result::Result<Vec<SeccompRule>, BackendError> {
    of.iter().map(|request| only(1, SeccompCmpOp::Eq, *request)).collect()
}

/// For a thread that only has sockets. A device's ioctls are another thread's.
pub fn of_open_sockets() -> Compiled {
    allow(free(&[OPEN_SOCKETS]), requests(&[libc::FIONBIO, libc::TIOCOUTQ])?)
}

/// For one that carries a side of a run out.
pub fn of_run(connects: bool, writers: bool) -> Compiled {
    let mut calls = vec![OPEN_SOCKETS, RUN];
    if connects {
        calls.push(CONNECTING);
    }
    if writers {
        calls.push(WRITERS);
    }
    let mut rules = free(&calls);
    // Threads, no processes.
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, vec![only(0, SeccompCmpOp::MaskedEq(thread), thread)?]);
    let mut ioctls = requests(&[libc::FIONBIO, libc::FIOCLEX, libc::TIOCOUTQ])?;
    ioctls.push(only(1, SeccompCmpOp::MaskedEq(0xFF00), VFIO_TYPE)?);
    if writers {
        ioctls.extend(requests(&[PAGEMAP_SCAN])?);
    }
    allow(rules, ioctls)
}

/// Beside [`of_run`]: the C library then makes threads by clone(2), whose flags a filter sees.
pub fn no_clone3() -> Compiled {
    deny(&[libc::SYS_clone3], libc::ENOSYS)
}

pub fn never() -> Compiled {
    deny(NEVER, libc::EPERM)
}

fn deny(calls: &[libc::c_long], errno: libc::c_int) -> Compiled {
    let refuse = SeccompAction::Errno(errno as u32);
    SeccompFilter::new(free(&[calls]), SeccompAction::Allow, refuse, std::env::consts::ARCH.try_into()?)?.try_into()
}
