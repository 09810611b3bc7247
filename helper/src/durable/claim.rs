//! Claims: one run at a time per device of a host, held by flock so that any death of the helper releases them.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::private_dir::private_dir;
use crate::error::{HelperError, Result};

/// Locks on all devices of one run. Dropping it releases them; the files stay, as flock wants.
pub struct Claim {
    _locks: Vec<File>,
    devices: Vec<String>,
}

impl Claim {
    /// Takes all locks or none.
    ///
    /// # Errors
    /// `claim/busy` naming every device that another run holds and its process; `claim/unsafe-dir` when others may
    /// write the folder; `claim/dir`.
    pub fn take(lock_dir: &Path, devices: &[String]) -> Result<Self> {
        private_dir(lock_dir)?;
        let mut locks = Vec::with_capacity(devices.len());
        let mut busy = Vec::new();
        for device in devices {
            match lock(&lock_path(lock_dir, device)?)? {
                Ok(file) => locks.push(file),
                Err(holder) => busy.push(format!("{device} (held by process {holder})")),
            }
        }
        if busy.is_empty() {
            return Ok(Self { _locks: locks, devices: devices.to_vec() });
        }
        Err(HelperError::new("claim/busy", format!("another run or holder has {}", busy.join(", ")))
            .operation("flock")
            .suggest(
                "wait for that run to end, or end it; the claim goes with its process, and a holder's with \
                 `ferry release --hold PROFILE`",
            ))
    }
}

impl Claim {
    /// The claimed devices, by their names on this host.
    pub fn devices(&self) -> &[String] {
        &self.devices
    }
}

/// `<dir>/<device>.lock`; names come from the plan and must be plain file names.
fn lock_path(dir: &Path, device: &str) -> Result<PathBuf> {
    let plain = !device.is_empty()
        && device.len() <= 128
        && !device.starts_with('.')
        && device.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte));
    if plain {
        Ok(dir.join(format!("{device}.lock")))
    } else {
        Err(HelperError::new("request/bad-params", format!("`{device}` cannot name a lock file")))
    }
}

/// The locked file, or who holds it.
fn lock(path: &Path) -> Result<std::result::Result<File, String>> {
    let fail = |operation: &str, error: &std::io::Error| {
        HelperError::os("claim/dir", format!("{operation} {}", path.display()), error, "the lock file cannot be used")
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
        .map_err(|error| fail("open", &error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            file.set_len(0).map_err(|error| fail("truncate", &error))?;
            write!(file, "{}", std::process::id()).map_err(|error| fail("write", &error))?;
            Ok(Ok(file))
        }
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            // Only to name the holder: an unreadable number changes nothing.
            let _ = (&mut file).take(20).read_to_string(&mut holder);
            Ok(Err(if holder.is_empty() { "unknown".to_owned() } else { holder }))
        }
        Err(errno) => Err(fail("flock", &errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::DirBuilder;
    use std::os::unix::fs::DirBuilderExt;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("ferry-claim-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn a_held_device_is_named_and_nothing_else_stays_locked() {
        let dir = scratch("busy");
        let held = Claim::take(&dir, &["b".into()]).expect("first");
        let error = Claim::take(&dir, &["a".into(), "b".into()]).err().expect("refused");
        assert_eq!(error.code, "claim/busy");
        assert!(error.message.contains(&format!("b (held by process {})", std::process::id())), "{error}");
        drop(Claim::take(&dir, &["a".into()]).expect("a was given back"));
        drop(held);
        Claim::take(&dir, &["b".into()]).expect("free again");
        std::fs::remove_dir_all(&dir).expect("clean up");
    }

    #[test]
    fn folders_others_may_write_and_odd_names_are_refused() {
        let dir = scratch("unsafe");
        DirBuilder::new().mode(0o700).create(&dir).expect("mkdir");
        std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
        assert_eq!(Claim::take(&dir, &["a".into()]).err().expect("refused").code, "claim/unsafe-dir");
        std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("chmod");
        for name in ["../x", "", ".", "a/b", "a\0b"] {
            assert_eq!(Claim::take(&dir, &[name.into()]).err().expect("refused").code, "request/bad-params");
        }
        std::fs::remove_dir_all(&dir).expect("clean up");
    }
}
