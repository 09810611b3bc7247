//! Every device has a tracker.

use serde_json::json;

use crate::driver::Driver;
use crate::place::{Place, container, device, track};

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
