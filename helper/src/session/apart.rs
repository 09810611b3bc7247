//! What hears the peer is carried out on a thread without capabilities, with few system calls and few files. The thread
//! that has them waits meanwhile, and hears ferry alone.

use std::panic::resume_unwind;
use std::thread;

use rustix::thread::CapabilitySet;

use super::Session;
use crate::control::rights::end_rights;
use crate::error::{FailureKind, HelperError, Result};
use crate::launcher::end_launcher;
use crate::log::say;
use crate::message::{Role, Then, TrackerKind};
use crate::privileges::{give_up, unneeded_by_a_source};
use crate::transfer::confine::{Duty, confine_run};

impl Session {
    /// # Errors
    /// Those of `work`; `link/thread` when there is no thread for it, or it cannot be confined: nothing was done.
    pub fn apart<T: Send>(&mut self, connects: bool, work: impl FnOnce(&mut Self) -> Result<T> + Send) -> Result<T> {
        let duty = self.duty(connects);
        thread::scope(|scope| {
            let started = thread::Builder::new().name("run".to_owned()).spawn_scoped(scope, || {
                confine_run(&duty)?;
                work(self)
            });
            let started =
                started.map_err(|error| HelperError::os_of(FailureKind::Link, "link/thread", "clone", &error, ""))?;
            started.join().unwrap_or_else(|panicked| resume_unwind(panicked))
        })
    }

    /// As [`Self::apart`], for what must be done: without such a thread this one does it.
    pub fn apart_or_here<T: Send>(&mut self, work: impl Fn(&mut Self) -> T + Send + Sync) -> T {
        match self.apart(false, |session| Ok(work(session))) {
            Ok(done) => done,
            Err(error) => {
                say(&format!("not confined: {error}"));
                work(self)
            }
        }
    }

    /// A side whose process ends with its run keeps no right that was for setting it up. The worker calls it once a source
    /// is connected, and before a destination hears its source.
    pub fn give_up_set_up(&self) {
        let Some(claimed) = self.claimed.as_ref().filter(|_| self.held.is_none()) else { return };
        let unneeded = match (claimed.role, claimed.then) {
            (Role::Source, _) => unneeded_by_a_source(self.duty(false).writers),
            (Role::Destination, Some(Then::Close)) => unneeded_by_a_source(false),
            // It looks for the command in folders of others.
            (Role::Destination, Some(Then::Exec)) => unneeded_by_a_source(false) - CapabilitySet::DAC_READ_SEARCH,
            // A holder gives its socket away, and may have to stop those that write.
            (Role::Destination, Some(Then::Hold) | None) => CapabilitySet::NET_BIND_SERVICE,
        };
        // It may hold them no more as it is.
        let _ = give_up(unneeded);
        let opens = claimed.role == Role::Destination && matches!(claimed.then, Some(Then::Hold) | None);
        if !opens {
            end_rights();
        }
        if !opens && claimed.then != Some(Then::Exec) {
            end_launcher();
        }
    }

    /// What is open and handed out is not opened or given away again. A holder starts no program; it may have to stop
    /// those that write, in a run to come.
    pub fn give_up_opening(&self) {
        let _ = give_up(unneeded_by_a_source(true));
        end_launcher();
    }

    fn duty(&self, connects: bool) -> Duty {
        let writers = self.union.as_ref().is_some_and(|union| union.has(TrackerKind::Process));
        let folder = self.claimed.as_ref().map(|claimed| claimed.record_dir.clone());
        Duty { connects, writers, folder }
    }
}
