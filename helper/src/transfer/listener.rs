//! Where a destination waits for its source. Strangers (port scanners, a source of another run) are shown the door one
//! by one, each on a thread of its own, so that a silent one cannot keep the real source waiting.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::link::{Link, SOURCE};
use super::preface::{Credentials, welcome};
use super::socket::{Patience, Socket};
use super::tls::Identity;
use crate::control::message::{Event, EventSink, ListenParams};
use crate::error::{HelperError, Result};

/// Time a connection has to show that it is the source.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// Connections judged at once; more are closed unheard.
const AT_ONCE: usize = 16;

pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    params: ListenParams,
    identity: Arc<Identity>,
    credentials: Credentials,
}

impl Listener {
    /// # Errors
    /// `link/port-taken`, `link/address`, `link/not-permitted`, `link/listen`, `request/bad-params`.
    pub fn bind(params: &ListenParams, identity: &Arc<Identity>, run: &str, epoch: u64) -> Result<Self> {
        let credentials = Credentials::new(run, epoch, &params.secret)?;
        let ip: IpAddr = params.address.parse().map_err(|_| {
            HelperError::new("link/address", format!("`{}` is not an IP address", params.address))
                .suggest("give an address of one of the destination's interfaces")
        })?;
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

    /// Waits for the source, however many strangers come first; each is logged.
    ///
    /// # Errors
    /// `run/cancelled`; `link/listen` when accepting itself fails.
    pub fn accept(&self, cancel: &Arc<AtomicBool>, events: &Arc<dyn EventSink>) -> Result<Link> {
        let (sender, judged) = channel();
        let under_way = Arc::new(AtomicUsize::new(0));
        loop {
            if cancel.load(Ordering::Relaxed) {
                return Err(HelperError::new("run/cancelled", "the run was cancelled while waiting for the source"));
            }
            if let Ok(link) = judged.try_recv() {
                return self.settle(link, cancel);
            }
            let tick = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            // An interrupted wait is a short one.
            let _ = poll(&mut [PollFd::new(&self.tcp, PollFlags::IN)], Some(&tick));
            match self.tcp.accept() {
                Ok((tcp, from)) if under_way.load(Ordering::Relaxed) < AT_ONCE => {
                    self.judge(tcp, from, Arc::clone(events), sender.clone(), &under_way);
                }
                Ok((tcp, _)) => drop(tcp),
                Err(error) if passing(&error) => {}
                Err(error) => return Err(explain(self.address, &error)),
            }
        }
    }

    fn settle(&self, mut link: Link, cancel: &Arc<AtomicBool>) -> Result<Link> {
        let silence = Duration::from_millis(self.params.link_timeout_ms.max(1));
        link.set_patience(Patience { cancel: Some(Arc::clone(cancel)), deadline: None, silence })?;
        Ok(link)
    }

    fn judge(
        &self,
        tcp: TcpStream,
        from: SocketAddr,
        events: Arc<dyn EventSink>,
        sender: Sender<Link>,
        under_way: &Arc<AtomicUsize>,
    ) {
        under_way.fetch_add(1, Ordering::Relaxed);
        let (identity, credentials) = (Arc::clone(&self.identity), self.credentials.clone());
        let (params, under_way) = (self.params.clone(), Arc::clone(under_way));
        thread::spawn(move || {
            match introduced(tcp, &params, &identity, &credentials) {
                // Nobody takes it when another connection was the source's.
                Ok(link) => drop(sender.send(link)),
                Err(error) => events.emit(Event::Log {
                    level: "warn",
                    message: format!("turned away a connection from {from}: {} ({})", error.message, error.code),
                    device: None,
                }),
            }
            under_way.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn introduced(tcp: TcpStream, params: &ListenParams, identity: &Identity, mine: &Credentials) -> Result<Link> {
    let fail = |error: std::io::Error| HelperError::os("link/socket", "fcntl", &error, "");
    tcp.set_nonblocking(false).map_err(fail)?;
    let deadline = Some(std::time::Instant::now() + INTRODUCTION);
    let patience = Patience { cancel: None, deadline, silence: Duration::from_millis(params.link_timeout_ms.max(1)) };
    let mut socket = if params.encrypt {
        Socket::destination(identity.destination(&params.peer)?, tcp, patience)?
    } else {
        Socket::plain(tcp, patience)?
    };
    welcome(&mut socket, mine).map_err(|error| match error.code {
        "limit/downtime" => HelperError::new("link/timeout", "it did not introduce itself in time"),
        _ => error,
    })?;
    Ok(Link::over(socket, Duration::ZERO, SOURCE))
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
        Some(libc::EADDRINUSE) => HelperError::os("link/port-taken", operation, error, "another process has this port")
            .suggest(format!(
                "choose another port, 0 for any free one, or see who has it: ss -ltnp 'sport = :{}'",
                wanted.port()
            )),
        Some(libc::EADDRNOTAVAIL) => {
            HelperError::os("link/address", operation, error, "no interface of this host has this address")
                .suggest("give an address that `ip address` shows on the destination, or 0.0.0.0")
        }
        Some(libc::EACCES) => {
            HelperError::os("link/not-permitted", operation, error, "ports below 1024 need privilege")
                .suggest("choose a port of 1024 or more, or 0")
        }
        _ => HelperError::os("link/listen", operation, error, ""),
    }
}
