//! Runs in which nothing fails.

use ferry_base::message::{CutoverOutcome, Event, PrecopyEnd, ReceiveOutcome};
use ferry_vfio::device::{DeviceState, MigrationFlags};

use crate::fake::Script;
use crate::rig::{PAGE, Ran, Rig};

fn check(ran: &Ran) {
    ran.assert_moved();
    let reply = ran.cutover.as_ref().expect("cut over");
    assert_eq!(reply.outcome, CutoverOutcome::Running);
    let received = ran.receive.as_ref().expect("received");
    assert_eq!((received.outcome, received.reason.as_deref()), (ReceiveOutcome::Running, None));
    for seen in &ran.destination_seen {
        assert!(seen.lock().unwrap().loaded == Script::default().content, "another state was loaded");
    }
    for device in &reply.devices {
        assert_eq!(device.state_bytes.0, Script::default().content.len() as u64);
        assert_eq!(device.state_hash.len(), 32);
    }
    let split = reply.blackout;
    let parts =
        split.quiesce_us + split.last_pages_us + split.state_us + split.load_us + split.verify_us + split.resume_us;
    assert_eq!(parts, split.total_us);
    assert!(split.total_us > 0 && split.verify_us > 0);
}

#[test]
fn moves_memory_and_state_over_a_plain_link() {
    let ran = Rig::new().run();
    check(&ran);
    let precopy = ran.precopy.as_ref().expect("ran").as_ref().expect("ok");
    assert_eq!(precopy.reason, PrecopyEnd::Converged);
    let reply = ran.cutover.as_ref().expect("cut over");
    assert_eq!(reply.verified.as_ref().map(|verified| verified.mismatches.len()), Some(0));
    // Written at the second, third and fourth read: before, at the start of, and in the blackout.
    assert_eq!(reply.last_pages, 6);
}

#[test]
fn moves_the_same_under_tls() {
    check(&Rig { encrypt: true, ..Rig::new() }.run());
}

#[test]
fn devices_stop_and_start_in_two_steps() {
    let ran = Rig::new().run();
    let position = |history: &[(String, DeviceState)], device: &str, state| {
        history
            .iter()
            .position(|(name, to)| name == device && *to == state)
            .unwrap_or_else(|| panic!("{device} {state}"))
    };
    let source = ran.history[0].lock().unwrap();
    let destination = ran.history[1].lock().unwrap();
    for (a, b) in [("dev0", "dev1"), ("dev1", "dev0")] {
        assert!(position(&source, a, DeviceState::PreCopyP2p) < position(&source, b, DeviceState::StopCopy));
        assert!(position(&destination, a, DeviceState::RunningP2p) < position(&destination, b, DeviceState::Running));
    }
}

#[test]
fn rounds_go_on_until_their_bound_and_nothing_is_forgotten() {
    let mut rig = Rig::new();
    rig.precopy.downtime_limit_ms = 0;
    rig.precopy.max_rounds = 3;
    let ran = rig.run();
    let precopy = ran.precopy.as_ref().expect("ran").as_ref().expect("ok");
    assert_eq!((precopy.reason, precopy.rounds), (PrecopyEnd::Rounds, 3));
    check(&ran);
    let events = ran.events[0].0.lock().unwrap();
    let pages: Vec<u64> = events
        .iter()
        .filter_map(|event| if let Event::RoundStart { pages, .. } = event { Some(*pages) } else { None })
        .collect();
    assert_eq!(pages, [320, 3, 2], "everything, then what each read named");
}

#[test]
fn time_that_runs_out_in_a_round_loses_no_page() {
    let mut rig = Rig::new();
    rig.precopy.max_time_ms = 0;
    let ran = rig.run();
    let precopy = ran.precopy.as_ref().expect("ran").as_ref().expect("ok");
    assert_eq!(precopy.reason, PrecopyEnd::Converged, "what is left still fits");
    assert!(precopy.remaining_bytes.0 >= (1 << 20) / 2);
    check(&ran);
    assert!(ran.cutover.as_ref().expect("cut over").last_pages > 100);
}

#[test]
fn precopy_goes_on_after_a_hold_and_cutover_works_without_any() {
    let ran = Rig { precopies: 2, ..Rig::new() }.run();
    check(&ran);
    let ran = Rig { precopies: 0, ..Rig::new() }.run();
    check(&ran);
    assert_eq!(ran.cutover.expect("cut over").last_pages, 320);
}

#[test]
fn devices_without_precopy_or_with_odd_drivers_move_too() {
    let flags = |p2p, pre_copy| MigrationFlags { stop_copy: true, p2p, pre_copy };
    let odd = Script { ends_with_zero: true, ..Script::default() };
    let plain = Script { flags: flags(true, false), ..Script::default() };
    check(&Rig { source: vec![odd.clone(), plain.clone()], destination: vec![odd, plain], ..Rig::new() }.run());
    for pre_copy in [false, true] {
        let alone = Script { flags: flags(false, pre_copy), ..Script::default() };
        check(&Rig { source: vec![alone.clone()], destination: vec![alone], ..Rig::new() }.run());
    }
}

#[test]
fn many_regions_and_the_end_of_the_address_space_move_too() {
    let mut rig = Rig::new();
    rig.areas = (0..40).map(|index| (index * 0x30_0000, (index % 5 + 1) * PAGE)).collect();
    // The last page of all cannot be said.
    let last = u64::MAX - PAGE + 1 - (1 << 18);
    rig.areas.push((last, 1 << 18));
    rig.rounds = vec![vec![], vec![0, last], vec![0x30_0000 * 39], vec![last + (1 << 18) - PAGE, last]];
    check(&rig.run());
}

#[test]
fn without_verification_nothing_is_hashed() {
    let mut rig = Rig::new();
    rig.cutover.verify = false;
    let ran = rig.run();
    ran.assert_moved();
    let reply = ran.cutover.expect("cut over");
    assert!(reply.verified.is_none() && reply.blackout.verify_us == 0);
}

#[test]
fn a_page_no_tracker_named_is_found_and_undone() {
    for iova in [0x2000, 0x1000_1000, 0x1000_0000 + (1 << 18) - PAGE] {
        let mut rig = Rig { forget: Some(iova), ..Rig::new() };
        rig.rounds[3].push(iova);
        let ran = rig.run();
        assert_eq!(ran.cause(), "verify/mismatch");
        let reply = ran.cutover.as_ref().expect("cut over");
        let named: Vec<u64> = reply.verified.as_ref().expect("verified").mismatches.iter().map(|iova| iova.0).collect();
        assert!(named.contains(&iova) && named.len() == 1, "{named:x?}");
        assert_eq!(reply.outcome, CutoverOutcome::RolledBack);
        ran.assert_undone("mismatch");
        assert_eq!(ran.receive.expect("ended").outcome, ReceiveOutcome::Discarded);
    }
}
