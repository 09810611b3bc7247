//! The sockets at which this helper can be reached: its run's while a run is claimed, its own while it is a holder.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::service::Service;
use super::socket::{Bound, LONGEST_PATH};
use crate::durable::private_dir::private_dir;
use crate::error::{HelperError, Result};
use crate::privileges::without_capabilities;

/// Accepting fails for want of descriptors: those in use come back sooner or later.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Run,
    Holder,
}

pub struct Sockets {
    service: Arc<Service>,
    open: Vec<(Purpose, Bound)>,
}

impl Sockets {
    pub fn new(service: Arc<Service>) -> Self {
        Self { service, open: Vec::new() }
    }

    /// Listens at `path`, in a private folder that is made when it is missing. Listening there already is fine.
    ///
    /// # Errors
    /// `claim/dir`, `claim/unsafe-dir`, and those of [`Bound::at`].
    pub fn open(&mut self, purpose: Purpose, path: &str) -> Result<()> {
        let path = Path::new(path);
        if self.open.iter().any(|(known, bound)| *known == purpose && bound.path() == path) {
            return Ok(());
        }
        // Before a folder is made for it.
        if path.as_os_str().len() > LONGEST_PATH {
            return Bound::at(path).map(drop);
        }
        if let Some(folder) = path.parent().filter(|_| path.is_absolute()) {
            private_dir(folder)?;
        }
        let bound = Bound::at(path)?;
        let listener = bound
            .listener()
            .map_err(|error| HelperError::os("socket/bind", format!("dup {}", path.display()), &error, ""))?;
        let service = Arc::clone(&self.service);
        let accept = move || {
            // Nor have those that it starts for a connection.
            without_capabilities();
            loop {
                match listener.accept() {
                    Ok((stream, _)) => service.admit(stream),
                    // Shut down: the socket was closed.
                    Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return,
                    Err(_) => thread::sleep(PAUSE),
                }
            }
        };
        thread::Builder::new()
            .name("control-socket".to_owned())
            .spawn(accept)
            .map_err(|error| HelperError::os("socket/bind", "start a thread", &error, ""))?;
        self.close(purpose);
        self.open.push((purpose, bound));
        Ok(())
    }

    /// Connections made through it stay.
    pub fn close(&mut self, purpose: Purpose) {
        self.open.retain(|(known, _)| *known != purpose);
    }
}
