//! This process as the system sees it: its signals, and what it closes when it outlives the process that started it.

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::thread;

use crate::log::say;
use crate::privileges::without_capabilities;

/// Takes over the signals that would end this process in the middle of something. Before the first thread is started:
/// all threads inherit the mask.
///
/// SIGHUP is ignored from the start: that a terminal went away shows at stdin, which is where it is dealt with. SIGTERM
/// and SIGINT call `end`, once; a second one ends the process at once, as every death of it must be survived anyway.
/// SIGXFSZ is blocked: a file that may not grow (`ulimit -f`) is an error of its write, EFBIG, and not the end of the
/// process that has the devices.
pub fn take_signals(end: impl Fn() + Send + 'static) {
    // SAFETY: an all-zero sigset_t is a value sigemptyset may initialise; the set is ours, and nothing here is shared.
    let set = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        libc::sigaddset(&raw mut set, libc::SIGINT);
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        let mut blocked = set;
        libc::sigaddset(&raw mut blocked, libc::SIGXFSZ);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const blocked, std::ptr::null_mut());
        set
    };
    thread::spawn(move || {
        without_capabilities();
        let mut before = false;
        loop {
            let mut signal = 0;
            // SAFETY: both point to values of ours that outlive the call.
            if unsafe { libc::sigwait(&raw const set, &raw mut signal) } != 0 {
                continue;
            }
            if std::mem::replace(&mut before, true) {
                say("ended by a second signal");
                std::process::exit(1);
            }
            end();
        }
    });
}

/// Closes the terminal, the working folder and the pipes of the process that started this process, so that an ssh session
/// can close.
pub fn detach() {
    // EPERM: it leads a session already.
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir("/");
    let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") else { return };
    for number in 0..=2 {
        // SAFETY: replaces the standard descriptors, which are never closed and which only std's stdio uses, by one
        // that is as good to read and write.
        unsafe { libc::dup2(null.as_raw_fd(), number) };
    }
}
