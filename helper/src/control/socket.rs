//! Unix sockets at which this helper answers: made so that no one else can take their place, and gone with it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::net::Shutdown;
use rustix::net::sockopt::socket_peercred;

use crate::error::{HelperError, Result};

/// Longest path of a unix socket on Linux, in bytes: `sun_path` less its NUL.
pub const LONGEST_PATH: usize = 107;

/// A listening socket. Dropping it wakes the thread that accepts on it and unlinks its path, unless another took it over.
pub struct Bound {
    listener: UnixListener,
    path: PathBuf,
    place: (u64, u64),
}

impl Bound {
    /// Binds at `path`, mode 0600, in a folder that is there. What a dead process left there is replaced.
    ///
    /// # Errors
    /// `socket/path` (not absolute, or too long), `socket/busy` when somebody answers there, `socket/not-a-socket`,
    /// `socket/bind`.
    pub fn at(path: &Path) -> Result<Self> {
        let length = path.as_os_str().len();
        let (Some(folder), true) = (path.parent(), path.is_absolute() && length <= LONGEST_PATH) else {
            return Err(HelperError::new(
                "socket/path",
                format!("{} cannot be a socket: {length} bytes, at most {LONGEST_PATH}, absolute", path.display()),
            )
            .suggest("choose a state folder with a shorter path"));
        };
        let failed = |operation: &str, error: &io::Error| {
            let operation = format!("{operation} {}", path.display());
            HelperError::os("socket/bind", operation, error, "this helper could not be reached later")
        };
        // Two helpers that find the same dead socket must not both replace it.
        let lock = File::open(folder).map_err(|error| failed("open the folder of", &error))?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|errno| failed("lock the folder of", &errno.into()))?;
        clear(path)?;
        let listener = UnixListener::bind(path).map_err(|error| failed("bind", &error))?;
        let found = fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            .and_then(|()| fs::symlink_metadata(path))
            .map_err(|error| failed("chmod", &error))?;
        Ok(Self { listener, path: path.to_owned(), place: (found.dev(), found.ino()) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For the thread that accepts.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.place);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
        // accept(2) gives EINVAL from now on, also to a thread that already waits in it.
        let _ = rustix::net::shutdown(&self.listener, Shutdown::Both);
    }
}

/// Removes a socket on which no one answers.
fn clear(path: &Path) -> Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(HelperError::os("socket/bind", format!("stat {}", path.display()), &error, "")),
    };
    if !found.file_type().is_socket() {
        let message = format!("{} exists and is not a socket", path.display());
        return Err(HelperError::new("socket/not-a-socket", message).suggest("move it away"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| HelperError::os("socket/bind", format!("unlink {}", path.display()), &error, "")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // Anything else, a full backlog included, may be somebody alive.
        _ => Err(HelperError::new("socket/busy", format!("another helper answers at {}", path.display()))
            .suggest("that one holds the workload: use it, or end it with `ferry release`")),
    }
}

/// Uid of the process at the other end, as it was when it connected.
pub fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(socket_peercred(stream)?.uid.as_raw())
}

/// Whether the other end is this helper's own user, or root.
pub fn is_ours(stream: &UnixStream) -> bool {
    peer_uid(stream).is_ok_and(|uid| uid == 0 || uid == rustix::process::geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("ferry-sock-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).expect("mkdir");
        dir
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
        let dir = scratch("dead");
        let path = dir.join("s");
        drop(UnixListener::bind(&path).expect("bind"));
        assert!(path.exists(), "left behind");
        let bound = Bound::at(&path).expect("replaced");
        assert_eq!(fs::metadata(&path).expect("stat").mode() & 0o777, 0o600);
        assert_eq!(Bound::at(&path).err().expect("refused").code, "socket/busy");
        let waiting = bound.listener().expect("clone");
        let accepting = std::thread::spawn(move || while waiting.accept().is_ok() {});
        drop(bound);
        accepting.join().expect("woken");
        assert!(!path.exists());
        fs::write(&path, "not ours").expect("write");
        assert_eq!(Bound::at(&path).err().expect("refused").code, "socket/not-a-socket");
        assert!(path.exists());
        fs::remove_dir_all(dir).expect("clean up");
    }

    #[test]
    fn a_socket_that_was_taken_over_is_left_to_its_new_owner() {
        let dir = scratch("over");
        let path = dir.join("s");
        let first = Bound::at(&path).expect("bind");
        fs::remove_file(&path).expect("somebody cleaned up");
        let second = Bound::at(&path).expect("free");
        drop(first);
        assert!(path.exists());
        drop(second);
        fs::remove_dir_all(dir).expect("clean up");
    }

    #[test]
    fn a_path_that_does_not_fit_names_the_limit() {
        for path in [format!("/tmp/{}", "x".repeat(103)), "relative".to_owned()] {
            let error = Bound::at(Path::new(&path)).err().expect("refused");
            assert!(error.code == "socket/path" && error.message.contains("107"), "{error}");
        }
        assert_eq!(LONGEST_PATH, 107);
    }
}
