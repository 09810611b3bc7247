//! Duplicates of a held workload's descriptors, for the one user its profile names.
//!
//! A client that connects gets one line of JSON, with the descriptors in its order by SCM_RIGHTS, and the end. The kernel takes
//! 253 of them a message: the line carries the first, and for each further 253 a message of one newline follows.

use std::fs::{self, DirBuilder};
use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Uid, chownat};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::Serialize;

use super::socket::{Bound, LONGEST_PATH, peer_uid};
use crate::error::{HelperError, Result};
use crate::log::say;
use crate::message::HandOut as HandOutParams;
use crate::privileges::without_capabilities;
use crate::session::descriptors::Descriptor;
use crate::session::shared::Shared;

/// SCM_MAX_FD.
const MOST: usize = 253;
/// A taker that does not read is left.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Given<'a> {
    version: u32,
    workload: &'a str,
    descriptors: &'a [Descriptor],
}

/// Dropping it closes the socket and the duplicates.
pub struct HandOut {
    bound: Option<Bound>,
    thread: Option<JoinHandle<()>>,
}

impl HandOut {
    /// Hands out from now on, except while a run is claimed.
    ///
    /// # Errors
    /// `hand-out/user` when this helper cannot give to that user; `hand-out/folder`; those of [`Bound::at`].
    pub fn open(
        to: &HandOutParams,
        workload: &str,
        descriptors: Vec<Descriptor>,
        shared: &Arc<Shared>,
    ) -> Result<Self> {
        let path = Path::new(&to.socket);
        let own = rustix::process::geteuid();
        if !own.is_root() && own.as_raw() != to.uid {
            let message = format!("only root can hand descriptors out to another user ({})", to.uid);
            return Err(HelperError::new("hand-out/user", message).suggest("hold as root (`become: sudo`)"));
        }
        if path.as_os_str().len() <= LONGEST_PATH && path.is_absolute() {
            path.parent().map_or(Ok(()), safe_folder)?;
        }
        let bound = Bound::at(path)?;
        let failed = |operation: &str, error: &io::Error| {
            HelperError::os(
                "hand-out/user",
                format!("{operation} {}", path.display()),
                error,
                "no process can connect to take them",
            )
        };
        if own.as_raw() != to.uid {
            let owner = Some(Uid::from_raw(to.uid));
            chownat(CWD, path, owner, None, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| failed("chown", &errno.into()))?;
        }
        let listener = bound.listener().map_err(|error| failed("dup", &error))?;
        let line = Given { version: 1, workload, descriptors: &descriptors };
        let line = serde_json::to_string(&line).map_err(|error| HelperError::new("helper/bug", error.to_string()))?;
        let (uid, shared) = (to.uid, Arc::clone(shared));
        let thread = thread::spawn(move || {
            without_capabilities();
            loop {
                match listener.accept() {
                    Ok((stream, _)) => {
                        if let Err(error) = answer(stream, uid, &shared, &line, &descriptors) {
                            say(&format!("descriptors were not handed out: {error}"));
                        }
                    }
                    Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return,
                    Err(_) => thread::sleep(PATIENCE / 20),
                }
            }
        });
        Ok(Self { bound: Some(bound), thread: Some(thread) })
    }
}

impl Drop for HandOut {
    fn drop(&mut self) {
        self.bound = None;
        // Its duplicates are closed when this returns, so that the devices can be.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: UnixStream, uid: u32, shared: &Shared, line: &str, given: &[Descriptor]) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let peer = peer_uid(&stream)?;
    let refusal = if peer != 0 && peer != uid {
        Some(HelperError::new("hand-out/user", format!("these descriptors are user {uid}'s, not user {peer}'s")))
    } else if shared.has_run() {
        Some(HelperError::new("hand-out/run", "a run is under way: try again when it is over"))
    } else {
        None
    };
    if let Some(error) = refusal {
        return writeln!(stream, "{}", serde_json::json!({ "error": error }));
    }
    let fds: Vec<BorrowedFd<'_>> = given.iter().map(|descriptor| descriptor.fd.as_fd()).collect();
    let mut text = format!("{line}\n").into_bytes();
    let mut pieces = fds.chunks(MOST);
    loop {
        let piece = pieces.next().unwrap_or_default();
        let sent = send(&stream, &text, piece)?;
        stream.write_all(text.get(sent..).unwrap_or_default())?;
        if pieces.len() == 0 {
            return Ok(());
        }
        text = b"\n".to_vec();
    }
}

/// One message; its descriptors arrive with its first byte.
fn send(stream: &UnixStream, text: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("no room for the descriptors"));
    }
    Ok(sendmsg(stream, &[IoSlice::new(text)], &mut ancillary, SendFlags::NOSIGNAL)?)
}

/// The socket's folder is there and no one else can replace what is in it, or it is made, open to look into.
fn safe_folder(folder: &Path) -> Result<()> {
    let failed = |operation: &str, error: &io::Error| {
        HelperError::os("hand-out/folder", format!("{operation} {}", folder.display()), error, "")
    };
    match fs::metadata(folder) {
        Ok(found) => {
            let own = rustix::process::geteuid().as_raw();
            let shared = found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0;
            if !found.is_dir() || shared || (found.uid() != own && found.uid() != 0) {
                let message =
                    format!("{} is not a folder in which only user {own} and root may write", folder.display());
                return Err(HelperError::new("hand-out/folder", message).suggest("choose another handOut.socket"));
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            folder.parent().map_or(Ok(()), safe_folder)?;
            DirBuilder::new().mode(0o755).create(folder).map_err(|error| failed("mkdir", &error))?;
            // Our umask keeps others out.
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).map_err(|error| failed("chmod", &error))
        }
        Err(error) => Err(failed("stat", &error)),
    }
}
