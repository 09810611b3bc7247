//! The network breaks, lies and repeats, at every frame of a run.

use ferry_base::message::{CutoverOutcome, ReceiveOutcome};
use ferry_transfer::wire::Kind;
use ferry_vfio::device::DeviceState;

use crate::fake::Script;
use crate::proxy::{Meddler, Meddling, Way};
use crate::rig::{Ran, Rig};

/// Small enough to be broken at every frame.
fn small(way: Way, at: u64, meddling: Meddling) -> Rig {
    let script = || Script { content: vec![7; 3000], precopy: 1000, ..Script::default() };
    let mut rig = Rig {
        areas: vec![(0, 8 * 4096)],
        source: vec![script(), script()],
        destination: vec![script(), script()],
        rounds: vec![vec![], vec![0x1000], vec![0x5000], vec![0x2000]],
        meddler: Some(Meddler { way, at, meddling }),
        ..Rig::new()
    };
    rig.precopy.max_rounds = 2;
    rig
}

fn frames() -> [u64; 2] {
    let ran = small(Way::ToSource, 0, Meddling::Nothing).run();
    ran.assert_moved();
    assert!(ran.frames[0] > 8 && ran.frames[1] > 4, "{:?}", ran.frames);
    ran.frames
}

/// Whatever broke: one runner at most, and after the owner has asked both sides, exactly one.
fn one_runner(mut ran: Ran, what: &str) {
    let committed = ran.source_record.committed;
    let running =
        ran.destination_states().iter().all(|state| *state == DeviceState::Running) && ran.destination_ever_ran();
    if !committed {
        ran.assert_undone(what);
        assert_ne!(ran.cause(), "none", "{what}");
        let told = ran.cutover.as_ref().map(|reply| reply.outcome);
        assert!(matches!(told, None | Some(CutoverOutcome::RolledBack)), "{what}: {told:?}");
        return;
    }
    assert!(
        ran.source_states().iter().all(|state| *state == DeviceState::StopCopy),
        "{what}: ran beside the destination"
    );
    let told = ran.cutover.as_ref().expect("cut over").outcome;
    if running {
        assert!(matches!(told, CutoverOutcome::Running | CutoverOutcome::Unknown), "{what}");
        assert_eq!(ran.roll_back_source(false).err().map(|error| error.code), Some("protocol/committed"), "{what}");
        assert_eq!(ran.roll_back_destination().err().map(|error| error.code), Some("protocol/committed"), "{what}");
        return;
    }
    assert!(!ran.destination_ever_ran(), "{what}");
    assert_eq!(told, CutoverOutcome::Unknown, "{what}");
    assert_eq!(ran.receive.as_ref().expect("reply").outcome, ReceiveOutcome::Waiting, "{what}");
    assert!(ran.destination_states().iter().all(|state| *state == DeviceState::Stop), "{what}");
    assert!(ran.roll_back_source(false).is_err(), "{what}: not before the destination is asked");
    ran.roll_back_destination().expect("discards");
    assert!(ran.destination_record.discarded);
    ran.roll_back_source(true).expect("runs again");
    assert!(ran.source_states().iter().all(|state| *state == DeviceState::Running), "{what}");
}

#[test]
fn a_cut_before_any_frame_leaves_one_runner() {
    let frames = frames();
    for (way, count) in [(Way::ToDestination, frames[0]), (Way::ToSource, frames[1])] {
        for at in 0..count {
            one_runner(small(way, at, Meddling::Cut).run(), &format!("cut {way:?} {at}"));
        }
    }
}

#[test]
fn a_cut_inside_any_frame_leaves_one_runner() {
    let frames = frames();
    for (way, count) in [(Way::ToDestination, frames[0]), (Way::ToSource, frames[1])] {
        for at in 0..count {
            one_runner(small(way, at, Meddling::Truncate).run(), &format!("truncate {way:?} {at}"));
        }
    }
}

#[test]
fn a_flipped_bit_in_any_frame_is_caught() {
    let frames = frames();
    for (way, count) in [(Way::ToDestination, frames[0]), (Way::ToSource, frames[1])] {
        for at in 0..count {
            for bit in [35, 8 * 31, usize::MAX / 16] {
                let ran = small(way, at, Meddling::Flip(bit)).run();
                let noticed = if way == Way::ToSource { ran.cause() } else { "wire/checksum" };
                // A source may also hear it from the destination, or only that the link is gone.
                let heard = ["wire/checksum", "link/lost"].contains(&ran.cause());
                assert!(heard && noticed == "wire/checksum", "flip {way:?} {at} {bit}: {}", ran.cause());
                if way == Way::ToDestination && !ran.source_record.committed {
                    assert!(
                        ran.receive.as_ref().expect("reply").reason.as_ref().expect("why").contains("wire/checksum")
                    );
                }
                if ran.source_record.committed && way == Way::ToDestination {
                    // COMMIT itself was damaged: refused like nothing that ever was one.
                    assert!(!ran.destination_ever_ran());
                } else {
                    one_runner(ran, &format!("flip {way:?} {at} {bit}"));
                }
            }
        }
    }
}

#[test]
fn frames_too_long_are_refused_before_they_are_read() {
    for at in 0..4 {
        let ran = small(Way::ToDestination, at, Meddling::Oversize).run();
        assert_eq!(ran.cause(), "wire/oversized", "frame {at}");
        one_runner(ran, "oversize");
    }
}

#[test]
fn pages_outside_the_memory_are_refused() {
    // Frame 0 is the layout, 1 the first zero run or page frame.
    for at in [8 * 4096, 0x7000, u64::MAX - 4095, 77] {
        let ran = small(Way::ToDestination, 1, Meddling::Move(at)).run();
        let past_the_end = at == 0x7000;
        if past_the_end && ran.cause() != "wire/outside-memory" {
            // One page fits there; then it is the memory's content that is wrong.
            assert_eq!(ran.cause(), "verify/mismatch");
        } else {
            assert_eq!(ran.cause(), "wire/outside-memory", "{at:#x}");
        }
        one_runner(ran, "outside");
    }
}

#[test]
fn a_manifest_that_does_not_match_is_refused() {
    type Wrong = (fn(&str) -> String, &'static str);
    let wrong: [Wrong; 4] = [
        (|json| json.replace("\"bytes\":3000", "\"bytes\":3001"), "device/stream-mismatch"),
        (|json| json.replace("\"hash\":\"", "\"hash\":\"0"), "device/stream-mismatch"),
        (|json| json.replace("\"page_bytes\":", "\"page_bytes\":1"), "wire/manifest"),
        (|json| json.replace("dev1", "dev2"), "wire/manifest"),
    ];
    for (rewrite, code) in wrong {
        let ran = small(Way::ToDestination, 0, Meddling::Rewrite(Kind::Manifest, rewrite)).run();
        assert_eq!(ran.cause(), code);
        assert!(ran.destination_seen.iter().all(|seen| !seen.lock().unwrap().asked.contains(&DeviceState::Stop)));
        one_runner(ran, code);
    }
}

#[test]
fn a_layout_that_differs_is_refused_with_every_difference() {
    let ran = small(Way::ToDestination, 0, Meddling::Rewrite(Kind::Layout, |json| json.replace("dev0", "nic"))).run();
    assert_eq!(ran.cause(), "wire/layout");
    let message = &ran.precopy.as_ref().expect("ran").as_ref().expect_err("refused").message;
    assert!(
        message.contains("nic only on the source") && message.contains("dev0 only on the destination"),
        "{message}"
    );
    one_runner(ran, "layout");
}

#[test]
fn a_repeated_frame_is_refused() {
    let frames = frames();
    for at in 0..frames[0] {
        let ran = small(Way::ToDestination, at, Meddling::Repeat).run();
        if !ran.source_record.committed {
            assert_eq!(ran.cause(), "wire/checksum", "frame {at}");
        }
        if ran.destination_ever_ran() {
            assert!(ran.source_record.committed);
            assert!(ran.source_states().iter().all(|state| *state == DeviceState::StopCopy));
        } else {
            one_runner(ran, &format!("repeat {at}"));
        }
    }
}
