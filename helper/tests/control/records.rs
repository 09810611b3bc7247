//! What a helper that died left behind.

use serde_json::{Value, json};

use crate::driver::Driver;
use crate::place::Place;
use crate::run::{Pair, held_precopy};

pub fn ask(place: &Place, role: &str, discard: bool) -> Result<Value, Value> {
    let params = json!({"recordDir": place.at("records"), "run": "r1", "role": role, "discard": discard});
    Driver::serve().ask("record", params).map(|reply| reply["record"].clone())
}

#[test]
fn a_dead_helpers_record_is_read_by_another() {
    let (here, there) = (Place::new(), Place::new());
    assert_eq!(ask(&here, "source", false), Ok(json!("none")));
    let mut pair = Pair::connected(&here, &there);
    assert_eq!(ask(&here, "source", false), Ok(json!("none")));
    pair.cut_over();
    pair.source.kill();
    pair.destination.kill();
    assert_eq!(ask(&here, "source", false), Ok(json!("committed")));
    assert_eq!(ask(&there, "destination", false), Ok(json!("committed")));
    assert_eq!(ask(&there, "destination", true).expect_err("committed")["code"], "record/committed");
    assert_eq!(ask(&here, "destination", true), Ok(json!("discarded")));
}

#[test]
fn a_destination_that_closed_what_ran_there_says_so() {
    let (here, there) = (Place::new(), Place::new());
    let mut pair = Pair::moved(&here, &there);
    assert_eq!(ask(&there, "destination", false), Ok(json!("committed")));
    pair.destination.ok("release", json!({}));
    assert_eq!(ask(&there, "destination", false), Ok(json!("settled")));
    assert_eq!(ask(&there, "destination", true).expect_err("settled")["code"], "record/committed");
    pair.source.ok("release", json!({}));
    assert_eq!(ask(&here, "source", false), Ok(json!("committed")), "it only closes its devices");

    let (here, there) = (Place::new(), Place::new());
    let mut held = Pair::moved(&here, &there);
    held.destination.ok("stay", there.stay(serde_json::Value::Null));
    assert_eq!(ask(&there, "destination", false), Ok(json!("settled")), "it is a holder, and no longer the run's");

    let (here, there) = (Place::new(), Place::new());
    let mut given_up = Pair::moved(&here, &there);
    given_up.destination.ok("release", json!({"giveUp": true}));
    assert_eq!(ask(&there, "destination", false), Ok(json!("committed")));
}

#[test]
fn a_source_whose_devices_ran_again_says_so_before_it_closes_them() {
    let (here, there) = (Place::new(), Place::new());
    let mut pair = Pair::connected(&here, &there);
    // No one asks it to: its owner is gone.
    pair.source.hang_up();
    pair.source.end_status();
    assert_eq!(ask(&here, "source", false), Ok(json!("settled")));

    let (here, there) = (Place::new(), Place::new());
    let mut pair = Pair::connected(&here, &there);
    pair.source.kill();
    assert_eq!(ask(&here, "source", false), Ok(json!("none")), "killed, it says nothing");
}

/// Closed without a rollback, between pre-copy and cutover: the kernel would reset a device in PRE_COPY.
#[test]
fn a_run_that_is_released_in_its_middle_is_undone_first() {
    let (here, there) = (Place::new(), Place::new());
    let mut pair = Pair::connected(&here, &there);
    let mut params = held_precopy();
    params["hold"] = json!(null);
    params["maxRounds"] = json!(1);
    pair.source.ok("precopy", params);
    pair.source.ok("release", json!({}));
    assert_eq!(ask(&here, "source", false), Ok(json!("settled")), "every device ran again before it was closed");
}

/// A folder of records that is gone must not keep devices from going back: before COMMIT there is nothing to record.
#[test]
fn devices_go_back_without_a_folder_for_records() {
    let (here, there) = (Place::new(), Place::new());
    let mut pair = Pair::connected(&here, &there);
    let mut params = held_precopy();
    params["hold"] = json!(null);
    params["maxRounds"] = json!(1);
    pair.source.ok("precopy", params);
    let folder = here.at("records");
    std::fs::rename(&folder, format!("{folder}.away")).expect("rename");
    let reply = pair.source.ok("rollback", json!({}));
    assert_eq!(reply["needsPerson"], json!([]));
    assert!(reply["devices"].as_array().is_some_and(|all| all.iter().all(|at| at["state"] == "RUNNING")), "{reply}");
}
