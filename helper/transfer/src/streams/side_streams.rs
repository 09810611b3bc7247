//! What a link knows of the streams beside its first one, on either side.

use std::sync::Arc;

use crate::error::Result;
use crate::memory::Memory;
use crate::net::socket::Socket;
use crate::streams::incoming::{Health, Incoming};
use crate::streams::outgoing::Lane;

pub struct SideStreams {
    part: Part,
    /// Connections, the first one counted.
    streams: u16,
    /// Of these, how many carry pages.
    in_use: u16,
    /// Pages went over other streams that the destination has not acknowledged: more of them could overtake those.
    unacknowledged: bool,
}

enum Part {
    Source(Vec<Lane>),
    /// Until the source said what will move.
    Waiting(Vec<Socket>),
    Destination(Incoming),
}

impl SideStreams {
    pub fn source(sockets: Vec<Socket>) -> Self {
        let count = sockets.len() + 1;
        let lanes = sockets.into_iter().zip(2..).map(|(socket, number)| Lane::new(socket, number, count));
        Self::new(count, Part::Source(lanes.collect()))
    }

    pub fn destination(sockets: Vec<Socket>) -> Self {
        Self::new(sockets.len() + 1, Part::Waiting(sockets))
    }

    fn new(count: usize, part: Part) -> Self {
        let streams = u16::try_from(count).unwrap_or(u16::MAX);
        Self { part, streams, in_use: streams, unacknowledged: false }
    }

    pub fn streams(&self) -> u16 {
        self.streams
    }

    pub fn set_use(&mut self, streams: u16) {
        self.in_use = streams.clamp(1, self.streams);
    }

    pub fn sent_bytes(&self) -> u64 {
        if let Part::Source(lanes) = &self.part { lanes.iter().map(Lane::sent_bytes).sum() } else { 0 }
    }

    /// # Errors
    /// What ended one of a source's streams.
    pub fn check(&mut self) -> Result<()> {
        if let Part::Source(lanes) = &mut self.part { lanes.iter_mut().try_for_each(Lane::check) } else { Ok(()) }
    }

    /// A source's, lent to those who send pages over them, and how many of them may be used.
    pub fn take(&mut self) -> (Vec<Lane>, usize) {
        let Part::Source(lanes) = &mut self.part else { return (Vec::new(), 0) };
        let lanes = std::mem::take(lanes);
        let may = if self.unacknowledged { 0 } else { lanes.len().min(usize::from(self.in_use) - 1) };
        (lanes, may)
    }

    pub fn put(&mut self, lanes: Vec<Lane>) {
        if matches!(self.part, Part::Source(_)) {
            self.part = Part::Source(lanes);
        }
    }

    /// Payload of the GATHER that is due: `None` when nothing was carried since the last one.
    pub fn announcement(&mut self) -> Option<Vec<u8>> {
        let Part::Source(lanes) = &mut self.part else { return None };
        // Every one is asked, not only up to the first that says yes.
        let news = lanes.iter_mut().map(Lane::take_unannounced).filter(|news| *news).count() > 0;
        self.unacknowledged |= news;
        news.then(|| lanes.iter().flat_map(|lane| lane.frames().to_le_bytes()).collect())
    }

    /// The destination has everything that was sent before.
    pub fn acknowledged(&mut self) {
        self.unacknowledged = false;
    }

    /// A destination's streams store what they carry from now on; `None` when they do already.
    ///
    /// # Errors
    /// `link/socket`, `link/thread`.
    pub fn take_in(&mut self, memory: &Arc<Memory>) -> Result<Option<Health>> {
        let Part::Waiting(sockets) = &mut self.part else { return Ok(None) };
        let incoming = Incoming::start(std::mem::take(sockets), memory)?;
        let health = incoming.health();
        self.part = Part::Destination(incoming);
        Ok(Some(health))
    }

    pub fn incoming(&mut self) -> Option<&mut Incoming> {
        if let Part::Destination(incoming) = &mut self.part { Some(incoming) } else { None }
    }
}

#[cfg(test)]
mod tests;
