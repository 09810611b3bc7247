//! Connecting: who is let in, what a refusal says, and that waiting can be cancelled.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ferry_base::error::HelperError;
use ferry_base::message::{ConnectParams, Event, EventSink, ListenParams};
use ferry_transfer::streams::link::{Identity, Link, Listener};

use crate::fake::Events;
use crate::proxy::{Meddler, Meddling, Way};
use crate::rig::{RUN, Rig, connect_params, listen_params};

/// Both ends with these parameters; the destination is cancelled once the source has its answer. Codes of both.
fn meet(
    listen: impl Fn(&mut ListenParams),
    connect: impl Fn(&mut ConnectParams),
    run: &str,
    epoch: u64,
) -> (String, Vec<String>) {
    let [ours, theirs] = [0, 1].map(|_| Arc::new(Identity::generate().expect("identity")));
    let mut params = listen_params(false, ours.fingerprint());
    listen(&mut params);
    let listener = Listener::bind(&params, &theirs, RUN, 7).expect("bind");
    let mut params = connect_params(listener.address().port(), params.encrypt, theirs.fingerprint());
    connect(&mut params);
    let (cancel, events) = (Arc::new(AtomicBool::new(false)), Arc::new(Events::default()));
    let accepting = {
        let (cancel, events) = (Arc::clone(&cancel), Arc::clone(&events) as Arc<dyn EventSink>);
        thread::spawn(move || listener.accept(&cancel, &events).map(drop))
    };
    let connected = Link::connect(&params, &ours, run, epoch, &Arc::new(AtomicBool::new(false)));
    // Who is turned away is logged on the other side, a moment later perhaps.
    let logged = || events.0.lock().unwrap().iter().any(|event| matches!(event, Event::Log { .. }));
    let began = Instant::now();
    while connected.is_err() && !logged() && began.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(2));
    }
    // One that let a source in ends by itself.
    if connected.is_err() {
        cancel.store(true, Ordering::SeqCst);
    }
    let accepted = accepting.join().expect("no panic");
    assert_eq!(connected.is_ok(), accepted.is_ok());
    let events = events.0.lock().unwrap();
    let note = events.iter().filter_map(|event| match event {
        Event::Log { message, .. } => Some(message.clone()),
        _ => None,
    });
    (connected.err().map_or("ok".to_owned(), |error| error.code.to_owned()), note.collect())
}

#[test]
fn only_the_source_of_this_run_is_let_in() {
    for encrypt in [false, true] {
        let same = |params: &mut ListenParams| params.encrypt = encrypt;
        assert_eq!(meet(same, |_| {}, RUN, 7).0, "ok");
        for (code, run, epoch) in [("wire/run", "run-2", 7), ("wire/run", "run-10", 7), ("wire/epoch", RUN, 8)] {
            let (found, note) = meet(same, |_| {}, run, epoch);
            assert_eq!(found, code);
            assert!(note.len() == 1 && note[0].contains(code), "{note:?}");
        }
        let (found, note) = meet(same, |params| params.secret = "ab".repeat(32), RUN, 7);
        assert_eq!((found.as_str(), note.len()), ("wire/secret", 1));
        let (found, note) = meet(same, |params| (params.streams, params.r#use) = (2, 2), RUN, 7);
        assert_eq!((found.as_str(), note.len()), ("wire/streams", 1));
    }
}

#[test]
fn a_pinned_certificate_is_the_only_one() {
    let encrypt = |params: &mut ListenParams| params.encrypt = true;
    let (found, _) = meet(encrypt, |params| params.peer = "0".repeat(64), RUN, 7);
    assert_eq!(found, "wire/tls");
    let (found, note) = meet(
        |params| {
            params.encrypt = true;
            params.peer = "0".repeat(64);
        },
        |_| {},
        RUN,
        7,
    );
    assert!(["wire/tls", "link/lost"].contains(&found.as_str()), "{found}");
    assert!(note[0].contains("wire/tls"), "{note:?}");
}

#[test]
fn plain_and_tls_do_not_meet() {
    let (found, _) = meet(|params| params.encrypt = true, |params| params.encrypt = false, RUN, 7);
    assert_ne!(found, "ok");
    let (found, note) = meet(|_| {}, |params| params.encrypt = true, RUN, 7);
    assert_ne!(found, "ok");
    assert!(note[0].contains("wire/bad-magic"), "{note:?}");
}

#[test]
fn a_wrong_magic_or_version_is_refused_and_the_run_is_untouched() {
    for (byte, codes) in
        [(0, ["link/lost", "wire/bad-magic"]), (8, ["wire/version", "wire/version"]), (56, ["wire/run", "wire/run"])]
    {
        let meddler = Meddler { way: Way::ToDestination, at: 0, meddling: Meddling::Preface(byte) };
        let ran = Rig { meddler: Some(meddler), ..Rig::new() }.run();
        assert!(codes.contains(&ran.cause()), "{byte}: {}", ran.cause());
        ran.assert_undone("preface");
        assert_eq!(ran.receive.err().map(|error| error.code), Some("run/cancelled"));
    }
}

/// Whether both ends with these parameters meet; the source's error if not.
fn reach(listen: ListenParams, connect: impl Fn(&mut ConnectParams)) -> Result<(), HelperError> {
    let identity = Arc::new(Identity::generate().expect("identity"));
    let listener = Listener::bind(&listen, &identity, RUN, 7)?;
    let mut params = connect_params(listener.address().port(), false, "");
    params.address = listener.address().ip().to_string();
    connect(&mut params);
    let cancel = Arc::new(AtomicBool::new(false));
    let accepting = {
        let (cancel, events) = (Arc::clone(&cancel), Arc::new(Events::default()) as Arc<dyn EventSink>);
        thread::spawn(move || listener.accept(&cancel, &events).map(drop))
    };
    let connected = Link::connect(&params, &identity, RUN, 7, &Arc::new(AtomicBool::new(false)));
    cancel.store(connected.is_err(), Ordering::SeqCst);
    let accepted = accepting.join().expect("no panic");
    assert_eq!(connected.is_ok(), accepted.is_ok());
    connected.map(drop)
}

#[test]
fn ipv6_interfaces_and_local_addresses_work() {
    let v6 = || ListenParams { address: "::1".into(), ..listen_params(false, "") };
    reach(v6(), |_| {}).expect("over IPv6");
    let both = || ListenParams { address: "::".into(), ..listen_params(false, "") };
    reach(both(), |params| params.address = "::1".into()).expect("any address");
    reach(both(), |params| params.address = "127.0.0.1".into()).expect("any address takes IPv4 too");
    let only = |from: &str, to: ListenParams| ListenParams { from: from.parse().ok(), ..to };
    reach(only("127.0.0.1", both()), |params| params.address = "127.0.0.1".into()).expect("IPv4 by an IPv6 socket");
    let lo = ListenParams { address: String::new(), interface: Some("lo".into()), ..listen_params(false, "") };
    reach(lo.clone(), |params| assert_eq!(params.address, "127.0.0.1")).expect("by its interface");

    let from_two = |params: &mut ConnectParams| params.bind = "127.0.0.2".parse().ok();
    reach(only("127.0.0.2", listen_params(false, "")), from_two).expect("from the address it was told");
    let refused = reach(only("127.0.0.3", listen_params(false, "")), from_two).expect_err("from another");
    assert!(refused.code == "link/lost" && refused.suggestion.is_some(), "{refused:?}");
    reach(v6(), |params| params.bind = "::1".parse().ok()).expect("the same in IPv6");

    let error = reach(v6(), from_two).expect_err("IPv4 does not reach IPv6");
    assert!(error.code == "link/address" && error.message.contains("IPv6"), "{error}");
    let error = reach(v6(), |params| params.bind = "2001:db8::1".parse().ok()).expect_err("not ours");
    assert!(error.code == "link/address" && error.suggestion.is_some(), "{error}");
    let error = reach(ListenParams { address: "127.0.0.1".into(), ..lo.clone() }, |_| {}).expect_err("which one");
    assert_eq!(error.code, "request/bad-params");
    let error = reach(ListenParams { interface: Some("no-such".into()), ..lo }, |_| {}).expect_err("not there");
    assert!(error.code == "link/interface" && error.message.contains("lo"), "{error}");
}

#[test]
fn impossible_numbers_of_streams_are_refused_on_either_side() {
    let identity = Arc::new(Identity::generate().expect("identity"));
    for streams in [0, 65] {
        let listen = ListenParams { streams, ..listen_params(false, "") };
        let refused = Listener::bind(&listen, &identity, RUN, 7).err().map(|error| error.code);
        assert_eq!(refused, Some("request/bad-params"));
    }
    for (streams, used) in [(0, 0), (65, 1), (2, 0), (2, 3)] {
        let params = ConnectParams { streams, r#use: used, ..connect_params(1, false, "") };
        let refused = Link::connect(&params, &identity, RUN, 7, &Arc::default()).err().map(|error| error.code);
        assert_eq!(refused, Some("request/bad-params"), "{used} of {streams}");
    }
}

#[test]
fn strangers_do_not_keep_the_source_out() {
    let [ours, theirs] = [0, 1].map(|_| Arc::new(Identity::generate().expect("identity")));
    let listener = Listener::bind(&listen_params(true, ours.fingerprint()), &theirs, RUN, 7).expect("bind");
    let port = listener.address().port();
    let events = Arc::new(Events::default());
    // One silent, one that talks nonsense, one that leaves.
    let mut silent = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let mut noisy = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    noisy.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("write");
    drop(TcpStream::connect(("127.0.0.1", port)).expect("connect"));
    let accepting = {
        let events = Arc::clone(&events) as Arc<dyn EventSink>;
        thread::spawn(move || listener.accept(&Arc::default(), &events).map(drop))
    };
    let params = connect_params(port, true, theirs.fingerprint());
    let link = Link::connect(&params, &ours, RUN, 7, &Arc::default()).expect("let in");
    assert!(link.round_trip() > Duration::ZERO);
    accepting.join().expect("no panic").expect("accepted");
    silent.set_read_timeout(Some(Duration::from_millis(50))).expect("timeout");
    assert!(matches!(silent.read(&mut [0; 8]), Ok(0)), "sent away, without a word");
}

#[test]
fn an_address_that_cannot_be_used_says_why_and_what_to_do() {
    let identity = Arc::new(Identity::generate().expect("identity"));
    let first = Listener::bind(&listen_params(false, ""), &identity, RUN, 7).expect("bind");
    let taken = ListenParams { port: first.address().port(), ..listen_params(false, "") };
    let elsewhere = ListenParams { address: "192.0.2.1".into(), ..listen_params(false, "") };
    let name = ListenParams { address: "not an address".into(), ..listen_params(false, "") };
    let secret = ListenParams { secret: "00".into(), ..listen_params(false, "") };
    for (params, code) in [
        (taken, "link/port-taken"),
        (elsewhere, "link/address"),
        (name, "link/address"),
        (secret, "request/bad-params"),
        (listen_params(true, "nonsense"), "request/bad-params"),
    ] {
        let error = Listener::bind(&params, &identity, RUN, 7).err().expect("refused");
        assert_eq!(error.code, code);
        assert!(code == "request/bad-params" || error.suggestion.is_some());
    }
    drop(first);
}

#[test]
fn nobody_there_and_a_cancel_end_the_wait() {
    let identity = Arc::new(Identity::generate().expect("identity"));
    let listener = Listener::bind(&listen_params(false, ""), &identity, RUN, 7).expect("bind");
    let port = listener.address().port();
    let cancel = Arc::new(AtomicBool::new(true));
    let events = Arc::new(Events::default()) as Arc<dyn EventSink>;
    assert_eq!(listener.accept(&cancel, &events).err().map(|error| error.code), Some("run/cancelled"));
    let params = ConnectParams { link_timeout_ms: 200, ..connect_params(port, false, "") };
    let refused = Link::connect(&params, &identity, RUN, 7, &Arc::default()).err().expect("no one there");
    assert_eq!((refused.code, refused.errno_name.as_deref()), ("link/refused", Some("ECONNREFUSED")));
    let cancelled = Link::connect(&params, &identity, RUN, 7, &cancel).err().expect("cancelled");
    assert_eq!(cancelled.code, "run/cancelled");
}
