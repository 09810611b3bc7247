//! The connection between the two helpers: frames in both directions, and the ABORT that may come at any time.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::abort::Abort;
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::payload;
use super::preface::{Credentials, introduce};
use super::wire::{Frame, Kind};
use crate::control::message::ConnectParams;
use crate::error::{HelperError, Result};

pub use super::listener::Listener;
pub use super::socket::{Patience, Socket, Wait};
pub use super::tls::Identity;

pub struct Link {
    socket: Socket,
    inbox: Inbox,
    outbox: Outbox,
    round_trip: Duration,
    /// "the destination" on a source, and the other way round; for messages.
    peer_name: &'static str,
    peer_abort: Option<Abort>,
    sent_bytes: u64,
}

impl Link {
    /// Connects a source to a destination that waits in [`Listener::accept`]. A refused connection is tried again
    /// until the link timeout has passed: the other helper may still be about to listen.
    ///
    /// # Errors
    /// `link/refused`, `link/unreachable`, `link/address`, `link/timeout`, `run/cancelled`, `wire/tls` and those of
    /// the preface.
    pub fn connect(
        params: &ConnectParams,
        identity: &Identity,
        run: &str,
        epoch: u64,
        cancel: &Arc<AtomicBool>,
    ) -> Result<Self> {
        let credentials = Credentials::new(run, epoch, &params.secret)?;
        let silence = Duration::from_millis(params.link_timeout_ms.max(1));
        let patience = Patience { cancel: Some(Arc::clone(cancel)), deadline: None, silence };
        let tcp = dial(params, &patience)?;
        let mut socket = if params.encrypt {
            Socket::source(identity.source(&params.peer)?, tcp, patience)?
        } else {
            Socket::plain(tcp, patience)?
        };
        let round_trip = introduce(&mut socket, &credentials, params.streams)?;
        Ok(Self::over(socket, round_trip, "the destination"))
    }

    /// A link over a socket whose preface is done.
    pub(super) fn over(socket: Socket, round_trip: Duration, peer_name: &'static str) -> Self {
        Self {
            socket,
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            round_trip,
            peer_name,
            peer_abort: None,
            sent_bytes: 0,
        }
    }

    pub fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// Bytes handed to the socket so far, headers included, before TLS.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    pub fn patience(&self) -> &Patience {
        self.socket.patience()
    }

    pub fn set_patience(&mut self, patience: Patience) -> Result<()> {
        self.socket.set_patience(patience)
    }

    /// Sends one frame at once, behind everything staged.
    pub fn send(&mut self, frame: Frame, payload: &[u8]) -> Result<()> {
        self.stage(frame, payload.len(), true, |into| {
            into.copy_from_slice(payload);
            Ok(payload.len())
        })?;
        self.flush()
    }

    /// Stages a frame (see [`Outbox::stage`]) and sends the batch if it is full.
    pub fn stage(
        &mut self,
        frame: Frame,
        room: usize,
        empty_too: bool,
        fill: impl FnOnce(&mut [u8]) -> Result<usize>,
    ) -> Result<usize> {
        let length = self.outbox.stage(frame, room, empty_too, fill)?;
        if self.outbox.is_full() {
            self.flush()?;
        }
        Ok(length)
    }

    /// Sends what is staged. Between batches the peer's ABORT is noticed, and when sending fails it is looked for,
    /// because it says why.
    pub fn flush(&mut self) -> Result<()> {
        self.sent_bytes += self.outbox.staged() as u64;
        match self.outbox.send(&mut self.socket) {
            Ok(()) if self.peer_name == SOURCE => Ok(()),
            Ok(()) => self.look_for_abort(Duration::ZERO),
            Err(error) if error.code.starts_with("link/") => {
                self.look_for_abort(Duration::from_millis(100))?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// The next frame. An ABORT is a frame like others here; [`Self::expect`] makes it an error.
    pub fn receive(&mut self, wait: Wait) -> Result<(Frame, &[u8])> {
        self.inbox.receive(&mut self.socket, wait)
    }

    /// The payload of the next frame, which must be of this kind.
    ///
    /// # Errors
    /// The peer's own cause when it is an ABORT; `wire/unexpected-frame` when it is another.
    pub fn expect(&mut self, kind: Kind, wait: Wait) -> Result<(Frame, &[u8])> {
        let (frame, payload) = self.inbox.receive(&mut self.socket, wait)?;
        if frame.kind == Kind::Abort {
            let abort = Abort::read(payload);
            let error = abort.error(self.peer_name);
            self.peer_abort = Some(abort);
            return Err(error);
        }
        if frame.kind != kind {
            return Err(unexpected(frame, kind));
        }
        Ok((frame, payload))
    }

    /// The ABORT that ended this link, if one did.
    pub fn peer_abort(&self) -> Option<&Abort> {
        self.peer_abort.as_ref()
    }

    /// Tells the peer that this side gives up; best effort, within a tick or two, cancelled or not.
    pub fn abort(&mut self, cause: &HelperError, discarded: bool) {
        let silence = self.patience().silence.min(Duration::from_secs(1));
        let sent = self
            .set_patience(Patience { cancel: None, deadline: None, silence })
            .and_then(|()| payload::to_json(&Abort::because(cause, discarded)))
            .and_then(|json| {
                if self.outbox.is_full() {
                    self.outbox.send(&mut self.socket)?;
                }
                self.outbox.stage(Frame::plain(Kind::Abort), json.len(), true, |into| {
                    into.copy_from_slice(&json);
                    Ok(json.len())
                })?;
                self.outbox.send(&mut self.socket)
            });
        // The link may be what failed: then the peer finds out by itself.
        drop(sent);
    }

    /// Says that nothing more will come from this side; what the peer still says can be read.
    pub fn finish(&mut self) {
        self.socket.finish();
    }

    /// Closes our direction and reads on until the peer has closed its own, so that the last words of either side
    /// are not lost to a reset. At most `at_most`.
    pub fn linger(&mut self, at_most: Duration) {
        self.socket.finish();
        let patience = Patience { cancel: None, deadline: Some(Instant::now() + at_most), silence: at_most };
        let mut sink = [0; 4096];
        if self.socket.set_patience(patience).is_ok() {
            while self.socket.read(&mut sink, Wait::Due).is_ok() {}
        }
    }

    /// The peer's ABORT as an error, if it is the next thing to read. A link that broke shows in what is sent next.
    fn look_for_abort(&mut self, at_most: Duration) -> Result<()> {
        let something = self.inbox.holds_any() || self.socket.is_readable(at_most);
        if something && self.inbox.abort_comes(&mut self.socket).is_ok_and(|comes| comes) {
            self.expect(Kind::Abort, Wait::Due).map(drop)?;
        }
        Ok(())
    }
}

pub(super) const SOURCE: &str = "the source";

pub(super) fn unexpected(frame: Frame, expected: Kind) -> HelperError {
    HelperError::new("wire/unexpected-frame", format!("a {:?} frame came where {expected:?} was due", frame.kind))
}

/// Connects, trying again while nobody listens yet.
fn dial(params: &ConnectParams, patience: &Patience) -> Result<TcpStream> {
    let target = (params.address.as_str(), params.port);
    let named = format!("{}:{}", params.address, params.port);
    let addresses: Vec<_> = target
        .to_socket_addrs()
        .map_err(|error| {
            HelperError::os("link/address", format!("resolve {}", params.address), &error, "the name has no address")
                .suggest("give the destination's data address as an IP address")
        })?
        .collect();
    let began = Instant::now();
    loop {
        let mut failed = HelperError::new("link/address", format!("{named} has no address"));
        for address in &addresses {
            patience.check()?;
            match TcpStream::connect_timeout(address, patience.silence.min(Duration::from_secs(2))) {
                Ok(tcp) => return Ok(tcp),
                Err(error) => failed = explain(&named, &error),
            }
        }
        if began.elapsed() >= patience.silence || failed.errno == Some(libc::ENETUNREACH) {
            return Err(failed);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn explain(named: &str, error: &std::io::Error) -> HelperError {
    let operation = format!("connect {named}");
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => {
            HelperError::os("link/refused", operation, error, "nobody listens there, or a firewall refuses")
                .suggest("check the link's address and port and the firewall on the destination")
        }
        Some(libc::EHOSTUNREACH | libc::ENETUNREACH) => {
            HelperError::os("link/unreachable", operation, error, "no route to the destination")
                .suggest("check the link's address against the destination's interfaces")
        }
        _ => HelperError::os("link/timeout", operation, error, "no answer")
            .suggest("check the link's address and port and the firewalls in between"),
    }
}
