//! Pre-copy: rounds over what is dirty while the devices run, until what is left fits the blackout or a bound is met.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::micros;
use crate::device::DeviceState;
use crate::device::transitions::Stepper;
use crate::dirty::DirtyBitmap;
use crate::error::Result;
use crate::message::num::Bytes;
use crate::message::{BlackoutForecast, Event, PrecopyEnd, PrecopyParams, PrecopyReply, TrackerRound};
use crate::source::hold::{After, Holding, Next};
use crate::source::pace::Pace;
use crate::source::saving::estimate;
use crate::source::{Expects, Outlook, Source, Workload};
use crate::streams::pages::Carried;

const PROGRESS: Duration = Duration::from_millis(100);
/// Between two looks at a device whose initial pre-copy data is not out yet.
const INITIAL_PAUSE: Duration = Duration::from_millis(5);
/// Of a hold's rounds.
const NO_BOUND: Duration = Duration::from_secs(24 * 60 * 60);

/// Between two rounds of a run that waits for an owner.
const WITHOUT_OWNER: Duration = Duration::from_secs(1);

/// What one round came to.
struct Round {
    carried: Carried,
    state_bytes: u64,
    elapsed: Duration,
}

fn reply(
    reason: PrecopyEnd,
    rounds: u32,
    sent: u64,
    dirty_bytes: u64,
    state_bytes: u64,
    bytes_per_second: u64,
    forecast: BlackoutForecast,
) -> PrecopyReply {
    PrecopyReply {
        reason,
        rounds,
        bytes: Bytes(sent),
        remaining_bytes: Bytes(dirty_bytes.saturating_add(state_bytes)),
        bytes_per_second: Bytes(bytes_per_second),
        estimated_blackout_us: forecast.expected_us,
        forecast,
    }
}

impl Source {
    /// Runs rounds until the blackout fits the limit, or `maxRounds` or `maxTimeMs` is reached; held, until the owner
    /// lets it go. The first round of a connection sends everything. May be called again: it goes on from what is dirty
    /// then.
    ///
    /// # Errors
    /// Any failure or cancel; every device is back in RUNNING then (or [`Self::rollback`] names it), and the
    /// destination was told.
    pub fn precopy(&mut self, mut workload: Workload<'_>, params: &PrecopyParams) -> Result<PrecopyReply> {
        self.must_be_ready("pre-copy")?;
        match self.rounds(&mut workload, params) {
            Ok(reply) => Ok(reply),
            Err(cause) => Err(self.give_up(workload.devices, cause)),
        }
    }

    fn rounds(&mut self, workload: &mut Workload<'_>, params: &PrecopyParams) -> Result<PrecopyReply> {
        let began = Instant::now();
        let longest = Duration::from_millis(params.max_time_ms);
        let mut holding = params.hold.map(Holding::new);
        // The time bound ends no hold, so it cuts no round of one short.
        let until = if holding.is_some() { None } else { began.checked_add(longest) };
        let expects = Expects { fixed_us: params.fixed_blackout_us, hooks_us: params.hooks_us, verify: params.verify };
        self.link.set_patience(self.patience(None))?;
        self.introduce(workload.devices)?;
        self.memory.must_be_whole()?;
        self.must_be_as_left(workload.devices)?;
        self.enter_precopy(workload.devices)?;
        // What the trackers saw before the first round is in it anyway: everything is.
        let mut read = self.read(workload.union)?;
        let (mut done, mut sent) = (0u32, 0);
        let owner = self.steer.owners();
        loop {
            done = done.saturating_add(1);
            self.rounds += 1;
            let told = self.steer.told();
            let round_began = Instant::now();
            let dirty_before = self.pending.dirty_bytes();
            // Without an owner the bounds say nothing, as in a hold: what is written must not pile up until one comes.
            let waits = self.steer.waits_for_owner();
            let until = if waits { None } else { until };
            let round = self.round(workload.devices, params, read.trackers, until)?;
            self.memory.must_be_whole()?;
            sent += round.carried.page_bytes + round.state_bytes;
            read = self.read(workload.union)?;
            let limit = self.steer.downtime_limit(Duration::from_millis(params.downtime_limit_ms));
            let limit_us = micros(limit);
            let mut outlook = self.outlook(workload.devices, expects);
            if outlook.forecast.expected_us <= limit_us {
                // Only the devices' initial data may still stand in the way.
                let until = holding.as_ref().map_or(until, |holding| round_began.checked_add(holding.interval()));
                sent += self.await_initial(workload.devices, until)?;
                outlook = self.outlook(workload.devices, expects);
            }
            let Outlook { dirty_bytes, state_bytes, forecast } = outlook;
            self.dirt.push(dirty_bytes);
            self.events.emit(Event::RoundEnd {
                round: self.rounds,
                sent_bytes: Bytes(round.carried.page_bytes),
                zero_pages: round.carried.zero_bytes / self.memory.page_size(),
                elapsed_us: micros(round.elapsed),
                dirty_pages: self.pending.count(),
                dirty_bytes: Bytes(dirty_bytes),
                bytes_per_second: Bytes(self.rate.bytes_per_second()),
                estimated_blackout_us: forecast.expected_us,
                forecast,
                trackers: read.trackers.clone(),
                union_pages: read.pages,
            });
            let ended = if forecast.expected_us <= limit_us && self.initial_bytes() == 0 {
                Some(PrecopyEnd::Converged)
            } else if began.elapsed() >= longest {
                Some(PrecopyEnd::Time)
            } else if done >= params.max_rounds {
                Some(PrecopyEnd::Rounds)
            } else {
                None
            };
            if self.steer.owners() != owner {
                let rate = self.rate.bytes_per_second();
                return Ok(reply(PrecopyEnd::Released, done, sent, dirty_bytes, state_bytes, rate, forecast));
            }
            if self.steer.waits_for_owner() {
                self.rest(told, WITHOUT_OWNER)?;
                read = self.read(workload.union)?;
                continue;
            }
            let reason = match (&mut holding, ended) {
                (None, None) => continue,
                (None, Some(reason)) => reason,
                (Some(holding), ended) => {
                    let next = holding.next(After {
                        released: self.steer.is_released(),
                        converged: ended == Some(PrecopyEnd::Converged),
                        bounded: ended.is_some(),
                        took: round_began.elapsed(),
                        left: Duration::from_micros(forecast.parts.pages_us),
                        futile: dirty_bytes >= dirty_before - dirty_before / 8,
                    });
                    match next {
                        Next::Round => continue,
                        Next::Rest(at_most) => {
                            self.rest(told, at_most)?;
                            read = self.read(workload.union)?;
                            continue;
                        }
                        Next::Released => {
                            self.steer.take_release();
                            PrecopyEnd::Released
                        }
                    }
                }
            };
            let rate = self.rate.bytes_per_second();
            return Ok(reply(reason, done, sent, dirty_bytes, state_bytes, rate, forecast));
        }
    }

    /// Devices that offer pre-copy enter it before the first page leaves.
    fn enter_precopy(&mut self, devices: &mut [Stepper]) -> Result<()> {
        for (saving, device) in self.saving.iter_mut().zip(devices) {
            if device.flags().pre_copy && !saving.is_open() {
                saving.enter(device.set(DeviceState::PreCopy)?);
            }
        }
        Ok(())
    }

    /// One round: what is dirty now, then each device's pre-copy data, then the destination's word that it has it.
    fn round(
        &mut self,
        devices: &mut [Stepper],
        params: &PrecopyParams,
        trackers: Vec<TrackerRound>,
        until: Option<Instant>,
    ) -> Result<Round> {
        let clean = DirtyBitmap::new(self.memory.page_size(), &self.memory.areas());
        let dirty = std::mem::replace(&mut self.pending, clean);
        let round_bytes = dirty.dirty_bytes();
        let number = self.rounds;
        self.events.emit(Event::RoundStart {
            round: number,
            pages: dirty.count(),
            bytes: Bytes(round_bytes),
            trackers,
        });

        if let Some(streams) = self.steer.streams() {
            self.link.set_use(streams);
        }
        let steer = Arc::clone(&self.steer);
        let mut pace = Pace::new(params.bandwidth.map(|cap| cap.0), &steer);
        let told = Cell::new(Instant::now());
        let events = Arc::clone(&self.events);
        let (carried, stopped_at) = self.send_dirty(&dirty, &mut |link, carried| {
            pace.hold(carried.page_bytes, link.patience())?;
            if told.get().elapsed() >= PROGRESS {
                told.set(Instant::now());
                let seconds = pace.elapsed().as_secs_f64().max(1e-6);
                events.emit(Event::Progress {
                    round: number,
                    sent_bytes: Bytes(carried.covered()),
                    round_bytes: Bytes(round_bytes),
                    bytes_per_second: Bytes((carried.page_bytes as f64 / seconds) as u64),
                });
                link.patience().check()?;
            }
            Ok(until.is_none_or(|until| Instant::now() < until))
        })?;
        self.carried.add(carried);
        if let Some(from) = stopped_at {
            // The time is up: what was not sent is still to be sent.
            for run in dirty.runs(u64::MAX).filter(|run| run.end() > from) {
                let start = run.iova.max(from);
                self.pending.set_range(start, run.end() - start);
            }
        }
        let state_bytes = self.precopy_states(devices, until)?;
        self.end_round()?;
        self.rate.measure(carried.page_bytes + state_bytes, pace.busy(), self.link.round_trip());
        Ok(Round { carried, state_bytes, elapsed: pace.elapsed() })
    }

    fn precopy_states(&mut self, devices: &mut [Stepper], until: Option<Instant>) -> Result<u64> {
        let mut sent = 0;
        let until = until.unwrap_or_else(|| Instant::now() + NO_BOUND);
        for (saving, device) in self.saving.iter_mut().zip(devices).filter(|(saving, _)| saving.is_open()) {
            let share = estimate(device).unwrap_or(0);
            sent += saving.precopy(&mut self.link, share, until).map_err(|error| error.device(device.name()))?;
            let info = saving.info();
            self.events.emit(Event::DevicePrecopy {
                device: device.name().to_owned(),
                bytes: Bytes(saving.bytes()),
                initial_bytes: Bytes(info.initial_bytes),
                dirty_bytes: Bytes(info.dirty_bytes),
            });
        }
        self.state_on_way += sent;
        Ok(sent)
    }

    fn initial_bytes(&self) -> u64 {
        self.saving.iter().map(|saving| saving.info().initial_bytes).fold(0, u64::saturating_add)
    }

    /// Takes pre-copy data until no device has initial data left: leaving PRE_COPY before that would move it into the
    /// blackout. Pages do not wait for this, they are read again in the cutover.
    fn await_initial(&mut self, devices: &mut [Stepper], until: Option<Instant>) -> Result<u64> {
        let mut sent = 0;
        while self.initial_bytes() > 0 && until.is_none_or(|until| Instant::now() < until) {
            self.link.patience().check()?;
            std::thread::sleep(INITIAL_PAUSE);
            sent += self.precopy_states(devices, until)?;
            self.link.flush()?;
        }
        Ok(sent)
    }
}
