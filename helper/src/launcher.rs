//! The one thread that may start a program. The others have given execve(2) up, and a program that was started by them
//! would have lost every call that the helper does without.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use crate::transfer::confine::take_unused_calls;

type Asked = (Command, SyncSender<io::Result<Child>>);

/// Of a process without one, any thread may start programs: that of a test.
static LAUNCHER: OnceLock<Mutex<Option<Sender<Asked>>>> = OnceLock::new();

/// From now on this thread, and those it starts, make no call that the helper does without; before that, starts the
/// thread that still may. Call it once, before the first thread is started.
///
/// # Errors
/// The kernel's, when there is no thread to be had.
pub fn confine_but_for_launcher() -> io::Result<()> {
    let (asking, asked) = channel::<Asked>();
    // Its signals are another thread's. The program starts with none blocked.
    let before = block_signals();
    let started = thread::Builder::new().name("launcher".to_owned()).spawn(move || {
        while let Ok((mut command, answer)) = asked.recv() {
            let child = command.spawn();
            // Its copies of what the child got would keep others waiting.
            drop(command);
            let _ = answer.send(child);
        }
    });
    restore_signals(&before);
    started?;
    let _ = LAUNCHER.set(Mutex::new(Some(asking)));
    take_unused_calls();
    Ok(())
}

/// From now on no program is started.
pub fn end_launcher() {
    if let Some(launcher) = LAUNCHER.get() {
        *launcher.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Starts `command`; what it holds for its child is closed when this returns.
///
/// # Errors
/// That of the start.
pub fn launch(mut command: Command) -> io::Result<Child> {
    let Some(launcher) = LAUNCHER.get() else { return command.spawn() };
    let launcher = launcher.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let gone = || io::Error::other("the launcher has ended");
    let (answer, answered) = sync_channel(1);
    launcher.ok_or_else(gone)?.send((command, answer)).map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}

fn block_signals() -> libc::sigset_t {
    // SAFETY: all-zero sets are values these calls may initialise, and both are ours.
    unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: the set is one that the kernel filled in.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_launcher_alone_starts_programs() {
        let (own, launched) = thread::spawn(|| {
            confine_but_for_launcher().expect("a thread");
            let own = Command::new("/bin/true").spawn();
            let launched = launch(Command::new("/bin/true")).and_then(|mut child| child.wait());
            (own.err().and_then(|error| error.raw_os_error()), launched)
        })
        .join()
        .expect("thread");
        assert_eq!(own, Some(libc::EPERM));
        assert!(launched.expect("started").success());
        let missing = launch(Command::new("/nonexistent/program")).expect_err("there is none");
        assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
        end_launcher();
        assert!(launch(Command::new("/bin/true")).is_err());
    }
}
