//! The one thread, beside the worker, that keeps the rights for looking at a host: opening its devices, asking one through
//! its user's descriptor, listening at a low port, waking what a dead helper stopped. Those that hear a connection have none,
//! and have this one do it.

use std::io;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::thread::CapabilitySet;

use crate::privileges::give_up;

type Deed = Box<dyn FnOnce() + Send>;

static RIGHTS: Mutex<Option<Sender<Deed>>> = Mutex::new(None);

/// Starts it. Call it before the calling thread gives its rights up.
///
/// # Errors
/// The kernel's, when there is no thread to be had.
pub fn keep_rights() -> io::Result<()> {
    let (asking, asked) = channel::<Deed>();
    thread::Builder::new().name("rights".to_owned()).spawn(move || {
        // It may hold them no more as it is.
        let _ = give_up(CapabilitySet::CHOWN | CapabilitySet::IPC_LOCK);
        while let Ok(deed) = asked.recv() {
            // One that waits for a device must not keep the next one waiting. A deed is lost where there is no thread,
            // and the one who asked does it without rights.
            let _ = thread::Builder::new().name("rights".to_owned()).spawn(deed);
        }
    })?;
    *RIGHTS.lock().unwrap_or_else(PoisonError::into_inner) = Some(asking);
    Ok(())
}

/// From now on nothing is done with rights any more.
pub fn end_rights() {
    *RIGHTS.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Does `deed` with rights where there still are some, else here.
pub fn with_rights<T: Send + 'static>(deed: impl Fn() -> T + Clone + Send + 'static) -> T {
    let asking = RIGHTS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (answer, answered) = sync_channel(1);
    if let Some(asking) = asking {
        let deed = deed.clone();
        let sent = asking.send(Box::new(move || drop(answer.send(deed()))));
        drop(asking);
        if let (Ok(()), Ok(done)) = (sent, answered.recv()) {
            return done;
        }
    }
    deed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_is_done_where_the_rights_are_or_here() {
        let here = thread::current().id();
        let who = || thread::current().id();
        assert_eq!(with_rights(who), here);
        keep_rights().expect("a thread");
        assert_ne!(with_rights(who), here);
        end_rights();
        assert_eq!(with_rights(who), here);
    }
}
