//! Connecting to where the destination listens.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};

use crate::error::{FailureKind, HelperError, Result};
use crate::message::ConnectParams;
use crate::net::socket::Patience;

/// Time one address is given.
const ANSWER: Duration = Duration::from_secs(2);
/// Before trying again where no one listened.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest time a cancel goes unnoticed.
const TICK: Duration = Duration::from_millis(50);

/// Connects; with `insist`, trying again while no one listens yet, for as long as the patience allows silence.
///
/// # Errors
/// `link/refused`, `link/unreachable`, `link/address`, `link/timeout`, `run/cancelled`.
pub fn dial(params: &ConnectParams, patience: &Patience, insist: bool) -> Result<TcpStream> {
    let addresses = resolve(params)?;
    let began = Instant::now();
    loop {
        let mut failed = None;
        for address in &addresses {
            match reach(*address, params.bind, patience)? {
                Ok(tcp) => return Ok(tcp),
                Err(error) => failed = Some(explain(*address, params.bind, &error)),
            }
        }
        let failed =
            failed.unwrap_or_else(|| HelperError::of(FailureKind::Link, "link/address", "no address to connect to"));
        let hopeless = matches!(failed.errno, Some(libc::ENETUNREACH | libc::EADDRNOTAVAIL));
        if !insist || hopeless || began.elapsed() >= patience.silence {
            return Err(failed);
        }
        std::thread::sleep(PAUSE);
    }
}

/// The destination's addresses, of the family of the local one if that is given.
fn resolve(params: &ConnectParams) -> Result<Vec<SocketAddr>> {
    let found = (params.address.as_str(), params.port).to_socket_addrs().map_err(|error| {
        HelperError::os_of(
            FailureKind::Link,
            "link/address",
            format!("resolve {}", params.address),
            &error,
            "the name has no address",
        )
        .suggest("give the destination's data address as an IP address")
    })?;
    let fits = |address: &SocketAddr| params.bind.is_none_or(|from| from.is_ipv4() == address.is_ipv4());
    let all: Vec<_> = found.filter(fits).collect();
    match (all.is_empty(), params.bind) {
        (false, _) => Ok(all),
        (true, None) => {
            Err(HelperError::of(FailureKind::Link, "link/address", format!("{} has no address", params.address)))
        }
        (true, Some(from)) => Err(HelperError::of(
            FailureKind::Link,
            "link/address",
            format!("{} cannot be reached from {from}: one is IPv4, the other IPv6", params.address),
        )
        .suggest("give both data addresses in one family")),
    }
}

/// One attempt at one address; the outer error ends all attempts.
fn reach(to: SocketAddr, from: Option<IpAddr>, patience: &Patience) -> Result<std::io::Result<TcpStream>> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let begun = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None).and_then(
        |socket| {
            if let Some(from) = from {
                bind(&socket, &SocketAddr::new(from, 0))?;
            }
            match connect(&socket, &to) {
                Ok(()) | Err(rustix::io::Errno::INPROGRESS | rustix::io::Errno::INTR) => Ok(socket),
                Err(errno) => Err(errno),
            }
        },
    );
    let socket = match begun {
        Ok(socket) => socket,
        Err(errno) => return Ok(Err(errno.into())),
    };
    let until = Instant::now() + patience.silence.min(ANSWER);
    let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
    loop {
        patience.check()?;
        // An interrupted wait is a short one.
        if poll(&mut [PollFd::new(&socket, PollFlags::OUT)], Some(&tick)).is_ok_and(|ready| ready > 0) {
            break;
        }
        if Instant::now() >= until {
            return Ok(Err(std::io::Error::from_raw_os_error(libc::ETIMEDOUT)));
        }
    }
    let settled = sockopt::socket_error(&socket).and_then(|outcome| outcome).map_err(std::io::Error::from);
    let tcp = TcpStream::from(socket);
    Ok(settled.and_then(|()| tcp.set_nonblocking(false)).map(|()| tcp))
}

fn explain(to: SocketAddr, from: Option<IpAddr>, error: &std::io::Error) -> HelperError {
    let operation = from.map_or_else(|| format!("connect {to}"), |from| format!("connect {to} from {from}"));
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => HelperError::os_of(
            FailureKind::Refused,
            "link/refused",
            operation,
            error,
            "no process listens there, or a firewall refuses",
        )
        .suggest("check the link's address and port and the firewall on the destination"),
        Some(libc::EADDRNOTAVAIL) => HelperError::os_of(
            FailureKind::Link,
            "link/address",
            operation,
            error,
            "no interface of this host has the source's address",
        )
        .suggest("give an address that `ip address` shows on the source, or leave it out"),
        Some(libc::EHOSTUNREACH | libc::ENETUNREACH) => {
            HelperError::os_of(FailureKind::Link, "link/unreachable", operation, error, "no route to the destination")
                .suggest("check the link's address against the destination's interfaces")
        }
        _ => HelperError::os_of(FailureKind::Link, "link/timeout", operation, error, "no answer")
            .suggest("check the link's address and port and the firewalls in between"),
    }
}
