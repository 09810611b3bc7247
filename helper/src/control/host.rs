//! What a helper says of itself and its host when it is greeted.

use std::io::Read;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{HelperError, Result};
use crate::message::Confinement;
use crate::privileges::kept_at_start;
use crate::transfer::confine::in_force;
use crate::transfer::net::tls::sha256;

/// SHA-256 of this executable, lower-case hex; empty when it cannot be read. Two helpers of one build are the same file.
pub fn build() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| {
        let mut bytes = Vec::new();
        // /proc/self/exe is the file that runs, also when its path was replaced meanwhile.
        std::fs::File::open("/proc/self/exe")
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_or_else(|_| String::new(), |_| sha256(&bytes))
    })
}

/// `uname -r`.
pub fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Microseconds since the epoch.
pub fn clock_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// Where records, locks and holders go unless the owner says otherwise: /var/lib/ferry for root, else the user's state
/// folder as the XDG base directory specification has it.
///
/// # Errors
/// `helper/no-home`: no folder is private to a user who has none.
pub fn state_dir() -> Result<String> {
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/ferry".to_owned());
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .ok_or_else(|| {
            HelperError::new("helper/no-home", "neither HOME nor XDG_STATE_HOME names an absolute folder")
                .suggest("set HOME for the user who logs in")
        })?;
    Ok(state.join("ferry").to_string_lossy().into_owned())
}

/// Asked by a thread that hears ferry.
pub fn confinement() -> Confinement {
    let found = in_force();
    let capabilities = kept_at_start().iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    Confinement { seccomp: found.seccomp, landlock: found.landlock, capabilities }
}
