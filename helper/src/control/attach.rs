//! `ferry-helper --attach SOCKET`: stdin and stdout of this process become those of a helper that stays, byte for byte.
//! Over ssh that is how a helper on another host is reached.

use std::fs;
use std::io::{self, ErrorKind, Read, Write, stdin, stdout};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::socket::is_ours;
use crate::error::{HelperError, Result};

/// What was asked before stdin ended may be answered for this long.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Proxies until either side ends.
///
/// # Errors
/// `attach/nobody` when no helper answers there; `attach/unsafe` when the socket, or who answers, is neither this
/// user's nor root's.
pub fn attach(path: &Path) -> Result<()> {
    let helper = connect(path)?;
    let clone = |stream: &UnixStream| {
        stream.try_clone().map_err(|error| HelperError::os("attach/failed", "dup of the socket", &error, ""))
    };
    let (mut to, mut from) = (clone(&helper)?, clone(&helper)?);
    let (ended, end) = channel();
    let answered = ended.clone();
    thread::spawn(move || {
        pass_on(&mut from, &mut stdout());
        let _ = answered.send(true);
    });
    thread::spawn(move || {
        pass_on(&mut stdin(), &mut to);
        // The helper sees the end and closes when it has answered.
        let _ = to.shutdown(Shutdown::Write);
        let _ = ended.send(false);
    });
    if end.recv() == Ok(false) {
        let _ = end.recv_timeout(LAST_WORDS);
    }
    Ok(())
}

fn connect(path: &Path) -> Result<UnixStream> {
    let nobody = |error: &io::Error| {
        HelperError::os("attach/nobody", format!("connect {}", path.display()), error, "no helper listens there")
    };
    let found = fs::symlink_metadata(path).map_err(|error| nobody(&error))?;
    let user = rustix::process::geteuid().as_raw();
    let unsafe_there = |what: &str| HelperError::new("attach/unsafe", format!("{} {what}", path.display()));
    if !found.file_type().is_socket() {
        return Err(unsafe_there("is not a socket"));
    }
    if found.uid() != user && found.uid() != 0 {
        return Err(unsafe_there(&format!("belongs to user {}, not to {user} or root", found.uid())));
    }
    let helper = UnixStream::connect(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => nobody(&error),
        _ => HelperError::os("attach/failed", format!("connect {}", path.display()), &error, ""),
    })?;
    if is_ours(&helper) { Ok(helper) } else { Err(unsafe_there("is answered by another user's process")) }
}

/// Until the end of either; the end is all that is told of a failure.
fn pass_on(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let piece = buffer.get(..read).unwrap_or_default();
        if to.write_all(piece).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}
