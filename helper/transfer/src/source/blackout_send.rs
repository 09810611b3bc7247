//! What leaves in the blackout: the last pages, the rest of each device's state, and the manifest of it all.

use crate::device::transitions::Stepper;
use crate::dirty::DirtyBitmap;
use crate::error::Result;
use crate::protocol::source::Event;
use crate::source::Source;
use crate::source::blackout::Blackout;
use crate::source::saving::estimate;
use crate::wire::payload::{Manifest, to_json};
use crate::wire::{Frame, Kind};

impl Source {
    /// Whatever the destination does not hold as it is here.
    pub(crate) fn last_pages(&mut self, blackout: &mut Blackout<'_>) -> Result<Event> {
        blackout.last_pages = self.pending.count();
        blackout.last_bytes = self.pending.dirty_bytes();
        let clean = DirtyBitmap::new(self.memory.page_size(), &self.memory.areas());
        let pending = std::mem::replace(&mut self.pending, clean);
        let (carried, _) = self.send_dirty(&pending, &mut |_, _| Ok(true))?;
        self.carried.add(carried);
        self.link.flush()?;
        Ok(Event::Succeeded)
    }

    /// Each device's state stream from where pre-copy left it to its end.
    pub(crate) fn send_states(&mut self, devices: &mut [Stepper], most: Option<u64>) -> Result<Event> {
        for (saving, device) in self.saving.iter_mut().zip(devices) {
            let announced = estimate(device);
            let sent = saving.stop_copy(&mut self.link, device.name(), announced, most);
            sent.map_err(|error| error.device(device.name()))?;
        }
        self.link.flush()?;
        Ok(Event::Succeeded)
    }

    /// What all of it was, for the destination to compare.
    pub(crate) fn send_manifest(&mut self, devices: &[Stepper]) -> Result<Event> {
        let streams = self.saving.iter().zip(devices).map(|(saving, device)| saving.sum(device.name()));
        let manifest = Manifest {
            page_bytes: self.carried.page_bytes,
            zero_bytes: self.carried.zero_bytes,
            streams: streams.collect(),
        };
        self.link.send(Frame::plain(Kind::Manifest), &to_json(&manifest)?)?;
        Ok(Event::Succeeded)
    }
}
