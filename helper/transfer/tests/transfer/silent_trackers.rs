//! A tracker whose read does not return: the limit, the link's time-out and a cancel end the wait, and the source runs again.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ferry_base::message::CutoverOutcome;
use ferry_vfio::device::DeviceState;

use crate::rig::{Ran, Rig};

/// Reads of a run whose first round converges: two in pre-copy, one before the stop, the last one, and the look while the
/// destination loads.
const PRECOPY: [usize; 2] = [1, 2];
const BEFORE_STOP: usize = 3;
const IN_BLACKOUT: [usize; 2] = [4, 5];

fn hanging_at(read: usize) -> Rig {
    let mut rig = Rig { tracker_hangs_at: Some(read), link_timeout_ms: 250, ..Rig::new() };
    rig.cutover.downtime_limit_ms = 250;
    rig.cutover.verify = false;
    rig
}

fn stopped(ran: &Ran) -> bool {
    ran.source_seen[0].lock().unwrap().asked.contains(&DeviceState::StopCopy)
}

fn assert_back(ran: &Ran, what: &str) {
    ran.assert_undone(what);
    assert!(ran.source.as_ref().expect("connected").is_back(), "{what}");
}

#[test]
fn it_is_given_up_at_the_limit_or_when_the_link_would_be() {
    for read in PRECOPY.into_iter().chain([BEFORE_STOP]).chain(IN_BLACKOUT) {
        let began = Instant::now();
        let mut ran = hanging_at(read).run();
        assert_eq!(ran.cause(), "tracker/no-answer", "read {read}");
        assert!(began.elapsed() < Duration::from_secs(3), "read {read}: {:?}", began.elapsed());
        assert_eq!(stopped(&ran), IN_BLACKOUT.contains(&read), "read {read}");
        assert_back(&ran, &format!("read {read}"));
        if let Some(reply) = &ran.cutover {
            assert_eq!(reply.outcome, CutoverOutcome::RolledBack);
        }
        assert_eq!(ran.roll_back_source(false).expect("asked again").needs_person, []);
    }
}

#[test]
fn a_cancel_is_noticed_meanwhile() {
    for read in [PRECOPY[1], BEFORE_STOP, IN_BLACKOUT[0], IN_BLACKOUT[1]] {
        let mut rig = hanging_at(read);
        (rig.link_timeout_ms, rig.cutover.downtime_limit_ms) = (60_000, 60_000);
        rig.owner = Some(Box::new(|hands| {
            while !hands.hang.reached.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            hands.cancels[0].store(true, Ordering::SeqCst);
        }));
        let began = Instant::now();
        let ran = rig.run();
        assert_eq!(ran.cause(), "run/cancelled", "read {read}");
        assert!(began.elapsed() < Duration::from_secs(10), "read {read}");
        assert_back(&ran, &format!("read {read}"));
    }
}
