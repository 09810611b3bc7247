//! Sending dirty pages, no faster than the destination takes them.

use std::time::Duration;

use crate::dirty::DirtyBitmap;
use crate::error::Result;
use crate::source::Source;
use crate::streams::link::Wait;
use crate::streams::pages::{Carried, DirtyWalk, Watch, send_pages};
use crate::wire::{Frame, Kind};

/// Zero pages that the destination may have to work through without having said so, in bytes. They take no room on the
/// way, and up to a second of its time: while it is busy with them it reads nothing, and TCP ends a connection that
/// stays shut for longer than the keepalive, alive or not.
const ZEROS_AHEAD: u64 = 1 << 30;

impl Source {
    /// Sends every dirty page, and waits for the destination's word after each [`ZEROS_AHEAD`] of zeros. Returns as
    /// [`send_pages`] does.
    ///
    /// # Errors
    /// Those of [`send_pages`] and [`Self::end_round`].
    pub(crate) fn send_dirty(&mut self, dirty: &DirtyBitmap, watch: Watch<'_>) -> Result<(Carried, Option<u64>)> {
        let mut total = Carried::default();
        let mut walk = DirtyWalk::new(dirty);
        loop {
            let mut told_to_stop = false;
            let (carried, stopped_at) = send_pages(&mut self.link, &self.memory, &mut walk, &mut |link, carried| {
                let mut all = total;
                all.add(carried);
                told_to_stop = !watch(link, all)?;
                Ok(!told_to_stop && carried.zero_bytes < ZEROS_AHEAD)
            })?;
            total.add(carried);
            match stopped_at {
                Some(_) if !told_to_stop => self.end_round()?,
                end => return Ok((total, end)),
            }
        }
    }

    /// The destination has all that was sent; what its devices took for their part is noted.
    ///
    /// # Errors
    /// The link's.
    pub(crate) fn end_round(&mut self) -> Result<()> {
        self.link.send(Frame { at: u64::from(self.rounds), ..Frame::plain(Kind::RoundEnd) }, &[])?;
        let (ack, _) = self.link.expect(Kind::RoundAck, Wait::Due)?;
        let loading = Duration::from_micros(u64::from(ack.count));
        self.intake.measure(std::mem::take(&mut self.state_on_way), loading);
        Ok(())
    }
}
