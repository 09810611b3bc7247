//! Somebody who takes descriptors from a holder.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::Value;

/// Everything that comes until the end: the line, and the descriptors in its order.
pub fn take(stream: &UnixStream) -> (Value, Vec<OwnedFd>) {
    let (mut text, mut fds) = (Vec::new(), Vec::new());
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; 4096];
        let got = recvmsg(stream, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
            .expect("receive");
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(more) = message {
                fds.extend(more);
            }
        }
        if got.bytes == 0 {
            return (serde_json::from_slice(&text).expect("a line of JSON"), fds);
        }
        text.extend_from_slice(&bytes[..got.bytes]);
    }
}

pub fn take_at(socket: &Path) -> (Value, Vec<OwnedFd>) {
    take(&UnixStream::connect(socket).expect("connect"))
}

/// Runs `act` in a thread that is this user, for the kernel.
pub fn as_user<T: Send>(uid: libc::uid_t, act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: the bare system calls change the credentials of this thread alone, which ends with `act`.
            let changed = unsafe {
                libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>())
                    + libc::syscall(libc::SYS_setresgid, uid, uid, uid)
                    + libc::syscall(libc::SYS_setresuid, uid, uid, uid)
            };
            assert_eq!(changed, 0, "root may become anybody");
            act()
        });
        thread.join().expect("no panic")
    })
}
