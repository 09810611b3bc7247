//! One run as its seed says: a workload, its limits, and up to two faults.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ferry_vfio::device::{DeviceState, MigrationFlags};

use super::seed::Chance;
use crate::fake::{FakeRecord, RecordFault, Script};
use crate::network::Fault;
use crate::proxy::{Meddler, Meddling, Way};
use crate::rig::{PAGE, Rig};

const SOURCE_ARCS: [DeviceState; 6] = [
    DeviceState::PreCopy,
    DeviceState::PreCopyP2p,
    DeviceState::RunningP2p,
    DeviceState::StopCopy,
    DeviceState::Stop,
    DeviceState::Running,
];
const DESTINATION_ARCS: [DeviceState; 4] =
    [DeviceState::Resuming, DeviceState::Stop, DeviceState::RunningP2p, DeviceState::Running];
const ERRNOS: [i32; 4] = [libc::EFAULT, libc::ENOMEM, libc::EINVAL, libc::EIO];

/// What is broken, for the judge and for whoever reads a failure.
#[derive(Default, Debug)]
pub struct Faults {
    pub words: Vec<String>,
    /// Devices whose transitions fail, by side: such a device may need a person.
    pub devices: [Vec<usize>; 2],
    /// Devices that were somewhere else than in RUNNING when the run began.
    pub meddled: Vec<usize>,
    /// Whether the run could have ended with the workload moved in spite of it all; false: it is nobody's business.
    pub any: bool,
}

impl Display for Faults {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.words.is_empty() { to.write_str("no fault") } else { to.write_str(&self.words.join("; ")) }
    }
}

/// The rig of this seed.
pub fn plan(seed: u64) -> (Rig, Faults) {
    let chance = &mut Chance::new(seed);
    let mut rig = workload(chance);
    let mut faults = Faults::default();
    for _ in 0..chance.of(&[0, 1, 1, 1, 2, 2, 2, 2]) {
        let (rigged, word) = fault(chance, rig, &mut faults);
        rig = rigged;
        faults.words.push(word);
        faults.any = true;
    }
    (rig, faults)
}

fn workload(chance: &mut Chance) -> Rig {
    let mut rig = Rig::new();
    rig.areas = vec![(0, PAGE * chance.within(1..65)), (0x1000_0000, PAGE * chance.within(1..17))];
    if chance.one_in(3) {
        rig.areas.pop();
    }
    let areas = rig.areas.clone();
    let page = |chance: &mut Chance| {
        let (at, bytes) = chance.of(&areas);
        at + PAGE * chance.within(0..bytes / PAGE)
    };
    rig.rounds = (0..chance.within(0..6)).map(|_| (0..chance.within(0..5)).map(|_| page(chance)).collect()).collect();
    rig.streams = chance.within(1..4) as u16;
    rig.r#use = chance.one_in(2).then(|| chance.within(1..u64::from(rig.streams) + 1) as u16);
    rig.encrypt = chance.one_in(8);
    let verify = chance.one_in(2);
    (rig.precopy.verify, rig.cutover.verify) = (verify, verify);
    rig.precopy.max_rounds = chance.within(1..6) as u32;
    rig.precopies = 1;
    let devices = chance.within(1..4) as usize;
    let scripts: Vec<_> = (0..devices).map(|_| script(chance, devices)).collect();
    (rig.source, rig.destination) = (scripts.clone(), scripts);
    rig
}

fn script(chance: &mut Chance, devices: usize) -> Script {
    let length = chance.of(&[1, 100, 4095, 4096, 10_007, 70_001]);
    let salt = chance.word();
    let content: Vec<u8> = (0..length as u64).map(|at| (at.wrapping_mul(salt) >> 13) as u8).collect();
    let p2p = devices > 1 || !chance.one_in(4);
    let pre_copy = p2p && !chance.one_in(3);
    Script {
        flags: MigrationFlags { stop_copy: true, p2p, pre_copy },
        precopy: if pre_copy { chance.index(content.len() + 1) } else { 0 },
        ends_with_zero: chance.one_in(4),
        announces: chance.of::<fn(&[u8]) -> Option<u64>>(&[|content| Some(content.len() as u64), |_| None]),
        content,
        ..Script::default()
    }
}

fn fault(chance: &mut Chance, mut rig: Rig, faults: &mut Faults) -> (Rig, String) {
    let which = chance.index(rig.source.len());
    let millis = |chance: &mut Chance, most: u64| Duration::from_micros(chance.within(0..most * 1000));
    let word = match chance.within(0..15) {
        0..=2 => {
            let destination = chance.one_in(2);
            let state = chance.of(if destination { &DESTINATION_ARCS[..] } else { &SOURCE_ARCS[..] });
            let (nth, enter_error, reset_fails) = (chance.within(1..3) as usize, chance.one_in(3), chance.one_in(4));
            let side = if destination { &mut rig.destination } else { &mut rig.source };
            side[which] = Script { fail: Some((state, nth)), enter_error, reset_fails, ..side[which].clone() };
            faults.devices[usize::from(destination)].push(which);
            let side = if destination { "destination" } else { "source" };
            format!("{side} dev{which}: {state} fails, number {nth}, error {enter_error}, no reset {reset_fails}")
        }
        3 | 4 => {
            let (fault, name) = chance.of(&[
                (RecordFault::None, "fine"),
                (RecordFault::Refused, "refused"),
                (RecordFault::Doubtful, "doubtful"),
            ]);
            let discard_fails = chance.one_in(2);
            let record = FakeRecord { fault, discard_fails, ..FakeRecord::default() };
            let source = chance.one_in(2);
            if source {
                rig.source_record = record
            } else {
                rig.destination_record = record
            }
            let side = if source { "source" } else { "destination" };
            format!("record of the {side}: {name}, void fails {discard_fails}")
        }
        5 | 6 if rig.network.is_none() => {
            let connection = chance.index(rig.streams.into());
            let most = rig.areas.iter().map(|area| area.1).sum::<u64>() + 100_000;
            let most = if chance.one_in(3) { 2000 } else { most };
            let after = chance.within(0..most);
            rig.network = Some(Fault::Cut { connection, after });
            format!("connection {connection} cut after {after} bytes")
        }
        7 | 8 if rig.streams == 1 && !rig.encrypt && rig.meddler.is_none() && !vanishes(&rig) => {
            let way = chance.of(&[Way::ToDestination, Way::ToSource]);
            let most = if way == Way::ToDestination { 40 } else { 6 };
            let at = chance.within(0..most);
            let bit = chance.index(1 << 15);
            let meddling = match chance.within(0..8) {
                0 => Meddling::Cut,
                1 => Meddling::CutAfter,
                2 => Meddling::Truncate,
                3 => Meddling::Oversize,
                4 => Meddling::Repeat,
                // Within the memory no check but `verify` would find it: nothing but a peer seals a frame anew.
                5 => Meddling::Move(chance.of(&[1, 1 << 40])),
                _ => Meddling::Flip(bit),
            };
            let word = format!("{meddling:?} at frame {at} {way:?}");
            rig.meddler = Some(Meddler { way, at, meddling });
            word
        }
        9 => {
            let nth = chance.within(1..6) as usize;
            rig.tracker_fails_at = Some(nth);
            format!("tracker fails at read {nth}")
        }
        10 => {
            let after = millis(chance, 12);
            let source = chance.one_in(2);
            if source {
                rig.cancel_source = Some(after)
            } else {
                rig.cancel_destination = Some(after)
            }
            format!("{} cancelled after {after:?}", if source { "source" } else { "destination" })
        }
        11 => {
            let refuses = (chance.index(rig.source[which].content.len() + 1), chance.of(&ERRNOS));
            rig.destination[which].refuses = Some(refuses);
            format!("destination dev{which} takes {} bytes of state, then errno {}", refuses.0, refuses.1)
        }
        12 => {
            // Nobody bounds a stream that was not announced but the limit.
            rig.source[which].endless = true;
            if (rig.source[which].announces)(&[]).is_none() {
                rig.cutover.downtime_limit_ms = 200;
            }
            format!("source dev{which}: a stream without an end")
        }
        13 => {
            rig.source[which].begins =
                Some(chance.of(&[DeviceState::StopCopy, DeviceState::Stop, DeviceState::RunningP2p]));
            faults.meddled.push(which);
            format!("source dev{which} is in {:?} already", rig.source[which].begins)
        }
        _ if rig.network.is_none() && rig.meddler.is_none() && chance.one_in(4) => {
            let now = Arc::new(AtomicBool::new(false));
            let connection = chance.one_in(2).then(|| chance.index(rig.streams.into()));
            rig.network = Some(Fault::Vanish { connection, now: Arc::clone(&now) });
            (rig.keepalive_ms, rig.link_timeout_ms) = (300, 300);
            let after = millis(chance, 12);
            thread::spawn(move || {
                thread::sleep(after);
                now.store(true, Ordering::SeqCst);
            });
            format!("the network swallows all from {after:?} on, connection {connection:?}")
        }
        _ => {
            let state = chance.of(&[DeviceState::StopCopy, DeviceState::Stop, DeviceState::Running]);
            let delay = Duration::from_millis(chance.within(1..40));
            let side = if chance.one_in(2) { &mut rig.source } else { &mut rig.destination };
            side[which].delay = Some((state, delay));
            if chance.one_in(2) {
                rig.cutover.downtime_limit_ms = 20;
            }
            format!("dev{which} needs {delay:?} for {state}, limit {} ms", rig.cutover.downtime_limit_ms)
        }
    };
    (rig, word)
}

/// A proxy behind such a network lives on: to the destination its peer is there, and no owner here tells it otherwise.
fn vanishes(rig: &Rig) -> bool {
    matches!(rig.network, Some(Fault::Vanish { .. }))
}
