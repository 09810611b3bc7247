//! Holders, from one run to the next.

use serde_json::{Value, json};

use crate::driver::{Driver, wait_for};
use crate::place::{BYTES, Place, container, device, exists, memory, set_up_requests, track};
use crate::run::{Pair, held_precopy};

fn hold(place: &Place) -> Driver {
    let mut driver = Driver::serve();
    place.set_up(&mut driver, "source");
    driver.ok("stay", place.stay(Value::Null));
    driver
}

/// The last one's run is over a moment before the last one has left.
fn claim_when_free(driver: &mut Driver, params: Value) -> Result<Value, Value> {
    wait_for("a free holder", || match driver.ask("claim", params.clone()) {
        Err(error) if error["code"] == "owner/busy" => None,
        other => Some(other),
    })
}

/// A new ferry with run `run` on the holder, set up.
fn driven(place: &Place, run: &str) -> Driver {
    let mut driver = Driver::attach(&place.holder());
    driver.run = run.to_owned();
    assert_eq!(claim_when_free(&mut driver, place.claim("source", run)), Ok(json!({"held": true})));
    for (op, params) in set_up_requests() {
        driver.ok(op, params);
    }
    driver
}

fn is_holding(place: &Place) {
    let status = Driver::attach(&place.holder()).ok("status", json!({}));
    assert_eq!((&status["workload"], &status["run"], &status["phase"]), (&json!("w"), &Value::Null, &json!("idle")));
    assert_eq!(status["devices"], json!([{"device": "vgpu", "state": "RUNNING"}]));
}

#[test]
fn a_holder_outlives_its_maker_and_ends_when_it_is_released() {
    let place = Place::new();
    let mut maker = hold(&place);
    assert!(!exists(&place.socket("r1")), "it moved");
    maker.hang_up();
    assert!(maker.pipes_ended() && maker.is_alive());
    is_holding(&place);
    let mut other = Driver::serve();
    assert_eq!(other.refused("claim", place.claim("source", "r9")), "claim/busy", "its claims are kept");
    let mut last = Driver::attach(&place.holder());
    last.ok("release", json!({}));
    last.hang_up();
    assert!(maker.end_status().success());
    assert!(!exists(&place.holder()));
    hold(&place);
}

#[test]
fn a_run_that_is_undone_or_abandoned_leaves_the_holder_as_it_was() {
    let (here, there) = (Place::new(), Place::new());
    let mut maker = hold(&here);
    maker.hang_up();
    for (run, end) in [("r2", "keep"), ("r3", "hang up"), ("r4", "kill")] {
        let mut pair = Pair::meet(driven(&here, run), &there);
        let precopy = pair.source.send("precopy", held_precopy());
        pair.source.event("round-end");
        match end {
            "keep" => {
                pair.source.ok("cancel", json!({}));
                assert_eq!(pair.source.reply(precopy).expect_err("cancelled")["code"], "run/cancelled");
                pair.source.ok("rollback", json!({}));
                assert_eq!(pair.source.refused("unmap", json!({"container": "c"})), "request/out-of-order");
                pair.source.ok("untrack", json!({}));
                pair.source.ok("unmap", json!({"container": "c"}));
                pair.source.ok("release", json!({"keep": true}));
            }
            "hang up" => pair.source.hang_up(),
            _ => pair.source.kill(),
        }
        if end != "kill" {
            pair.source.hang_up();
            pair.source.end();
        }
        assert!(!exists(&here.socket(run)) || end == "kill");
        wait_for("holding", || {
            let status = Driver::attach(&here.holder()).ok("status", json!({}));
            status["run"].is_null().then_some(())
        });
        assert!(!exists(&here.socket(run)), "{end}");
        is_holding(&here);
    }
}

#[test]
fn a_workload_goes_to_another_host_and_back_between_holders() {
    let (a, b) = (Place::new(), Place::new());
    let mut holder = hold(&a);
    holder.hang_up();
    let mut from = &a;
    let mut to = &b;
    for turn in 0..4 {
        let mut pair = Pair::meet(driven(from, &format!("turn-{turn}")), to);
        pair.cut_over();
        assert_eq!(pair.source.refused("release", json!({"keep": true})), "request/out-of-order");
        assert_eq!(pair.source.refused("stay", from.stay(Value::Null)), "request/out-of-order");
        pair.destination.ok("stay", to.stay(Value::Null));
        pair.source.ok("release", json!({}));
        pair.source.hang_up();
        holder.end_status();
        assert!(!exists(&from.holder()));
        holder = pair.destination;
        holder.hang_up();
        is_holding(to);
        std::mem::swap(&mut from, &mut to);
    }
}

#[test]
fn a_run_that_does_not_fit_names_what_differs() {
    let place = Place::new();
    let mut maker = hold(&place);
    let mut driver = Driver::attach(&place.holder());
    driver.run = "r2".into();
    let wrong = |driver: &mut Driver, op: &str, params: Value, part: &str| {
        let error = driver.ask(op, params).expect_err(part);
        let message = error["message"].as_str().expect("text");
        assert!(error["code"] == "holder/mismatch" && message.contains(part), "{part}: {error}");
    };
    maker.hang_up();
    let first = claim_when_free(&mut driver, place.claim("destination", "r2"));
    assert_eq!(first.expect_err("a holder loads nothing")["code"], "holder/mismatch");
    wrong(&mut driver, "claim", place.claim("destination", "r2"), "run");
    let mut stranger = place.claim("source", "r2");
    stranger["devices"] = json!(["dev-0", "dev-1"]);
    wrong(&mut driver, "claim", stranger, "dev-1");
    driver.ok("claim", place.claim("source", "r2"));
    wrong(&mut driver, "memory", memory(2 * BYTES), "`ram`");
    driver.ok("memory", memory(BYTES));
    wrong(&mut driver, "container", container(true), "dirty tracking");
    driver.ok("container", container(false));
    wrong(&mut driver, "device", device(8), "seed");
    wrong(&mut driver, "track", track(), "device vgpu");
    driver.ok("device", device(7));
    driver.ok("map", json!({"container": "c"}));
    driver.ok("track", track());
    driver.ok("release", json!({"keep": true}));
    driver.hang_up();
    driver.end();
    is_holding(&place);
}

#[test]
fn only_a_whole_workload_that_runs_can_be_held() {
    let place = Place::new();
    let mut driver = Driver::serve();
    driver.ok("claim", place.claim("source", "r1"));
    assert_eq!(driver.refused("stay", place.stay(Value::Null)), "protocol/phase");
    driver.ok("memory", memory(BYTES));
    driver.ok("container", container(false));
    assert_eq!(driver.refused("stay", place.stay(Value::Null)), "request/out-of-order");
    driver.ok("device", device(7));
    assert_eq!(driver.refused("stay", place.stay(Value::Null)), "request/out-of-order");
    driver.ok("map", json!({"container": "c"}));
    driver.ok("stay", place.stay(Value::Null));

    let mut destination = Driver::serve();
    let there = Place::new();
    there.set_up(&mut destination, "destination");
    assert_eq!(destination.refused("stay", there.stay(Value::Null)), "request/out-of-order");
}

#[test]
fn a_signal_ends_a_holder() {
    let place = Place::new();
    let mut maker = hold(&place);
    maker.hang_up();
    assert!(maker.pipes_ended());
    maker.signal(libc::SIGTERM);
    assert!(maker.end_status().success());
    assert!(!exists(&place.holder()));
}
