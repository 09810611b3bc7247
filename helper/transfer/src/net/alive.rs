//! Noticing a peer that vanished without a word: TCP asks it whether it is there while nothing is on the way, and
//! gives up on what it does not acknowledge.

use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::error::{FailureKind, HelperError, Result};

/// Between two questions no one answered: the shortest TCP knows.
const BETWEEN: Duration = Duration::from_secs(1);
/// Most questions Linux asks.
const MOST: u64 = 127;

/// Options of a data connection: no delay for the small frames of the handshake, and a vanished peer noticed after
/// about `keepalive`, at most a second later. Linux counts in whole seconds, so less than a second is one. Buffer sizes
/// are left alone: asking for one ends the kernel's own tuning, which goes higher (tcp_rmem, tcp_wmem) than what may be
/// asked for (rmem_max, 208 KiB by default).
///
/// With a user timeout set, Linux ends a connection by it alone: once nothing was heard for that long and a question
/// is open, however many were asked (net/ipv4/tcp_timer.c, tcp_keepalive_timer).
///
/// # Errors
/// `link/socket` when the kernel refuses an option.
pub fn prepare(tcp: &TcpStream, keepalive: Duration) -> Result<()> {
    use rustix::net::sockopt;
    let fail = |errno: rustix::io::Errno| {
        HelperError::os_of(FailureKind::Link, "link/socket", "setsockopt", &errno.into(), "")
    };
    let idle = Duration::from_secs((keepalive / 3).as_secs().max(1));
    let questions = keepalive.saturating_sub(idle).as_secs().clamp(1, MOST) as u32;
    sockopt::set_tcp_nodelay(tcp, true).map_err(fail)?;
    sockopt::set_socket_keepalive(tcp, true).map_err(fail)?;
    sockopt::set_tcp_keepidle(tcp, idle).map_err(fail)?;
    sockopt::set_tcp_keepintvl(tcp, BETWEEN).map_err(fail)?;
    sockopt::set_tcp_keepcnt(tcp, questions).map_err(fail)?;
    sockopt::set_tcp_user_timeout(tcp, keepalive.as_millis().try_into().unwrap_or(u32::MAX)).map_err(fail)?;
    Ok(())
}

/// Bytes given to the kernel that the peer has not acknowledged yet; 0 when it does not say.
pub fn unacknowledged(tcp: &TcpStream) -> u32 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ writes one int, and `bytes` is one that lives through the call.
    let done = unsafe { libc::ioctl(tcp.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if done == 0 { u32::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// Unanswered questions end as ETIMEDOUT, or as what a router said meanwhile.
pub fn is_silence(errno: Option<i32>) -> bool {
    matches!(errno, Some(libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH))
}

/// A failed call on a data connection.
pub fn lost(operation: &str, error: &std::io::Error, keepalive: Duration) -> HelperError {
    let mut lost =
        HelperError::os_of(FailureKind::Lost, "link/lost", operation, error, "the peer or the network is gone");
    if is_silence(error.raw_os_error()) {
        lost.message = format!("the other host, or the network to it, stopped answering for {} s", seconds(keepalive));
        lost.meaning = None;
        lost.suggestion = Some(
            "look at the other host and at the network between the data addresses (ip route get, ping)".to_owned(),
        );
    }
    lost
}

fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().max(1.0);
    if seconds.fract() == 0.0 { format!("{seconds:.0}") } else { format!("{seconds:.1}") }
}
