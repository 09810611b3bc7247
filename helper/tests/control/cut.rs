//! The file behind a region is truncated by another process in mid-run: the helper lives, and the run ends undone.

use std::process::Command;

use serde_json::{Value, json};

use crate::driver::Driver;
use crate::place::{BYTES, Place, container, device, memory};
use crate::run::{Pair, cutover, held_precopy};

/// Connected; the source's memory is a file, whose path is returned.
fn over_a_file(here: &Place, there: &Place) -> (Pair, String) {
    let path = here.at("ram");
    std::fs::File::create(&path).and_then(|file| file.set_len(BYTES)).expect("made");
    let mut source = Driver::serve();
    source.ok("claim", here.claim("source", "r1"));
    let mut asked = memory(BYTES);
    asked["regions"][0]["backing"] = json!({"kind": "file", "path": path});
    source.ok("memory", asked);
    source.ok("container", container(false));
    source.ok("device", device(7));
    source.ok("map", json!({"container": "c"}));
    (Pair::meet(source, there), path)
}

fn truncate(path: &str) {
    let cut = Command::new("truncate").args(["-s", "8192", path]).status().expect("start");
    assert!(cut.success());
}

fn is_named(error: &Value) {
    assert_eq!(error["code"], "memory/gone", "{error}");
    assert!(error["message"].as_str().expect("text").contains("region ram"), "{error}");
}

fn is_undone(pair: &mut Pair, there: &Place) {
    pair.source.ok("rollback", json!({}));
    assert_eq!(pair.source.ok("status", json!({}))["devices"][0]["state"], "RUNNING");
    assert!(pair.source.is_alive() && pair.destination.is_alive());
    let asked = json!({"recordDir": there.at("records"), "run": "r1", "role": "destination"});
    assert_ne!(pair.destination.ok("record", asked)["record"], "committed");
}

#[test]
fn a_file_cut_in_precopy_ends_the_run() {
    let (here, there) = (Place::new(), Place::new());
    let (mut pair, path) = over_a_file(&here, &there);
    let precopy = pair.source.send("precopy", held_precopy());
    pair.source.event("round-end");
    truncate(&path);
    is_named(&pair.source.reply(precopy).expect_err("its memory is gone"));
    is_undone(&mut pair, &there);
}

#[test]
fn a_file_cut_in_the_blackout_is_never_committed() {
    for at in ["post-quiesce", "post-stop", "pre-resume"] {
        let (here, there) = (Place::new(), Place::new());
        let (mut pair, path) = over_a_file(&here, &there);
        let mut params = cutover();
        params["pauses"] = json!([at]);
        let id = pair.source.send("cutover", params);
        pair.source.event("paused");
        truncate(&path);
        pair.source.ok("continue", json!({"at": at}));
        let end = pair.source.reply(id).expect("undone");
        assert_eq!(end["outcome"], "rolled-back", "{at}: {end}");
        is_named(&end["cause"]);
        is_undone(&mut pair, &there);
    }
}
