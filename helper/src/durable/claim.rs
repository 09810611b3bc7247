//! Claims: one run at a time per device of a host, held by flock so that any death of the helper releases them.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::private_dir::private_dir;
use crate::error::{HelperError, Result};
use crate::message::HeldDevice;

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

/// Which of these devices a living process has locked. Creates and writes nothing; the lock that it tries is shared, and
/// gone at once.
///
/// # Errors
/// `claim/dir`; `request/bad-params` for a name that cannot be one.
pub fn held(lock_dir: &Path, devices: &[String]) -> Result<Vec<HeldDevice>> {
    let mut held = Vec::new();
    for device in devices {
        let path = lock_path(lock_dir, device)?;
        let fail = |operation: &str, error: &std::io::Error| {
            let what = format!("{operation} {}", path.display());
            HelperError::os("claim/dir", what, error, "whether a process has the device locked is not known")
        };
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(&path);
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(fail("open", &error)),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                held.push(HeldDevice { device: device.clone(), pid: holder_in(&mut file).parse().ok() });
            }
            Err(errno) => return Err(fail("flock", &errno.into())),
        }
    }
    Ok(held)
}

/// Only names the holder: what cannot be read is empty.
fn holder_in(file: &mut File) -> String {
    let mut holder = String::new();
    let _ = file.take(20).read_to_string(&mut holder);
    holder
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
            let holder = holder_in(&mut file);
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
    fn a_lock_that_lives_is_seen_with_its_process_and_nothing_is_made() {
        let dir = scratch("held");
        let devices = ["nic".to_owned(), "uart".to_owned()];
        assert_eq!(held(&dir, &devices).expect("no folder"), []);
        let claim = Claim::take(&dir, &devices[..1]).expect("free");
        let found = [HeldDevice { device: "nic".into(), pid: Some(std::process::id()) }];
        assert_eq!(held(&dir, &devices).expect("one is locked"), found);
        drop(claim);
        assert_eq!(held(&dir, &devices).expect("free again"), []);
        assert!(!dir.join("uart.lock").exists());
        Claim::take(&dir, &devices).expect("looking left no lock");
        std::fs::remove_dir_all(&dir).expect("clean up");
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
