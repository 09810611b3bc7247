//! Landlock: files and ports that a thread may use, where the kernel has it.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

const VERSION: libc::c_uint = 1;
const PATH_BENEATH: libc::c_int = 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
/// Making a file known elsewhere, cutting one, and a device's ioctls came later.
const FIRST_RIGHTS: u64 = (1 << 13) - 1;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
const EXECUTE: u64 = 1;
/// Binding and connecting TCP sockets.
const TCP: u64 = 3;

#[repr(C)]
struct Ruleset {
    files: u64,
    ports: u64,
}

/// The kernel's structure is packed: eight bytes and four.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    folder: libc::c_int,
}

/// Its version, 0 where the kernel has none or has it switched off.
pub fn version() -> u32 {
    // SAFETY: with this flag the call takes no structure, and only answers.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, VERSION) };
    u32::try_from(version).unwrap_or(0)
}

/// From now on this thread, and those it starts, may open nothing but what lies in `reads` to read, and in `folder`; and
/// no port, unless it connects. Descriptors that are open stay.
///
/// # Errors
/// The kernel's. Without Landlock nothing happens, and that is none.
pub fn restrict(reads: &[&Path], folder: &Path, connects: bool) -> std::io::Result<()> {
    let version = version();
    if version == 0 {
        return Ok(());
    }
    let mut files = FIRST_RIGHTS;
    for (since, right) in [(2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)] {
        if version >= since {
            files |= right;
        }
    }
    let ports = if version >= 4 && !connects { TCP } else { 0 };
    let size = if version >= 4 { size_of::<Ruleset>() } else { size_of::<u64>() };
    let ruleset = Ruleset { files, ports };
    // SAFETY: the structure is ours, and of the size that is told.
    let made = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const ruleset, size, 0) };
    let number = libc::c_int::try_from(checked(made)?).map_err(|_| std::io::ErrorKind::InvalidData)?;
    // SAFETY: the call answered with a descriptor that is nobody else's.
    let ruleset = unsafe { OwnedFd::from_raw_fd(number) };
    for reads in reads {
        add(&ruleset, reads, READ_FILE | READ_DIR)?;
    }
    add(&ruleset, folder, files & !EXECUTE)?;
    // SAFETY: takes the descriptor's rules for this thread; no memory is passed.
    checked(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) }).map(drop)
}

fn add(ruleset: &OwnedFd, folder: &Path, allowed: u64) -> std::io::Result<()> {
    let folder = File::open(folder)?;
    let beneath = Beneath { allowed, folder: folder.as_fd().as_raw_fd() };
    // SAFETY: the structure is ours, and the kernel copies it.
    let added =
        unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), PATH_BENEATH, &raw const beneath, 0) };
    checked(added).map(drop)
}

fn checked(answer: libc::c_long) -> std::io::Result<libc::c_long> {
    if answer < 0 { Err(std::io::Error::last_os_error()) } else { Ok(answer) }
}
