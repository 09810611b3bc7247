//! SIGBUS in the workload's memory: a file that was truncated under us, or huge pages that ran out. The handler puts a page
//! of zeros in the place of the one that is gone, and marks the region. Whoever used the memory looks at the mark before
//! anything is decided by what was read or stored: see [`crate::memory::Memory::must_be_whole`].

use std::ptr::null_mut;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Regions watched at once.
const MOST: usize = 1024;

/// A region's place in this process. Written by its owner, read by the handler, which may wait for nothing.
struct Slot {
    taken: AtomicBool,
    start: AtomicUsize,
    /// 0: nothing is watched.
    bytes: AtomicUsize,
    gone: AtomicBool,
}

static SLOTS: [Slot; MOST] = [const {
    Slot {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        gone: AtomicBool::new(false),
    }
}; MOST];

/// Watches one mapping until it is dropped, which must be before the mapping is.
pub struct Watch(usize);

impl Watch {
    /// `None` when too many are watched.
    pub fn on(start: usize, bytes: usize) -> Option<Self> {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(install);
        let index = SLOTS.iter().position(|slot| !slot.taken.swap(true, Ordering::SeqCst))?;
        let slot = SLOTS.get(index)?;
        slot.gone.store(false, Ordering::SeqCst);
        slot.start.store(start, Ordering::SeqCst);
        slot.bytes.store(bytes, Ordering::SeqCst);
        Some(Self(index))
    }

    /// A page of it was not there any more.
    pub fn is_gone(&self) -> bool {
        SLOTS.get(self.0).is_some_and(|slot| slot.gone.load(Ordering::SeqCst))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(slot) = SLOTS.get(self.0) {
            slot.bytes.store(0, Ordering::SeqCst);
            slot.taken.store(false, Ordering::SeqCst);
        }
    }
}

fn install() {
    // SAFETY: an all-zero sigaction is a value; ours is filled in below. The handler keeps to what a handler may do. It
    // takes the place of std's, which for SIGBUS only ends the process, as ours does for an address that is not watched.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_bus_error as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGBUS, &raw const action, null_mut());
    }
}

/// Async-signal-safe: atomics and plain system calls; errno is put back.
extern "C" fn on_bus_error(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a valid siginfo to an SA_SIGINFO handler, and errno is this thread's own.
    let (address, errno) = unsafe { ((*info).si_addr() as usize, *libc::__errno_location()) };
    let mended = SLOTS.iter().any(|slot| {
        let (start, bytes) = (slot.start.load(Ordering::SeqCst), slot.bytes.load(Ordering::SeqCst));
        let inside = bytes > 0 && address >= start && address - start < bytes;
        if inside {
            slot.gone.store(true, Ordering::SeqCst);
        }
        inside && replace(address)
    });
    // SAFETY: as above. An address that is none of ours, or that could not be replaced, faults again at once, and then ends
    // the process as it would have without us.
    unsafe {
        if !mended {
            libc::signal(signal, libc::SIG_DFL);
        }
        *libc::__errno_location() = errno;
    }
}

/// A mapping of huge pages can only be replaced by whole ones of them.
fn replace(address: usize) -> bool {
    [4096, 0x20_0000, 0x4000_0000].iter().any(|size| {
        let page = address & !(size - 1);
        // SAFETY: the page lies in a watched mapping, whose owner touches it only through volatile accesses and unmaps it
        // only after the watch has ended. It is gone from its file: nothing is lost by replacing it here.
        let mapped = unsafe {
            libc::mmap(
                page as *mut libc::c_void,
                *size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        mapped != libc::MAP_FAILED
    })
}
