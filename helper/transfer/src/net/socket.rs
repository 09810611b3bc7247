//! One TCP connection, plain or under TLS, whose every wait notices a cancel, a deadline and a silent peer.
//!
//! The socket blocks with a short timeout of its own; after each such tick the [`Patience`] decides whether to go on.
//! Blocking is the backpressure: what the peer has not read stays here.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::StreamOwned;

use crate::error::{FailureKind, HelperError, Result};
use crate::net::alive::{lost, prepare, unacknowledged};
use crate::net::tls::ReadAhead;
use crate::streams::incoming::Health;

/// Longest time a cancel goes unnoticed.
const TICK: Duration = Duration::from_millis(50);
/// The same while a deadline runs, which a blackout must not overshoot by more.
const SHORT_TICK: Duration = Duration::from_millis(4);

/// What may end a wait early.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Seen as a cancel when set; `None` past COMMIT, when nothing may be cancelled any more.
    pub cancel: Option<Arc<AtomicBool>>,
    /// The downtime limit's end.
    pub deadline: Option<Instant>,
    /// Longest time without any byte moving once something is due.
    pub silence: Duration,
}

impl Patience {
    /// # Errors
    /// `run/cancelled`, `limit/downtime`.
    pub fn check(&self) -> Result<()> {
        if self.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err(HelperError::of(FailureKind::Cancelled, "run/cancelled", "the run was cancelled"));
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(HelperError::of(
                FailureKind::Deadline,
                "limit/downtime",
                "the downtime limit was reached on the way",
            ));
        }
        Ok(())
    }
}

/// How long to wait for the first byte of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It is due: silence is a fault.
    Due,
    /// The peer may have nothing to say for as long as it likes; only its death (see [`super::alive`]) ends the wait.
    Idle,
}

/// What a preface and frames are read from and written to.
pub trait Channel {
    /// At least one byte.
    ///
    /// # Errors
    /// Those of [`Socket::read`].
    fn read(&mut self, into: &mut [u8], wait: Wait) -> Result<usize>;

    /// All of `bytes` behind the first `done`, which counts on.
    ///
    /// # Errors
    /// Those of [`Socket::write`].
    fn write(&mut self, bytes: &[u8], done: &mut usize) -> Result<()>;
}

impl Channel for Socket {
    fn read(&mut self, into: &mut [u8], wait: Wait) -> Result<usize> {
        Self::read(self, into, wait)
    }

    fn write(&mut self, bytes: &[u8], done: &mut usize) -> Result<()> {
        Self::write(self, bytes, done)
    }
}

enum Carrier {
    Plain(TcpStream),
    Source(Box<StreamOwned<rustls::ClientConnection, ReadAhead>>),
    Destination(Box<StreamOwned<rustls::ServerConnection, ReadAhead>>),
}

pub struct Socket {
    carrier: Carrier,
    patience: Patience,
    keepalive: Duration,
    /// The streams beside this one: nothing is waited for here when one of them broke.
    others: Option<Health>,
}

impl Socket {
    /// A vanished peer is noticed after about `keepalive`.
    ///
    /// # Errors
    /// `link/socket` when the kernel refuses an option.
    pub fn plain(tcp: TcpStream, patience: Patience, keepalive: Duration) -> Result<Self> {
        Self::over(Carrier::Plain(tcp), patience, keepalive)
    }

    pub fn source(
        connection: rustls::ClientConnection,
        tcp: TcpStream,
        patience: Patience,
        keepalive: Duration,
    ) -> Result<Self> {
        let stream = StreamOwned::new(connection, ReadAhead::new(tcp));
        Self::over(Carrier::Source(Box::new(stream)), patience, keepalive)
    }

    pub fn destination(
        connection: rustls::ServerConnection,
        tcp: TcpStream,
        patience: Patience,
        keepalive: Duration,
    ) -> Result<Self> {
        let stream = StreamOwned::new(connection, ReadAhead::new(tcp));
        Self::over(Carrier::Destination(Box::new(stream)), patience, keepalive)
    }

    fn over(carrier: Carrier, patience: Patience, keepalive: Duration) -> Result<Self> {
        let mut socket = Self { carrier, patience: patience.clone(), keepalive, others: None };
        prepare(socket.tcp(), keepalive)?;
        socket.set_patience(patience)?;
        Ok(socket)
    }

    /// Ends waits on this connection, too, when one of those streams broke.
    pub fn watch(&mut self, others: Health) {
        self.others = Some(others);
    }

    /// What becomes of them matters no more.
    pub fn unwatch(&mut self) {
        self.others = None;
    }

    /// Another handle of the connection, to end it from outside.
    ///
    /// # Errors
    /// `link/socket` without a free descriptor.
    pub fn handle(&self) -> Result<TcpStream> {
        self.tcp().try_clone().map_err(|error| HelperError::os_of(FailureKind::Link, "link/socket", "dup", &error, ""))
    }

    pub fn patience(&self) -> &Patience {
        &self.patience
    }

    pub fn set_patience(&mut self, patience: Patience) -> Result<()> {
        let tick = if patience.deadline.is_some() { SHORT_TICK } else { TICK };
        let tcp = self.tcp();
        tcp.set_read_timeout(Some(tick))
            .and_then(|()| tcp.set_write_timeout(Some(tick)))
            .map_err(|error| HelperError::os_of(FailureKind::Link, "link/socket", "setsockopt", &error, ""))?;
        self.patience = patience;
        Ok(())
    }

    pub fn peer(&self) -> Option<SocketAddr> {
        self.tcp().peer_addr().ok()
    }

    fn tcp(&self) -> &TcpStream {
        match &self.carrier {
            Carrier::Plain(tcp) => tcp,
            Carrier::Source(stream) => stream.sock.tcp(),
            Carrier::Destination(stream) => stream.sock.tcp(),
        }
    }

    fn moved(&self) -> Moved {
        let below_tls = match &self.carrier {
            Carrier::Plain(_) => 0,
            Carrier::Source(stream) => stream.sock.moved(),
            Carrier::Destination(stream) => stream.sock.moved(),
        };
        Moved { below_tls, queued: unacknowledged(self.tcp()) }
    }

    /// Reads at least one byte.
    ///
    /// # Errors
    /// `link/lost`, `link/timeout`, `wire/tls`, and what [`Patience::check`] gives.
    pub fn read(&mut self, into: &mut [u8], wait: Wait) -> Result<usize> {
        let mut quiet = Quiet::new();
        loop {
            // A peer that never stops sending must not outlast a deadline.
            self.patience.check()?;
            let read = match &mut self.carrier {
                Carrier::Plain(tcp) => tcp.read(into),
                Carrier::Source(stream) => stream.read(into),
                Carrier::Destination(stream) => stream.read(into),
            };
            match read {
                Ok(0) if !into.is_empty() => return Err(closed()),
                Ok(count) => return Ok(count),
                Err(error) => self.tick(&error, "read", &mut quiet, wait)?,
            }
        }
    }

    /// Writes `bytes` from `*done` on, all of it, and keeps `*done` at what was taken even when it fails.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn write(&mut self, bytes: &[u8], done: &mut usize) -> Result<()> {
        let mut quiet = Quiet::new();
        loop {
            let rest = &bytes[*done..];
            // One call to the kernel at a time: however slowly it goes, each is a look at the patience.
            let step = match &mut self.carrier {
                Carrier::Plain(_) if rest.is_empty() => return Ok(()),
                Carrier::Plain(tcp) => tcp.write(rest).map(|count| (count, count)),
                Carrier::Source(stream) => write_some(stream, rest),
                Carrier::Destination(stream) => write_some(stream, rest),
            };
            match step {
                Ok((_, 0)) if *done == bytes.len() => return Ok(()),
                Ok((0, 0)) => return Err(closed()),
                Ok((taken, _)) => {
                    *done += taken;
                    quiet = Quiet::new();
                    self.patience.check()?;
                }
                Err(error) => self.tick(&error, "write", &mut quiet, Wait::Due)?,
            }
        }
    }

    /// Whether bytes wait to be read, within `at_most`. A dead peer counts: reading then says so.
    pub fn is_readable(&mut self, at_most: Duration) -> bool {
        let buffered = match &mut self.carrier {
            Carrier::Plain(_) => false,
            Carrier::Source(stream) => !stream.sock.is_empty() || holds_plaintext(&mut stream.conn),
            Carrier::Destination(stream) => !stream.sock.is_empty() || holds_plaintext(&mut stream.conn),
        };
        let wait = Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: i64::from(at_most.subsec_nanos()) };
        buffered || poll(&mut [PollFd::new(self.tcp(), PollFlags::IN)], Some(&wait)).is_ok_and(|ready| ready > 0)
    }

    /// Says that nothing more will be sent, so that the peer reads what was and then the end.
    pub fn finish(&mut self) {
        // Best effort: the connection is over either way.
        match &mut self.carrier {
            Carrier::Plain(_) => {}
            Carrier::Source(stream) => {
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
            Carrier::Destination(stream) => {
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
        let _ = self.tcp().shutdown(std::net::Shutdown::Write);
    }

    /// Judges a failed call: a tick of the clock goes on unless patience has run out, anything else ends the link.
    fn tick(&self, error: &std::io::Error, operation: &str, quiet: &mut Quiet, wait: Wait) -> Result<()> {
        match error.kind() {
            ErrorKind::Interrupted => Ok(()),
            ErrorKind::WouldBlock | ErrorKind::TimedOut if error.raw_os_error() != Some(libc::ETIMEDOUT) => {
                self.patience.check()?;
                if let Some(others) = &self.others {
                    others.check()?;
                }
                if wait == Wait::Due && quiet.since(self.moved()) >= self.patience.silence {
                    return Err(HelperError::of(
                        FailureKind::Link,
                        "link/timeout",
                        format!("nothing moved on the link for {} ms ({operation})", self.patience.silence.as_millis()),
                    )
                    .suggest(
                        "look at the network between the hosts and at the other helper, or raise the link timeout",
                    ));
                }
                Ok(())
            }
            ErrorKind::InvalidData => {
                Err(HelperError::of(FailureKind::Wire, "wire/tls", format!("TLS refused what arrived: {error}"))
                    .suggest("the fingerprints of both helpers come from one run; check that nothing sits in between"))
            }
            ErrorKind::UnexpectedEof => Err(closed()),
            _ => Err(lost(operation, error, self.keepalive)),
        }
    }
}

/// Since when nothing moved; the clock is asked only once something blocked.
struct Quiet {
    since: Option<Instant>,
    moved: Moved,
}

/// What changes while something moves that no call of ours returns for.
#[derive(Default, Clone, Copy)]
struct Moved {
    /// Bytes in and out below TLS: a record on a slow link takes many reads.
    below_tls: u64,
    /// Bytes that the kernel holds and the peer has not acknowledged: a full socket can be written to again only once
    /// a third of it is free.
    queued: u32,
}

impl Quiet {
    fn new() -> Self {
        Self { since: None, moved: Moved::default() }
    }

    fn since(&mut self, now: Moved) -> Duration {
        let before = std::mem::replace(&mut self.moved, now);
        if now.below_tls != before.below_tls || now.queued < before.queued {
            self.since = None;
        }
        self.since.get_or_insert_with(Instant::now).elapsed()
    }
}

/// One step of sending under TLS: how many bytes of `rest` were taken, and how many, encrypted, the kernel took.
fn write_some<C, S>(stream: &mut StreamOwned<C, ReadAhead>, rest: &[u8]) -> std::io::Result<(usize, usize)>
where
    C: DerefMut<Target = rustls::ConnectionCommon<S>>,
    S: rustls::SideData,
{
    if stream.conn.is_handshaking() {
        stream.flush()?;
    }
    let taken = stream.conn.writer().write(rest)?;
    if !stream.conn.wants_write() {
        return Ok((taken, 0));
    }
    match stream.conn.write_tls(&mut stream.sock) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok((taken, count)),
        // What was taken is told first; the next step finds out again.
        Err(_) if taken > 0 => Ok((taken, 1)),
        Err(error) => Err(error),
    }
}

fn holds_plaintext<D: rustls::SideData>(connection: &mut rustls::ConnectionCommon<D>) -> bool {
    connection.process_new_packets().is_ok_and(|state| state.plaintext_bytes_to_read() > 0)
}

fn closed() -> HelperError {
    HelperError::of(FailureKind::Lost, "link/lost", "the peer closed the connection")
}
