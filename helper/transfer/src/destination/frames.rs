//! What arrives on the first stream, frame by frame, and the manifest it ends with.

use std::time::Instant;

use super::Destination;
use crate::clock::micros;
use crate::device::transitions::Stepper;
use crate::error::{FailureKind, HelperError, Result};
use crate::protocol::destination::{Event, State};
use crate::streams::link::{SOURCE, Wait};
use crate::streams::pages::{Carried, store_pages, store_zeros};
use crate::wire::abort::Abort;
use crate::wire::payload::{Layout, from_json};
use crate::wire::unexpected;
use crate::wire::{Frame, Kind};

impl Destination {
    pub(super) fn check_manifest(&self, devices: &[Stepper]) -> Result<()> {
        let Some(manifest) = &self.manifest else {
            return Err(HelperError::new("helper/bug", "no manifest to check"));
        };
        let promised = Carried { page_bytes: manifest.page_bytes, zero_bytes: manifest.zero_bytes };
        if promised != self.carried {
            return Err(HelperError::of(
                FailureKind::Wire,
                "wire/manifest",
                format!(
                    "{} bytes of pages and {} of zeros arrived, the source sent {} and {}",
                    self.carried.page_bytes, self.carried.zero_bytes, promised.page_bytes, promised.zero_bytes
                ),
            ));
        }
        let named = manifest.streams.iter().map(|stream| stream.device.as_str());
        if !named.eq(devices.iter().map(Stepper::name)) {
            return Err(HelperError::of(
                FailureKind::Wire,
                "wire/manifest",
                "the manifest's devices are not the ones that were announced",
            ));
        }
        self.loading.iter().zip(&manifest.streams).try_for_each(|(loading, stream)| loading.check(stream))
    }

    /// Takes one frame; most need no decision.
    pub(super) fn listen(&mut self, devices: &[Stepper]) -> Result<Option<Event>> {
        let receiving = self.machine.state() == State::Receiving;
        let (frame, payload) = self.link.receive(Wait::Idle)?;
        match frame.kind {
            Kind::Abort => {
                self.cause.get_or_insert(Abort::read(payload).error(SOURCE));
                return Ok(Some(Event::PeerAborted));
            }
            Kind::Commit => return Ok(Some(Event::Commit)),
            Kind::Verify if !receiving => {
                self.ask = from_json(payload)?;
                return Ok(Some(Event::Verify));
            }
            Kind::Layout if receiving && !self.introduced => {
                let differ = from_json::<Layout>(payload)?
                    .differences(&Layout::of(&self.memory, devices.iter().map(Stepper::name)));
                if !differ.is_empty() {
                    return Err(HelperError::of(
                        FailureKind::Wire,
                        "wire/layout",
                        format!("the two sides differ: {}", differ.join("; ")),
                    )
                    .suggest("both helpers must be set up from one plan"));
                }
                self.introduced = true;
                self.link.take_in(&self.memory)?;
                self.link.send(Frame::plain(Kind::Ready), &[])?;
            }
            _ if !receiving || !self.introduced => return Err(unexpected(frame, Kind::Layout)),
            Kind::Pages => self.carried.add(store_pages(&self.memory, frame.at, payload)?),
            Kind::Zeros => self.carried.add(store_zeros(&self.memory, frame.at, frame.count)?),
            Kind::State => {
                let index = usize::from(frame.index);
                let (Some(loading), Some(device)) = (self.loading.get_mut(index), devices.get(index)) else {
                    return Err(HelperError::of(
                        FailureKind::Wire,
                        "wire/unexpected-frame",
                        format!("state for device number {index}"),
                    ));
                };
                let began = Instant::now();
                loading.write(device.name(), frame.at, payload)?;
                self.intake += began.elapsed();
            }
            Kind::Gather => {
                let announced = payload.to_vec();
                self.carried.add(self.link.gather(&announced)?);
            }
            Kind::RoundEnd => {
                self.memory.must_be_untouched()?;
                let intake = micros(std::mem::take(&mut self.intake)).try_into().unwrap_or(u32::MAX);
                self.link.send(Frame { at: frame.at, count: intake, ..Frame::plain(Kind::RoundAck) }, &[])?;
            }
            Kind::Manifest => {
                self.manifest = Some(from_json(payload)?);
                self.link.close_streams()?;
                return Ok(Some(Event::Manifest));
            }
            _ => return Err(unexpected(frame, Kind::Pages)),
        }
        Ok(None)
    }
}
