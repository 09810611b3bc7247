//! The connection between the two helpers: frames in both directions, the ABORT that may come at any time, and the
//! streams beside it that carry pages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{FailureKind, HelperError, Result};
use crate::memory::Memory;
use crate::streams::incoming::{GRACE, Incoming};
use crate::streams::outgoing::Lane;
use crate::streams::pages::{Carried, Staging};
use crate::streams::side_streams::SideStreams;
use crate::wire::abort::Abort;
use crate::wire::inbox::Inbox;
use crate::wire::outbox::Outbox;
use crate::wire::payload;
use crate::wire::{Frame, Kind, u64_at, unexpected};

pub use crate::net::listener::Listener;
pub use crate::net::socket::{Patience, Socket, Wait};
pub use crate::net::tls::Identity;

/// Connections of one run, at most.
pub const MOST_STREAMS: u16 = 64;

pub struct Link {
    socket: Socket,
    inbox: Inbox,
    outbox: Outbox,
    round_trip: Duration,
    /// "the destination" on a source, and the other way round; for messages.
    peer_name: &'static str,
    peer_abort: Option<Abort>,
    sent_bytes: u64,
    side_streams: SideStreams,
}

impl Link {
    /// A source's link over sockets whose prefaces are done; `socket` is the first stream.
    pub(crate) fn source(socket: Socket, others: Vec<Socket>, round_trip: Duration) -> Self {
        Self::over(socket, SideStreams::source(others), round_trip, "the destination")
    }

    /// A destination's.
    pub(crate) fn destination(socket: Socket, others: Vec<Socket>) -> Self {
        Self::over(socket, SideStreams::destination(others), Duration::ZERO, SOURCE)
    }

    fn over(socket: Socket, side_streams: SideStreams, round_trip: Duration, peer_name: &'static str) -> Self {
        Self {
            socket,
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            round_trip,
            peer_name,
            peer_abort: None,
            sent_bytes: 0,
            side_streams,
        }
    }

    /// Connections there are.
    pub fn streams(&self) -> u16 {
        self.side_streams.streams()
    }

    /// How many of them carry pages from the next sending of pages on: at least one, at most all.
    pub fn set_use(&mut self, streams: u16) {
        self.side_streams.set_use(streams);
    }

    pub fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// Bytes handed to the sockets so far, headers included, before TLS.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes + self.side_streams.sent_bytes()
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

    /// Sends what is staged. Between batches the peer's ABORT is noticed, and when sending fails it is looked for,
    /// because it says why.
    pub fn flush(&mut self) -> Result<()> {
        self.sent_bytes += self.outbox.staged() as u64;
        match self.outbox.send(&mut self.socket) {
            Ok(()) if self.peer_name == SOURCE => Ok(()),
            Ok(()) => self.look_for_abort(Duration::ZERO),
            Err(error) => Err(self.why(error)),
        }
    }

    /// What to say of a broken connection: the peer's own cause if it told one, which may come a moment later.
    pub(crate) fn why(&mut self, error: HelperError) -> HelperError {
        if error.kind.ends_connection() {
            return self.look_for_abort(GRACE).err().unwrap_or(error);
        }
        error
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
        if kind == Kind::RoundAck {
            self.side_streams.acknowledged();
        }
        Ok((frame, payload))
    }

    /// While nothing is due from the peer: whether it is still there.
    ///
    /// # Errors
    /// Its ABORT; `link/lost` when a connection has ended; `wire/unexpected-frame` when it says something else.
    pub fn check_alive(&mut self) -> Result<()> {
        if self.inbox.holds_any() || self.socket.is_readable(Duration::ZERO) {
            if !self.inbox.abort_comes(&mut self.socket)? {
                let (frame, _) = self.inbox.receive(&mut self.socket, Wait::Due)?;
                return Err(unexpected(frame, Kind::Abort));
            }
            self.expect(Kind::Abort, Wait::Due)?;
        }
        self.side_streams.check().map_err(|error| self.why(error))
    }

    /// A source's streams beside the first, lent to those who send pages over them, and how many may be used now.
    pub(crate) fn take_lanes(&mut self) -> (Vec<Lane>, usize) {
        self.side_streams.take()
    }

    pub(crate) fn put_lanes(&mut self, lanes: Vec<Lane>) {
        self.side_streams.put(lanes);
    }

    /// Tells the destination what the other streams carried, if they carried anything since the last time.
    pub(crate) fn announce(&mut self) -> Result<()> {
        let Some(counts) = self.side_streams.announcement() else { return Ok(()) };
        let fill = |into: &mut [u8]| {
            into.copy_from_slice(&counts);
            Ok(counts.len())
        };
        self.stage(Frame::plain(Kind::Gather), counts.len(), true, fill).map(drop)
    }

    /// A destination's other streams store what they carry from now on.
    pub(crate) fn take_in(&mut self, memory: &Arc<Memory>) -> Result<()> {
        if let Some(health) = self.side_streams.take_in(memory)? {
            self.socket.watch(health);
        }
        Ok(())
    }

    /// Waits until what a GATHER announced is stored; returns what that was.
    pub(crate) fn gather(&mut self, announced: &[u8]) -> Result<Carried> {
        let Some(incoming) = self.side_streams.incoming() else { return Ok(Carried::default()) };
        let (inbox, socket) = (&mut self.inbox, &mut self.socket);
        let counts: Vec<u64> = announced.chunks_exact(8).map(|count| u64_at(count, 0)).collect();
        let gathered = incoming.gather(&counts, socket.patience().silence, &mut || {
            socket.patience().check()?;
            let comes = (inbox.holds_any() || socket.is_readable(Duration::ZERO)) && inbox.abort_comes(socket)?;
            if comes { Err(HelperError::of(FailureKind::Lost, "link/lost", "the source gave up")) } else { Ok(()) }
        });
        gathered.map_err(|error| self.why(error))
    }

    /// A destination's: no page is stored any more.
    pub(crate) fn close_streams(&mut self) -> Result<()> {
        self.side_streams.incoming().map_or(Ok(()), Incoming::close)
    }

    /// The ABORT that ended this link, if one did.
    pub fn peer_abort(&self) -> Option<&Abort> {
        self.peer_abort.as_ref()
    }

    /// Tells the peer that this side gives up; best effort, within a tick or two, cancelled or not.
    pub fn abort(&mut self, cause: &HelperError, discarded: bool) {
        let silence = self.patience().silence.min(Duration::from_secs(1));
        self.socket.unwatch();
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
    pub(crate) fn look_for_abort(&mut self, at_most: Duration) -> Result<()> {
        let something = self.inbox.holds_any() || self.socket.is_readable(at_most);
        if something && self.inbox.abort_comes(&mut self.socket).is_ok_and(|comes| comes) {
            self.expect(Kind::Abort, Wait::Due).map(drop)?;
        }
        Ok(())
    }
}

impl Staging for Link {
    fn stage(
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
}

pub(crate) const SOURCE: &str = "the source";
