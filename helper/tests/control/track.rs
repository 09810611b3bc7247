//! Every device has a tracker, and one that does not answer holds nobody.

use std::time::Duration;

use serde_json::json;

use crate::driver::{Driver, wait_for};
use crate::place::{BYTES, Place, container, device, memory, track};

#[test]
fn a_device_without_a_tracker_is_refused_and_named() {
    let here = Place::new();
    let mut driver = Driver::serve();
    here.set_up(&mut driver, "source");
    let mut second = container(false);
    second["container"] = json!("d");
    driver.ok("container", second);
    let mut nic = device(8);
    (nic["device"], nic["container"]) = (json!("nic"), json!("d"));
    driver.ok("device", nic);
    driver.ok("map", json!({"container": "d"}));

    let error = driver.ask("track", track()).expect_err("nic is seen by none");
    assert_eq!(error["code"], "tracker/uncovered");
    assert!(error["message"].as_str().is_some_and(|text| text.ends_with(": nic")), "{error}");
    let both = json!({"trackers": [
        {"tracker": "pinned:c", "kind": "pinned", "container": "c"},
        {"tracker": "pinned:d", "kind": "pinned", "container": "d"},
    ]});
    driver.ok("track", both);
}

#[test]
fn one_that_sees_every_page_covers_all() {
    let here = Place::new();
    let mut driver = Driver::serve();
    here.set_up(&mut driver, "source");
    driver.ok("track", json!({"trackers": [{"tracker": "all", "kind": "all"}]}));
}

/// The signal that ends a helper, and a cancel, while a read does not return.
#[test]
fn a_read_that_never_returns_ends_with_the_cancel_and_does_not_keep_the_process() {
    let here = Place::new();
    let mut driver = Driver::serve();
    driver.ok("claim", here.claim("source", "r1"));
    driver.ok("memory", memory(BYTES));
    driver.ok("container", container(false));
    let mut hanging = device(7);
    hanging["target"]["spec"]["faults"] = json!([{"kind": "tracker-hangs", "nth": 2}]);
    driver.ok("device", hanging);
    driver.ok("map", json!({"container": "c"}));
    driver.ok("track", track());
    driver.ok("dirty", json!({}));
    let hangs = driver.send("dirty", json!({}));
    assert!(driver.reply_within(hangs, Duration::from_millis(100)).is_none(), "it hangs");
    driver.ok("cancel", json!({}));
    assert_eq!(driver.reply(hangs).expect_err("cancelled")["code"], "run/cancelled");
    // It is asked nothing any more, and that was told once.
    driver.ok("untrack", json!({}));
    driver.hang_up();
    assert!(driver.end_status().success());
    wait_for("its socket is gone", || (!here.socket("r1").exists()).then_some(()));
}
