//! A host or a network that is gone without a word: both sides notice, whatever they wait for. The link timeout is
//! long here, so that only the keepalive can be what they noticed it by.

use std::time::Duration;

use ferry_helper::control::message::{Hold, ReceiveOutcome};

use crate::network::Fault;
use crate::rig::{Ran, Rig};

const MIB: u64 = 1 << 20;

fn rig(streams: u16, connection: Option<usize>) -> Rig {
    let mut rig = Rig {
        streams,
        areas: vec![(0, 8 * MIB)],
        network: Some(Fault::Vanish { connection, after: Duration::from_millis(700) }),
        link_timeout_ms: 120_000,
        keepalive_ms: 2000,
        ..Rig::new()
    };
    rig.rounds = vec![vec![]; 8];
    rig
}

/// Rounds end within milliseconds here: the link is idle when it goes.
fn held(mut rig: Rig) -> Rig {
    rig.precopy.hold = Some(Hold { interval_ms: 60_000 });
    rig
}

fn both_noticed(ran: &Ran, what: &str) {
    assert_eq!(ran.cause(), "link/lost", "{what}");
    ran.assert_undone(what);
    let error = ran.precopy.as_ref().expect("ran").as_ref().expect_err("lost");
    assert!(error.message.contains("stopped answering for 2 s"), "{what}: {error}");
    let received = ran.receive.as_ref().expect("reply");
    assert_eq!(received.outcome, ReceiveOutcome::Discarded, "{what}");
    let reason = received.reason.as_deref().unwrap_or_default();
    assert!(reason.starts_with("link/lost") && reason.contains("stopped answering for 2 s"), "{what}: {reason}");
}

#[test]
fn a_half_open_link_is_noticed_while_nothing_is_sent() {
    both_noticed(&held(rig(1, None)).run(), "plain");
    both_noticed(&held(Rig { encrypt: true, ..rig(3, None) }).run(), "TLS");
}

#[test]
fn a_half_open_link_is_noticed_while_pages_are_sent() {
    both_noticed(&rig(1, None).throttled(2 * MIB).run(), "one stream");
    both_noticed(&rig(2, None).throttled(2 * MIB).run(), "two streams");
}

#[test]
fn one_half_open_stream_among_others_is_noticed() {
    let ran = held(rig(3, Some(2))).run();
    both_noticed(&ran, "the third");
    let reason = ran.receive.as_ref().expect("reply").reason.clone().unwrap_or_default();
    assert!(reason.contains("of 3: "), "{reason}");
}
