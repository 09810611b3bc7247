//! What must hold at the end of any run, whatever broke; then what an owner does to end it, and what must hold then.

use std::time::Instant;

use ferry_base::message::{CutoverOutcome, ReceiveOutcome};
use ferry_vfio::device::DeviceState;

use super::plan::Faults;
use crate::fake::Seen;
use crate::ran::Ran;
use crate::rig::content;

const STOPPED: [DeviceState; 2] = [DeviceState::StopCopy, DeviceState::Stop];

/// `Err`: what does not hold.
pub fn judge(mut ran: Ran, faults: &Faults) -> Result<(), String> {
    let state = |ran: &Ran| {
        format!(
            "precopy {:?}\ncutover {:?}\nreceive {:?}\nsource {:?} destination {:?} records {:?}",
            ran.precopy.as_ref().map(|reply| reply.as_ref().err()),
            ran.cutover.as_ref().map(|reply| (reply.outcome, reply.cause.as_ref())),
            ran.receive,
            ran.source_states(),
            ran.destination_states(),
            [&ran.source_record, &ran.destination_record].map(|record| (record.committed, record.discarded)),
        )
    };
    let before = state(&ran);
    let told = |error: String, ran: &Ran| format!("{error}\nas it ended: {before}\nnow: {}", state(ran));
    honest(&ran, faults).map_err(|error| told(error, &ran))?;
    one_runner(&ran).map_err(|error| told(error, &ran))?;
    end(&mut ran, faults).map_err(|error| told(error, &ran))?;
    one_runner(&ran).map_err(|error| told(format!("after recovery: {error}"), &ran))
}

fn must(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// What is said is what is.
fn honest(ran: &Ran, faults: &Faults) -> Result<(), String> {
    let outcome = ran.cutover.as_ref().map(|reply| reply.outcome);
    let emptied = ran.source_seen.iter().any(|seen| seen.lock().unwrap().emptied);
    let running = all(&ran.source_states(), DeviceState::Running);
    match outcome {
        Some(CutoverOutcome::Running) => moved(ran),
        Some(CutoverOutcome::RolledBack) => {
            must(running && !emptied, || "rolled back, and not every device runs as it was".into())
        }
        Some(CutoverOutcome::NeedsPerson) => {
            let cause = ran.cutover.as_ref().and_then(|reply| reply.cause.as_ref());
            must(cause.is_some_and(|cause| cause.device.is_some()), || "a person is needed, for no device".into())?;
            must(!faults.devices[0].is_empty() || !faults.meddled.is_empty(), || "no device was broken".into())
        }
        Some(CutoverOutcome::Unknown) => {
            must(ran.source_states().iter().all(|state| *state == DeviceState::StopCopy), || {
                "the outcome is not known, and the source does not stand still".into()
            })
        }
        None => Ok(()),
    }?;
    // Whatever it is, without a fault it is done.
    must(faults.any || outcome == Some(CutoverOutcome::Running), || "no fault, and not moved".into())?;
    must(!ran.destination_ever_ran() || ran.source_record.committed, || "it ran without the source's COMMIT".into())
}

fn moved(ran: &Ran) -> Result<(), String> {
    must(matches!(ran.receive.as_ref().map(|reply| reply.outcome), Ok(ReceiveOutcome::Running)), || {
        "said to run, and the destination does not say so".into()
    })?;
    must(all(&ran.destination_states(), DeviceState::Running), || "said to run, and does not".into())?;
    whole(ran)
}

/// Everything that was on the source is on the destination, which has it alone.
fn whole(ran: &Ran) -> Result<(), String> {
    must(ran.source_states().iter().all(|state| STOPPED.contains(state)), || "the source is not stopped".into())?;
    must(content(&ran.here) == content(&ran.there), || "the memories differ".into())?;
    must(ran.source_record.committed && ran.destination_record.committed, || "it runs without both COMMITs".into())?;
    for (n, (script, seen)) in ran.contents.iter().zip(&ran.destination_seen).enumerate() {
        must(seen.lock().unwrap().loaded == *script, || format!("dev{n} has another state than it had"))?;
    }
    Ok(())
}

/// At no instant a device runs on both sides. A destination's device runs once SET sends it there: that it is RUNNING
/// when it is opened, and after a reset, is nobody's workload.
fn one_runner(ran: &Ran) -> Result<(), String> {
    for (n, (source, destination)) in ran.source_seen.iter().zip(&ran.destination_seen).enumerate() {
        let [source, destination] = [source, destination].map(|seen| seen.lock().unwrap());
        let Some(first) = first_run(&destination) else { continue };
        let last_stop = source.came_to.iter().rev().find(|(_, state)| !running(*state));
        let stopped = !running(source.state) && last_stop.is_some_and(|(when, _)| *when <= first);
        let later = source.came_to.iter().any(|(when, state)| *when >= first && running(*state));
        must(stopped && !later, || format!("dev{n} ran on both sides"))?;
    }
    Ok(())
}

fn first_run(seen: &Seen) -> Option<Instant> {
    // Before its first load it is RUNNING because it was opened, and a reset is not a SET.
    let loaded = seen.came_to.iter().position(|(_, state)| *state == DeviceState::Resuming)?;
    if !seen.ever_ran() {
        return None;
    }
    seen.came_to.iter().skip(loaded).find(|(_, state)| running(*state)).map(|(when, _)| *when)
}

fn running(state: DeviceState) -> bool {
    matches!(state, DeviceState::Running | DeviceState::RunningP2p | DeviceState::PreCopy | DeviceState::PreCopyP2p)
}

fn all(states: &[DeviceState], state: DeviceState) -> bool {
    states.iter().all(|it| *it == state)
}

/// What `recover` does once disks and links are mended, and what must have come of it.
fn end(ran: &mut Ran, faults: &Faults) -> Result<(), String> {
    use CutoverOutcome::Unknown;
    let in_doubt = ran.cutover.as_ref().is_some_and(|reply| reply.outcome == Unknown);
    for record in [&mut ran.source_record, &mut ran.destination_record] {
        (record.fault, record.discard_fails) = Default::default();
    }
    let mut dropped = true;
    if ran.destination.is_some() {
        // A destination that waits is told to run where its source committed, and dropped where it did not.
        if in_doubt && ran.source_record.committed {
            let finished = ran.finish_destination().map(|reply| reply.outcome);
            if let Ok(ReceiveOutcome::Running) = finished {
                must(all(&ran.destination_states(), DeviceState::Running), || "finished, and does not run".into())?;
                return whole(ran);
            }
            if ran.destination_record.committed {
                // A device did not come up: named, and nobody else may run.
                must(!faults.devices[1].is_empty(), || format!("no device was broken, and {finished:?}"))?;
                must(finished.is_err_and(|error| error.device.is_some()), || "no device is named".into())?;
                return must(all(&ran.source_states(), DeviceState::StopCopy), || "the source runs as well".into());
            }
        }
        if ran.destination_ever_ran() {
            return must(in_doubt || ran.cutover.as_ref().is_some(), || "it ran unasked".into());
        }
        dropped = ran.roll_back_destination().is_ok();
        must(dropped, || "a destination without COMMIT cannot be dropped".into())?;
    }
    if ran.source.is_none() {
        return must(all(&ran.source_states(), DeviceState::Running) || !faults.meddled.is_empty(), || {
            "never connected, and the source does not run".into()
        });
    }
    let reply = ran.roll_back_source(dropped).map_err(|error| format!("the source cannot go back: {error}"))?;
    for (n, (seen, at)) in ran.source_seen.iter().zip(&reply.devices).enumerate() {
        let seen = seen.lock().unwrap();
        must(seen.state == at.state, || format!("dev{n} is in {}, not {}", seen.state, at.state))?;
        let well = seen.state == DeviceState::Running && !seen.emptied;
        let named = reply.needs_person.iter().any(|error| error.device.as_deref() == Some(&format!("dev{n}")));
        must(well || named, || format!("dev{n} did not come back, and nobody is told"))?;
        let broken = faults.devices[0].contains(&n) || faults.meddled.contains(&n);
        must(well || broken, || format!("dev{n} was not broken, and did not come back"))?;
    }
    must(!ran.destination_ever_ran(), || "the source runs, and the destination ran".into())
}
