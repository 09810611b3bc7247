//! The cutover on the source: carries out what the machine asks for, on the clock of the blackout.

use std::time::{Duration, Instant};

use crate::commit_record::CommitRecord;
use crate::device::DeviceState;
use crate::device::transitions::{Stepper, quiesced};
use crate::dirty::union::Read;
use crate::error::{FailureKind, HelperError, Result};
use crate::message::num::Bytes;
use crate::message::{
    BlackoutForecast, CutoverOutcome, CutoverParams, CutoverPause, CutoverReply, Event as Notice, MovedDevice,
};
use crate::protocol::source::{Action, Event, State};
use crate::source::asking::patient;
use crate::source::blackout::{Blackout, part_of, told};
use crate::source::{Expects, Outlook, Source, Workload, states};
use crate::streams::link::{Patience, Wait};
use crate::verify::compare;
use crate::wire::payload::{LoadTime, from_json};
use crate::wire::{Frame, Kind};

/// A look at the trackers of stopped devices may take this part of the downtime limit while nothing else goes on.
const CHEAP_LOOK: u32 = 100;

impl Source {
    /// Stops the devices, sends the rest, and hands the run over; or undoes all of it.
    ///
    /// Not started when the estimate passes the limit. Undone when the limit is reached on the way, by a cancel, and
    /// by any failure, until the COMMIT record is written. The outcome says where the run is; its cause says why it
    /// is not on the destination.
    ///
    /// # Errors
    /// `protocol/phase` when this attempt was cut over or rolled back before; nothing was touched.
    pub fn cutover(
        &mut self,
        mut workload: Workload<'_>,
        params: &CutoverParams,
        record: &mut dyn CommitRecord,
    ) -> Result<CutoverReply> {
        self.must_be_ready("cutover")?;
        let mut blackout = Blackout::new(params);
        let first = match self.may_begin(&mut workload, params, record) {
            Ok((read, forecast)) => {
                blackout.reads.push(told(read, false));
                blackout.forecast = Some(forecast);
                Event::Begin { verify: params.verify }
            }
            Err(cause) => {
                blackout.cause = Some(cause);
                Event::Failed
            }
        };
        let mut next = self.machine.on(first);
        while let Some(action) = next {
            blackout.show(self.events.as_ref(), part_of(action));
            let event = match self.carry_out(action, &mut workload, &mut blackout, record) {
                Ok(event) => event,
                Err(error) => {
                    blackout.cause.get_or_insert(error);
                    match self.link.peer_abort() {
                        Some(abort) if self.machine.heeds_abort() => Event::PeerAborted { discarded: abort.discarded },
                        _ => Event::Failed,
                    }
                }
            };
            next = self.machine.on(event);
        }
        blackout.show(self.events.as_ref(), None);
        Ok(self.reply(blackout, workload.devices))
    }

    /// Everything that can be found out before a device leaves RUNNING. Returns what the trackers said then, and what
    /// the blackout should take.
    fn may_begin(
        &mut self,
        workload: &mut Workload<'_>,
        params: &CutoverParams,
        record: &mut dyn CommitRecord,
    ) -> Result<(Read, BlackoutForecast)> {
        self.link.set_patience(self.patience(None))?;
        self.link.patience().check()?;
        self.introduce(workload.devices)?;
        self.must_be_as_left(workload.devices)?;
        let without: Vec<_> = workload
            .devices
            .iter()
            .filter(|device| !device.flags().p2p)
            .map(|device| device.name().to_owned())
            .collect();
        if workload.devices.len() > 1 && !without.is_empty() {
            return Err(HelperError::new(
                "device/p2p",
                format!("{} cannot be stopped together with other devices: no P2P state", without.join(", ")),
            )
            .suggest("move it in a run of its own"));
        }
        self.memory.must_be_whole()?;
        record.prepare()?;
        let read = self.read(workload.union)?;
        let expects = Expects { fixed_us: params.fixed_blackout_us, hooks_us: params.hooks_us, verify: params.verify };
        let Outlook { dirty_bytes, state_bytes, forecast } = self.outlook(workload.devices, expects);
        if Duration::from_micros(forecast.expected_us) > Duration::from_millis(params.downtime_limit_ms) {
            let parts = forecast.parts;
            return Err(HelperError::of(
                FailureKind::Deadline, "limit/downtime",
                format!(
                    "the blackout would take about {} ms, the limit is {} ms: {dirty_bytes} dirty and {state_bytes} \
                     state bytes at {} bytes/s, {} ms for transitions, {} ms for loading, {} ms for verification, {} ms \
                     for hooks",
                    forecast.expected_us / 1000,
                    params.downtime_limit_ms,
                    self.rate.bytes_per_second(),
                    parts.fixed_us / 1000,
                    parts.load_us / 1000,
                    parts.verify_us / 1000,
                    parts.hooks_us / 1000,
                ),
            )
            .suggest("let pre-copy go on longer, slow the writer down, or allow a longer blackout"));
        }
        Ok((read, forecast))
    }

    fn carry_out(
        &mut self,
        action: Action,
        workload: &mut Workload<'_>,
        blackout: &mut Blackout<'_>,
        record: &mut dyn CommitRecord,
    ) -> Result<Event> {
        match action {
            Action::Quiesce => {
                let began = Instant::now();
                blackout.began = Some(began);
                let deadline = began + Duration::from_millis(blackout.params.downtime_limit_ms);
                self.link.set_patience(self.patience(Some(deadline)))?;
                self.quiesce(workload.devices)?;
                self.pause(CutoverPause::PostQuiesce, blackout)?;
                Ok(Event::Succeeded)
            }
            Action::StopCopy => {
                self.stop_copy(workload.devices)?;
                self.pause(CutoverPause::PostStop, blackout)?;
                Ok(Event::Succeeded)
            }
            Action::FinalRead => {
                // Behind the hooks, which may have a word with these processes; before the read, for which they stand.
                let began = blackout.began.unwrap_or_else(Instant::now);
                let until = began + Duration::from_millis(blackout.params.downtime_limit_ms);
                workload.union.stop_writers(until, &mut patient(self.link.patience()))?;
                blackout.reads.push(told(self.read(workload.union)?, true));
                Ok(Event::Succeeded)
            }
            Action::SendPages => self.last_pages(blackout),
            Action::SendStates => self.send_states(workload.devices, blackout.params.max_state.map(|most| most.0)),
            Action::SendManifest => {
                self.memory.must_be_whole()?;
                self.send_manifest(workload.devices)
            }
            Action::AwaitPrepared => {
                // The destination loads meanwhile, so the first look costs the blackout little.
                let began = Instant::now();
                workload.union.devices_stopped(&mut patient(self.link.patience()))?;
                let took = began.elapsed();
                // Loading takes what it takes: only the deadline bounds it, and a dead peer is noticed by TCP.
                let (_, payload) = self.link.expect(Kind::Prepared, Wait::Idle)?;
                blackout.split.load_us = from_json::<LoadTime>(payload)?.elapsed_us;
                // The second finds slow writers too. Nothing goes on beside it, so it is made only where it is cheap.
                if took <= Duration::from_millis(blackout.params.downtime_limit_ms) / CHEAP_LOOK {
                    workload.union.devices_stopped(&mut patient(self.link.patience()))?;
                }
                Ok(Event::Prepared)
            }
            Action::Verify => {
                let verified = compare(&mut self.link, &self.memory)?;
                self.memory.must_be_untouched()?;
                let first: Vec<_> = verified.mismatches.iter().map(|iova| format!("{:#x}", iova.0)).collect();
                blackout.verified = Some(verified);
                if first.is_empty() {
                    return Ok(Event::Succeeded);
                }
                Err(HelperError::new(
                    "verify/mismatch",
                    format!("the two memories differ, first at {}", first.join(", ")),
                )
                .suggest("a tracker missed a write: report the plan's trackers and this list"))
            }
            Action::CheckCeiling => {
                // The last thing before the last look: what the hook leaves of the limit is what counts.
                self.pause(CutoverPause::PreResume, blackout)?;
                for device in workload.devices.iter_mut() {
                    device.must_be(DeviceState::StopCopy)?;
                }
                workload.union.writers_stopped(&mut patient(self.link.patience()))?;
                self.memory.must_be_whole()?;
                self.check_ceiling(blackout).map(|()| Event::Succeeded)
            }
            Action::RecordCommit => {
                // Before it is recorded: a failure here must not look like one of the record.
                self.link.set_patience(Patience {
                    cancel: None,
                    deadline: None,
                    silence: self.silence + Duration::from_millis(blackout.params.downtime_limit_ms),
                })?;
                match record.commit() {
                    Ok(()) => Ok(Event::Succeeded),
                    Err(failure) => {
                        blackout.cause.get_or_insert(failure.error);
                        Ok(if failure.doubtful { Event::Doubtful } else { Event::Failed })
                    }
                }
            }
            Action::SendCommit => self.link.send(Frame::plain(Kind::Commit), &[]).map(|()| Event::Succeeded),
            Action::AwaitRunning => self.link.expect(Kind::Running, Wait::Due).map(|_| Event::Running),
            Action::VoidRecord => record.discard().map(|()| Event::Succeeded),
            Action::AskDiscard => {
                let cause = blackout.cause.clone().unwrap_or_else(unnamed);
                self.link.abort(&cause, false);
                self.link.set_patience(Patience { cancel: None, deadline: None, silence: self.silence })?;
                self.link.expect(Kind::Abort, Wait::Due).map(|_| Event::Failed)
            }
            Action::Undo => {
                let cause = blackout.cause.clone().unwrap_or_else(unnamed);
                let undone = self.undo(workload.devices, &cause);
                // Behind the devices, which they use.
                Ok(match workload.union.wake_writers() {
                    Ok(()) => undone,
                    Err(error) => {
                        self.needs_person.push(error);
                        Event::Failed
                    }
                })
            }
        }
    }

    fn quiesce(&mut self, devices: &mut [Stepper]) -> Result<()> {
        for device in devices {
            let from = device.state()?;
            if !matches!(from, DeviceState::Running | DeviceState::PreCopy) {
                device.must_be(DeviceState::Running)?;
            }
            if let Some(target) = quiesced(device.flags(), from) {
                device.set(target)?;
            }
            self.link.patience().check()?;
        }
        Ok(())
    }

    fn stop_copy(&mut self, devices: &mut [Stepper]) -> Result<()> {
        for (saving, device) in self.saving.iter_mut().zip(devices) {
            saving.enter(device.set(DeviceState::StopCopy)?);
            if !saving.is_open() {
                return Err(HelperError::new(
                    "device/stream-lost",
                    "it was in STOP_COPY already: its state stream belongs to the process that put it there",
                )
                .device(device.name())
                .state(DeviceState::StopCopy));
            }
            self.link.patience().check()?;
        }
        Ok(())
    }

    /// The last look before the point of no return: what follows must still fit. Of the time the plan expects for
    /// transitions, what was not used yet is kept for the destination's resume, and at least a quarter of it.
    fn check_ceiling(&self, blackout: &Blackout<'_>) -> Result<()> {
        self.link.patience().check()?;
        let fixed = blackout.params.fixed_blackout_us;
        let spent = blackout.split.quiesce_us.saturating_add(blackout.split.load_us);
        let resume = Duration::from_micros(fixed.saturating_sub(spent).max(fixed / 4)) + self.link.round_trip();
        let elapsed = blackout.began.map_or(Duration::ZERO, |began| began.elapsed());
        let limit = Duration::from_millis(blackout.params.downtime_limit_ms);
        if elapsed + resume <= limit {
            return Ok(());
        }
        Err(HelperError::of(
            FailureKind::Deadline,
            "limit/downtime",
            format!(
                "{} ms of the {} ms are gone and resuming may take {} ms more",
                elapsed.as_millis(),
                limit.as_millis(),
                resume.as_millis()
            ),
        )
        .suggest("let pre-copy go on longer, or allow a longer blackout"))
    }

    fn reply(&mut self, blackout: Blackout<'_>, devices: &mut [Stepper]) -> CutoverReply {
        let outcome = match self.machine.state() {
            State::Done => CutoverOutcome::Running,
            State::RolledBack => CutoverOutcome::RolledBack,
            State::NeedsPerson => CutoverOutcome::NeedsPerson,
            _ => CutoverOutcome::Unknown,
        };
        for error in &self.needs_person {
            self.events.emit(Notice::Log { level: "error", message: error.to_string(), device: error.device.clone() });
        }
        let mut cause = blackout.cause;
        if outcome == CutoverOutcome::NeedsPerson {
            // The device that is stuck matters more than what made us turn back, which is not lost for that.
            let began = cause.clone();
            cause = self.needs_person.first().cloned().or(cause);
            if let (Some(stuck), Some(began)) = (&mut cause, began.filter(|_| !self.needs_person.is_empty())) {
                stuck.message = format!("{}; it began with [{}] {began}", stuck.message, began.code);
            }
        }
        let mut split = blackout.split;
        split.total_us = blackout.began.map_or(0, |_| split.total_us);
        let at = states(devices);
        let moved = at.into_iter().enumerate().map(|(index, at)| {
            let sum = self.saving.get(index).map(|saving| saving.sum(&at.device));
            MovedDevice {
                device: at.device,
                state: at.state,
                state_bytes: Bytes(sum.as_ref().map_or(0, |sum| sum.bytes)),
                state_hash: sum.map_or_else(String::new, |sum| sum.hash),
            }
        });
        CutoverReply {
            outcome,
            cause: if outcome == CutoverOutcome::Running { None } else { cause },
            blackout: split,
            forecast: blackout.forecast,
            last_pages: blackout.last_pages,
            last_bytes: Bytes(blackout.last_bytes),
            reads: blackout.reads,
            devices: moved.collect(),
            verified: blackout.verified,
        }
    }
}

fn unnamed() -> HelperError {
    HelperError::new("helper/bug", "the cutover was undone without a cause")
}
