//! Where a destination waits for its source: it takes exactly the connections of this run and closes. Rejections (port
//! scanners, a source of another run) are turned away.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{FailureKind, HelperError, Result};
use crate::message::{EventSink, ListenParams};
use crate::net::admission::Admission;
use crate::net::connect::check_streams;
use crate::net::interface::address_of;
use crate::net::preface::Credentials;
use crate::net::rejections::Rejections;
use crate::net::socket::{Patience, Socket};
use crate::net::tls::Identity;
use crate::streams::link::Link;

pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    params: ListenParams,
    identity: Arc<Identity>,
    credentials: Credentials,
}

impl Listener {
    /// # Errors
    /// `link/port-taken`, `link/address`, `link/interface`, `link/not-permitted`, `link/listen`, `request/bad-params`.
    pub fn bind(params: &ListenParams, identity: &Arc<Identity>, run: &str, epoch: u64) -> Result<Self> {
        check_streams(params.streams)?;
        let credentials = Credentials::new(run, epoch, &params.secret)?;
        let ip = local_address(params)?;
        if params.encrypt {
            // A bad fingerprint is told now, not when the source comes.
            identity.destination(&params.peer)?;
        }
        let wanted = SocketAddr::new(ip, params.port);
        let fail = |error: std::io::Error| explain(wanted, &error);
        let tcp = TcpListener::bind(wanted).map_err(fail)?;
        tcp.set_nonblocking(true).map_err(fail)?;
        let address = tcp.local_addr().map_err(fail)?;
        Ok(Self { tcp, address, params: params.clone(), identity: Arc::clone(identity), credentials })
    }

    /// Where it listens; the port is the kernel's choice when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the source's connections, however many strangers come before and between, and closes. The first
    /// refusal of each kind is logged, and how many more there were.
    ///
    /// # Errors
    /// `run/cancelled`; `link/streams` when not all connections come; `link/listen` when accepting itself fails.
    pub fn accept(self, cancel: &Arc<AtomicBool>, events: &Arc<dyn EventSink>) -> Result<Link> {
        let rejections = Rejections::new(Arc::clone(events));
        let silence = Duration::from_millis(self.params.link_timeout_ms.max(1));
        let admission = Arc::new(Admission::new(self.params, self.identity, self.credentials, rejections));
        let came = gather(&self.tcp, self.address, &admission, cancel);
        // A connection from now on finds no listener.
        drop(self.tcp);
        admission.shut();
        let mut sockets = came?.into_iter();
        let first = sockets.next().ok_or_else(|| HelperError::new("helper/bug", "no stream came"))?;
        let mut link = Link::destination(first, sockets.collect());
        link.set_patience(Patience { cancel: Some(Arc::clone(cancel)), deadline: None, silence })?;
        Ok(link)
    }
}

fn gather(
    tcp: &TcpListener,
    address: SocketAddr,
    admission: &Arc<Admission>,
    cancel: &AtomicBool,
) -> Result<Vec<Socket>> {
    loop {
        if cancel.load(Ordering::Relaxed) {
            return Err(HelperError::of(
                FailureKind::Cancelled,
                "run/cancelled",
                "the run was cancelled while waiting for the source",
            ));
        }
        if let Some(sockets) = admission.complete() {
            return Ok(sockets);
        }
        admission.check()?;
        let tick = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        // An interrupted wait is a short one.
        let _ = poll(&mut [PollFd::new(tcp, PollFlags::IN)], Some(&tick));
        match tcp.accept() {
            Ok((tcp, from)) => admission.judge_later(tcp, from),
            Err(error) if scarce(&error) => std::thread::sleep(SCARCE),
            Err(error) if passing(&error) => {}
            Err(error) => return Err(explain(address, &error)),
        }
    }
}

fn local_address(params: &ListenParams) -> Result<IpAddr> {
    match (&params.interface, params.address.as_str()) {
        (Some(interface), "") => address_of(interface),
        (Some(interface), address) => Err(HelperError::new(
            "request/bad-params",
            format!("listen on interface {interface} or on address {address}, not both"),
        )),
        (None, address) => address.parse().map_err(|_| {
            HelperError::of(FailureKind::Link, "link/address", format!("`{address}` is not an IP address"))
                .suggest("give an address of one of the destination's interfaces")
        }),
    }
}

/// Between two tries while the host is out of what a connection needs. The connection still waits, and poll(2) would say
/// so at once.
const SCARCE: Duration = Duration::from_millis(50);

/// Out of descriptors or memory: those in use come back sooner or later.
fn scarce(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// Failures of accept that concern one connection, or pass.
fn passing(error: &std::io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::EINTR | libc::ECONNABORTED | libc::EPROTO | libc::ENETDOWN | libc::EHOSTUNREACH)
    )
}

fn explain(wanted: SocketAddr, error: &std::io::Error) -> HelperError {
    let operation = format!("listen on {wanted}");
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => {
            HelperError::os_of(FailureKind::Link, "link/port-taken", operation, error, "another process has this port")
                .suggest(format!(
                    "choose another port, 0 for any free one, or see who has it: ss -ltnp 'sport = :{}'",
                    wanted.port()
                ))
        }
        Some(libc::EADDRNOTAVAIL) => HelperError::os_of(
            FailureKind::Link,
            "link/address",
            operation,
            error,
            "no interface of this host has this address",
        )
        .suggest("give an address that `ip address` shows on the destination, or 0.0.0.0"),
        Some(libc::EACCES) => HelperError::os_of(
            FailureKind::Link,
            "link/not-permitted",
            operation,
            error,
            "ports below 1024 need privilege",
        )
        .suggest("choose a port of 1024 or more, or 0"),
        _ => HelperError::os_of(FailureKind::Link, "link/listen", operation, error, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_does_not_end_the_listening() {
        let of = std::io::Error::from_raw_os_error;
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
            assert!(scarce(&of(errno)), "{errno}");
        }
        for errno in [libc::EAGAIN, libc::ECONNABORTED, libc::EPROTO] {
            assert!(passing(&of(errno)) && !scarce(&of(errno)), "{errno}");
        }
        assert!(!passing(&of(libc::EBADF)) && !scarce(&of(libc::EINVAL)));
    }
}
