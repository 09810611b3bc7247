//! Runs at random: a workload, its limits and up to two faults from a seed, both sides for real in this process; then
//! the owner's recovery. `FERRY_RANDOM_RUNS` says how many (2,000), `FERRY_RANDOM_SEED` from which seed on: a failing
//! seed is printed, and `FERRY_RANDOM_SEED=… FERRY_RANDOM_RUNS=1` is that run again.

mod judge;
mod plan;
mod seed;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const RUNS: u64 = 2000;
/// Most of the time a run waits: for its other side, or for a connection that is dead.
const AT_ONCE: usize = 10;
/// No run takes longer, with what these faults wait for.
const STUCK: Duration = Duration::from_secs(120);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a whole number"))
}

#[test]
fn whatever_breaks_one_side_has_the_workload_whole() {
    let fresh = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64 >> 8;
    let first = number("FERRY_RANDOM_SEED").unwrap_or(fresh);
    let runs = number("FERRY_RANDOM_RUNS").unwrap_or(RUNS);
    let next = Arc::new(AtomicU64::new(0));
    let failures: Arc<Mutex<Vec<String>>> = Arc::default();
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (next, failures) = (Arc::clone(&next), Arc::clone(&failures));
            thread::spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= runs {
                        return;
                    }
                    let seed = first.wrapping_add(number);
                    if let Err(error) = one(seed) {
                        eprintln!("seed {seed}: {error}\n");
                        failures.lock().unwrap().push(format!("FERRY_RANDOM_SEED={seed} FERRY_RANDOM_RUNS=1"));
                    }
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().expect("no panic"));
    let failures = failures.lock().unwrap();
    assert!(failures.is_empty(), "{} of {runs} runs from seed {first} on; replay with {}", failures.len(), failures[0]);
}

fn one(seed: u64) -> Result<(), String> {
    let (say, heard) = std::sync::mpsc::channel();
    let run = thread::spawn(move || {
        let (rig, faults) = plan::plan(seed);
        let words = faults.to_string();
        let outcome = judge::judge(rig.run(), &faults).map_err(|error| format!("{words}\n{error}"));
        let _ = say.send(outcome);
    });
    match heard.recv_timeout(STUCK) {
        Ok(outcome) => outcome,
        Err(_) if run.is_finished() => Err("it panicked".into()),
        Err(_) => Err(format!("still under way after {STUCK:?}: {}", plan::plan(seed).1)),
    }
}

/// What is broken on purpose, so that the judge is known to see it.
#[test]
fn the_judge_finds_what_is_lost() {
    let broken = |breaks: fn(&mut crate::rig::Rig)| {
        let mut rig = crate::rig::Rig { rounds: vec![vec![], vec![0x5000], vec![0x5000]], ..crate::rig::Rig::new() };
        rig.precopy.verify = false;
        rig.cutover.verify = false;
        breaks(&mut rig);
        judge::judge(rig.run(), &plan::Faults::default())
    };
    assert_eq!(broken(|_| {}), Ok(()));
    // A tracker that keeps quiet about a page.
    let lost = broken(|rig| rig.forget = Some(0x5000)).expect_err("a page is lost");
    assert!(lost.contains("memories differ"), "{lost}");
    // A fault nobody reckoned with, which ends the run where it began.
    let ended = broken(|rig| rig.tracker_fails_at = Some(2)).expect_err("not moved");
    assert!(ended.contains("not moved"), "{ended}");
    let named = broken(|rig| {
        rig.source[0].fail = Some((ferry_vfio::device::DeviceState::StopCopy, 1));
        rig.source[0].enter_error = true;
    });
    assert!(named.expect_err("a device is broken that should not be").contains("no device was broken"));
}
