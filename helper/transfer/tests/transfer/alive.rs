//! A host or a network that is gone without a word: both sides notice, whatever they wait for. The link timeout is
//! long here, so that only the keepalive can be what they noticed it by.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ferry_base::message::{Event, Hold, ReceiveOutcome};

use crate::network::Fault;
use crate::rig::{Hands, Ran, Rig};

const MIB: u64 = 1 << 20;

/// The network is gone once `event` came from the source.
fn rig(streams: u16, connection: Option<usize>, event: fn(&Event) -> bool) -> Rig {
    let now = Arc::new(AtomicBool::new(false));
    let mut rig = Rig {
        streams,
        areas: vec![(0, 8 * MIB)],
        network: Some(Fault::Vanish { connection, now: Arc::clone(&now) }),
        link_timeout_ms: 120_000,
        keepalive_ms: 2000,
        owner: Some(Box::new(move |hands: &Hands| {
            hands.await_event("the moment", |events| events.iter().any(event));
            now.store(true, Ordering::SeqCst);
        })),
        ..Rig::new()
    };
    rig.rounds = vec![vec![]; 8];
    rig
}

/// Nothing is sent when it goes.
fn held(streams: u16, connection: Option<usize>) -> Rig {
    let mut rig = rig(streams, connection, |event| matches!(event, Event::RoundEnd { .. }));
    rig.precopy.hold = Some(Hold { interval_ms: 60_000 });
    rig
}

/// A round is under way when it goes.
fn busy(streams: u16) -> Rig {
    rig(streams, None, |event| matches!(event, Event::Progress { .. })).throttled(2 * MIB)
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
    both_noticed(&held(1, None).run(), "plain");
    both_noticed(&Rig { encrypt: true, ..held(3, None) }.run(), "TLS");
}

#[test]
fn a_half_open_link_is_noticed_while_pages_are_sent() {
    both_noticed(&busy(1).run(), "one stream");
    both_noticed(&busy(2).run(), "two streams");
}

#[test]
fn one_half_open_stream_among_others_is_noticed() {
    let ran = held(3, Some(2)).run();
    both_noticed(&ran, "the third");
    let reason = ran.receive.as_ref().expect("reply").reason.clone().unwrap_or_default();
    assert!(reason.contains("of 3: "), "{reason}");
}
