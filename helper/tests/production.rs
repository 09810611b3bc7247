//! A helper built without the simulator, as a process: it says so, whichever way simulated devices are asked for.
#![cfg(not(feature = "sim"))]

// What they share with the other tests; not all of it is used here.
#[allow(dead_code)]
#[path = "control/driver.rs"]
mod driver;
#[allow(dead_code)]
#[path = "control/place.rs"]
mod place;

use serde_json::json;

use driver::Driver;
use place::{Place, container, device, memory};

#[test]
fn whatever_needs_the_simulator_is_refused() {
    let place = Place::new();
    let mut driver = Driver::serve();
    driver.hello();
    driver.ok("inventory", json!({}));
    let declared = json!({"name": "vgpu", "spec": device(7)["target"]["spec"]});
    let error = driver.ask("inventory", json!({"sim": [declared]})).expect_err("no simulator");
    assert_eq!(error["code"], "sim/not-built");
    assert!(error["suggestion"].as_str().is_some_and(|what| what.contains("build:helper")), "{error}");

    driver.ok("claim", place.claim("source", "r1"));
    let mut plain = memory(place::BYTES);
    assert_eq!(driver.refused("memory", plain.clone()), "sim/not-built", "content only a checker needs");
    plain["regions"][0].as_object_mut().expect("region").remove("fill");
    driver.ok("memory", plain);
    assert_eq!(driver.refused("container", container(false)), "sim/not-built");
    assert_eq!(driver.refused("check", json!({})), "sim/not-built");
}

/// A simulated device's stamps begin with these bytes: a program that can write them holds the simulator.
#[test]
fn the_program_holds_no_simulator() {
    let program = std::fs::read(driver::BINARY).expect("program");
    for word in ["FRYSTAMP", "sim/not-programmed"] {
        assert!(!program.windows(word.len()).any(|bytes| bytes == word.as_bytes()), "{word}");
    }
    let refusal = b"sim/not-built";
    assert!(program.windows(refusal.len()).any(|bytes| bytes == refusal), "bytes are found where they are");
}
