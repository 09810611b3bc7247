//! One owner at a time, and what its end leaves.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::driver::{Driver, wait_for};
use crate::place::{Place, exists};
use crate::run::{Pair, held_precopy};
use crate::taker::as_user;

#[test]
fn an_owner_that_ends_before_commit_leaves_nothing() {
    let (here, there) = (Place::new(), Place::new());
    let mut pair = Pair::connected(&here, &there);
    pair.source.send("precopy", held_precopy());
    pair.source.event("round-end");
    for side in [&mut pair.source, &mut pair.destination] {
        side.hang_up();
        let (status, stderr) = side.end();
        assert!(status.success() && stderr.is_empty(), "{status} {stderr}");
    }
    for place in [&here, &there] {
        assert!(!exists(&place.socket("r1")), "unlinked");
        let mut next = Driver::serve();
        place.set_up(&mut next, "source");
    }
}

#[test]
fn a_committed_run_stays_on_both_sides_until_it_is_released() {
    let (here, there) = (Place::new(), Place::new());
    let mut pair = Pair::moved(&here, &there);
    for (side, place, state) in [(&mut pair.source, &here, "STOP_COPY"), (&mut pair.destination, &there, "RUNNING")] {
        side.hang_up();
        assert!(side.pipes_ended(), "ssh could close");
        assert!(side.is_alive());
        let mut late = Driver::attach(&place.socket("r1"));
        let status = late.ok("status", json!({}));
        assert_eq!((&status["run"], &status["phase"]), (&json!("r1"), &json!("running")));
        assert_eq!(status["devices"][0]["state"], state);
        late.epoch = 0;
        assert_eq!(late.refused("release", json!({})), "protocol/old-epoch");
        late.epoch = 2;
        late.hang_up();
        late.end();
        assert!(side.is_alive(), "asking releases nothing");
        let mut later = Driver::attach(&place.socket("r1"));
        later.epoch = 2;
        later.ok("release", json!({}));
        later.hang_up();
        later.end();
        side.end_status();
        assert!(!exists(&place.socket("r1")));
    }
}

#[test]
fn a_destination_that_waits_stays_until_it_is_told_what_the_source_did() {
    for word in ["finish", "rollback"] {
        let (here, there) = (Place::new(), Place::new());
        let mut pair = Pair::connected(&here, &there);
        assert_eq!(pair.lose_the_source()["outcome"], "waiting");
        pair.destination.hang_up();
        assert!(pair.destination.pipes_ended() && pair.destination.is_alive());
        let mut later = Driver::attach(&there.socket("r1"));
        later.epoch = 2;
        assert_eq!(later.ok("status", json!({}))["devices"][0]["state"], "STOP");
        assert_eq!(later.refused("stay", there.stay(Value::Null)), "request/out-of-order");
        if word == "finish" {
            assert_eq!(later.ok("finish", json!({}))["outcome"], "running");
            assert_eq!(later.ok("check", json!({}))["lostPages"], 0);
            later.ok("stay", there.stay(Value::Null));
            assert_eq!(later.ok("status", json!({}))["workload"], "w");
        } else {
            later.ok("rollback", json!({}));
            assert_eq!(later.refused("finish", json!({})), "protocol/phase");
        }
        later.hang_up();
        later.end();
        if word == "finish" {
            assert_eq!(Driver::attach(&there.holder()).ok("status", json!({}))["phase"], "idle");
            pair.destination.signal(libc::SIGTERM);
        }
        pair.destination.end_status();
    }
}

#[test]
fn a_second_ferry_may_look_but_not_touch() {
    let (here, there) = (Place::new(), Place::new());
    let mut pair = Pair::connected(&here, &there);
    let precopy = pair.source.send("precopy", held_precopy());
    pair.source.event("round-end");
    let mut second = Driver::attach(&here.socket("r1"));
    let (mine, theirs) = (second.hello(), pair.source.hello());
    assert_ne!(mine["fingerprint"], theirs["fingerprint"], "a key a connection");
    assert_eq!(second.ok("status", json!({}))["phase"], "pre-copy");
    second.ok("ping", json!({}));
    for op in ["cancel", "proceed", "rollback", "release", "untrack", "claim", "cutover"] {
        assert_eq!(second.refused(op, json!({})), "owner/busy", "{op}");
    }
    let error = second.ask("tune", json!({"bandwidth": "1"})).expect_err("busy");
    assert!(error["message"].as_str().expect("text").contains("run r1"), "{error}");
    pair.source.event("round-end");
    pair.source.ok("proceed", json!({}));
    assert_eq!(pair.source.reply(precopy).expect("released")["reason"], "released");
}

#[test]
fn a_killed_proxy_is_an_owner_that_is_gone() {
    let (here, there) = (Place::new(), Place::new());
    let mut pair = Pair::moved(&here, &there);
    pair.source.hang_up();
    let mut second = Driver::attach(&here.socket("r1"));
    crate::driver::wait_for("the owner gone", || second.ask("check", json!({})).ok());
    let mut third = Driver::attach(&here.socket("r1"));
    assert_eq!(third.refused("check", json!({})), "owner/busy");
    second.kill();
    wait_for("third owns", || third.ask("check", json!({})).ok());
    third.ok("release", json!({}));
    third.hang_up();
    pair.source.end_status();
}

#[test]
fn an_owner_that_falls_silent_is_gone() {
    let place = Place::new();
    let mut driver = Driver::serve();
    driver.ok("hello", json!({"protocol": 2, "keepaliveMs": 300}));
    place.set_up(&mut driver, "source");
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(900) {
        std::thread::sleep(Duration::from_millis(20));
        driver.ok("ping", json!({}));
    }
    let (status, stderr) = driver.end();
    assert!(status.success() && stderr.contains("silent"), "{stderr}");
    assert!(!exists(&place.socket("r1")));
}

#[test]
fn a_dead_helpers_socket_is_replaced_and_is_private() {
    let place = Place::new();
    fs::create_dir(place.dir.join("sockets")).expect("mkdir");
    fs::set_permissions(place.dir.join("sockets"), fs::Permissions::from_mode(0o700)).expect("chmod");
    drop(UnixListener::bind(place.socket("r1")).expect("bind"));
    let mut driver = Driver::serve();
    place.set_up(&mut driver, "source");
    let found = fs::symlink_metadata(place.socket("r1")).expect("there");
    assert_eq!(found.mode() & 0o777, 0o600);
    driver.kill();
    assert!(exists(&place.socket("r1")), "left behind");
    let mut proxy = Driver::attach(&place.socket("r1"));
    let (status, stderr) = proxy.end();
    assert!(status.code() == Some(3) && stderr.starts_with("attach:"), "{status} {stderr}");
    let mut next = Driver::serve();
    place.set_up(&mut next, "source");
    Driver::attach(&place.socket("r1")).hello();
}

#[test]
fn a_path_too_long_for_a_socket_ends_the_claim() {
    let place = Place::new();
    let mut driver = Driver::serve();
    let mut claim = place.claim("source", "r1");
    claim["socket"] = json!(place.at(&"x".repeat(120)));
    let error = driver.ask("claim", claim).expect_err("too long");
    assert!(error["code"] == "socket/path" && error["message"].as_str().expect("text").contains("107"), "{error}");
    place.set_up(&mut driver, "source");
}

#[test]
fn another_user_is_refused_even_where_the_folder_lets_it_in() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let mut driver = Driver::serve();
    place.set_up(&mut driver, "source");
    let socket = place.socket("r1");
    assert!(as_user(65534, || UnixStream::connect(&socket)).is_err(), "the folder is private");
    fs::set_permissions(place.dir.join("sockets"), fs::Permissions::from_mode(0o755)).expect("chmod");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("chmod");
    let mut stream = as_user(65534, || UnixStream::connect(&socket)).expect("let in");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("and closed");
    assert!(said.contains("owner/other-user"), "{said}");
    driver.ok("status", json!({}));
}

#[test]
fn a_helper_takes_a_few_connections_and_gives_them_back() {
    let place = Place::new();
    let mut driver = Driver::serve();
    place.set_up(&mut driver, "source");
    let connect = || UnixStream::connect(place.socket("r1")).expect("connect");
    let taken: Vec<UnixStream> = (0..7).map(|_| connect()).collect();
    let mut said = String::new();
    connect().read_to_string(&mut said).expect("closed");
    assert!(said.contains("owner/crowded"), "{said}");
    drop(taken);
    wait_for("room", || {
        let mut proxy = Driver::attach(&place.socket("r1"));
        let id = proxy.send("ping", json!({}));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| proxy.reply(id))).ok()
    })
    .expect("answered");
}

#[test]
fn a_signal_ends_it_in_good_order() {
    let (here, there) = (Place::new(), Place::new());
    let mut pair = Pair::connected(&here, &there);
    let precopy = pair.source.send("precopy", held_precopy());
    pair.source.event("round-end");
    pair.source.signal(libc::SIGHUP);
    pair.source.event("round-end");
    pair.source.signal(libc::SIGTERM);
    assert_eq!(pair.source.reply(precopy).expect_err("undone first")["code"], "run/cancelled");
    let (status, stderr) = pair.source.end();
    assert!(status.success() && stderr.contains("ended by a signal"), "{status} {stderr}");
    assert!(!exists(&here.socket("r1")));
}

/// What is answered beside the worker passes no guard there: it must not act on another run, or for an old owner.
#[test]
fn a_late_cancel_or_rollback_changes_nothing() {
    let (here, there) = (Place::new(), Place::new());
    let mut pair = Pair::connected(&here, &there);
    let run = std::mem::replace(&mut pair.source.run, "20260101T000000-dead".to_owned());
    for op in ["cancel", "proceed", "tune", "continue", "rollback"] {
        let error = pair.source.ask(op, json!({})).expect_err("of another run");
        assert_eq!(error["code"], "protocol/other-run", "{op}");
    }
    pair.source.run = run;
    pair.cut_over();
}
