//! track, dirty, untrack: the trackers of the run and their union.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::Shared;
use super::{Session, cancelled, out_of_order};
use crate::dirty::all::AllTracker;
use crate::dirty::process::{ProcessTracker, StoppedList};
use crate::dirty::union::Union;
use crate::dirty::{Tracker, TrackerKind};
use crate::error::{FailureKind, HelperError, Result};
use crate::message::num::Bytes;
use crate::message::{DirtyReply, Event, EventSink, Phase, StartedTracker, TrackParams, TrackReply, TrackerSpec};
use crate::transfer::confine::{Duty, confine_run};

/// How long trackers may take while no run is under way that has a limit of its own.
const ANSWER: Duration = Duration::from_secs(60);

impl Session {
    /// Starts all trackers or none.
    pub fn track(&mut self, params: &TrackParams) -> Result<TrackReply> {
        let memory = self.memory()?;
        self.not_cancelled()?;
        self.asked_for_all()?;
        if self.union.is_some() {
            return Err(HelperError::new("request/duplicate", "the trackers are on"));
        }
        if params.trackers.is_empty() {
            return Err(HelperError::new("request/bad-params", "no tracker: no writes of the devices would be seen"));
        }
        self.must_cover(params)?;
        let trackers = params.trackers.iter().map(|spec| self.tracker(spec)).collect::<Result<Vec<_>>>()?;
        let folder = Some(self.claimed()?.record_dir.clone());
        // Each may do what the thread may that hears the peer, and no more.
        let confine = Arc::new(move |kind| {
            confine_run(&Duty { connects: false, writers: kind == TrackerKind::Process, folder: folder.clone() })
        }) as _;
        let mut union = Union::new(memory.page_size(), memory.areas(), trackers, &confine)?;
        union.start(&mut patient(&self.shared))?;
        let started = union
            .started()
            .map(|(tracker, page_size)| StartedTracker { tracker: tracker.to_owned(), page_size })
            .collect();
        for spec in params.trackers.iter().filter(|spec| spec.kind == TrackerKind::Process) {
            let names = union.writers();
            let found = if names.is_empty() { "no process yet".to_owned() } else { names.join(", ") };
            let message = format!("{} tracks what maps the memory: {found}", spec.tracker);
            self.shared.emit(Event::Log { level: "info", message, device: None });
        }
        let bitmap_bytes = Bytes(union.bitmap().storage_bytes());
        self.union = Some(union);
        self.shared.set_phase(Phase::Tracking);
        Ok(TrackReply { trackers: started, bitmap_bytes })
    }

    /// Every device's writes are seen by a tracker: its own, its container's, or the one that calls every page dirty.
    ///
    /// # Errors
    /// `tracker/uncovered` naming all that are not.
    fn must_cover(&self, params: &TrackParams) -> Result<()> {
        let covers = |spec: &TrackerSpec, device: &str, container: &str| match spec.kind {
            TrackerKind::All => true,
            TrackerKind::Device => spec.device.as_deref() == Some(device),
            TrackerKind::Process => false,
            TrackerKind::Pinned | TrackerKind::Iommu => spec.container.as_deref() == Some(container),
        };
        let uncovered: Vec<_> = self
            .devices
            .iter()
            .zip(&self.attached)
            .filter(|(device, at)| !params.trackers.iter().any(|spec| covers(spec, device.name(), &at.container)))
            .map(|(device, _)| device.name())
            .collect();
        if uncovered.is_empty() {
            return Ok(());
        }
        let message = format!("no tracker sees what these devices write: {}", uncovered.join(", "));
        Err(HelperError::new("tracker/uncovered", message).suggest("name a tracker for each device, or `all`"))
    }

    fn tracker(&mut self, spec: &TrackerSpec) -> Result<Box<dyn Tracker>> {
        let memory = self.memory()?;
        let missing = |what: &str| {
            HelperError::new("request/bad-params", format!("tracker `{}` does not say which {what}", spec.tracker))
        };
        match spec.kind {
            TrackerKind::Device => {
                let name = spec.device.as_deref().ok_or_else(|| missing("device"))?;
                let device = self.devices.iter_mut().find(|device| device.name() == name).ok_or_else(|| {
                    HelperError::new("request/unknown-device", format!("no device `{name}` in this run"))
                })?;
                device.device().dma_log(&spec.tracker, &memory)
            }
            TrackerKind::Pinned | TrackerKind::Iommu => {
                let name = spec.container.as_deref().ok_or_else(|| missing("container"))?;
                self.container(name)?.backend.tracker(&spec.tracker, spec.kind, &memory)
            }
            TrackerKind::Process => {
                let claimed = self.claimed()?;
                let list = StoppedList::of_run(&claimed.record_dir, &claimed.run);
                Ok(Box::new(ProcessTracker::new(&spec.tracker, &memory, spec.process, Some(list))?))
            }
            TrackerKind::All => Ok(Box::new(AllTracker::new(&spec.tracker, memory.page_size()))),
        }
    }

    /// One round without sending anything.
    pub fn dirty(&mut self) -> Result<DirtyReply> {
        self.not_cancelled()?;
        let union = self.union.as_mut().ok_or_else(|| out_of_order("track"))?;
        let began = Instant::now();
        let mut bitmap = union.bitmap();
        let read = union.read(&mut bitmap, &mut patient(&self.shared))?;
        Ok(DirtyReply {
            elapsed_us: began.elapsed().as_micros() as u64,
            trackers: read.trackers,
            union_pages: bitmap.count(),
            union_bytes: Bytes(bitmap.dirty_bytes()),
        })
    }

    /// Repeating it is safe.
    pub fn untrack(&mut self) -> Result<()> {
        match self.union.take() {
            Some(mut union) => union.stop(),
            None => Ok(()),
        }
    }
}

/// Until a cancel, and for [`ANSWER`] at most.
fn patient(shared: &Arc<Shared>) -> impl FnMut() -> Result<()> + use<> {
    let (shared, until) = (Arc::clone(shared), Instant::now() + ANSWER);
    move || {
        if shared.is_cancelled() {
            return Err(cancelled());
        }
        if Instant::now() < until {
            return Ok(());
        }
        let message = format!("{} s were waited for it", ANSWER.as_secs());
        Err(HelperError::of(FailureKind::Deadline, "tracker/no-answer", message))
    }
}
