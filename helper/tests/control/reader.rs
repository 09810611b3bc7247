//! An owner that stops reading what it is told: nothing waits for it, and it does not go unnoticed.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::driver::Driver;
use crate::place::{Place, exists};
use crate::run::{Pair, cutover};

#[test]
fn a_reader_that_stops_in_the_blackout_does_not_delay_it() {
    let (here, there) = (Place::new(), Place::new());
    let mut pair = Pair::connected(&here, &there);
    pair.source.stop_reading();
    let mut params = cutover();
    params["pauses"] = json!(["pre-resume"]);
    pair.source.send("cutover", params);
    // The event that says it pauses is not read either: the answer is repeated until the pause is there.
    let until = Instant::now() + Duration::from_secs(20);
    let received = loop {
        pair.source.send("continue", json!({"at": "pre-resume"}));
        if let Some(received) = pair.destination.reply_within(pair.receive, Duration::from_millis(200)) {
            break received.expect("received");
        }
        assert!(Instant::now() < until, "the cutover waits for the reader");
    };
    assert_eq!(received["outcome"], "running");
}

#[test]
fn an_owner_that_reads_nothing_and_says_nothing_is_gone() {
    let place = Place::new();
    let mut driver = Driver::serve();
    driver.ok("hello", json!({"protocol": 2, "keepaliveMs": 400}));
    place.set_up(&mut driver, "source");
    driver.stop_reading();
    driver.end_status_within(Duration::from_secs(15));
    assert!(!exists(&place.socket("r1")));
}

#[test]
fn an_owner_that_talks_on_and_reads_nothing_is_gone() {
    let place = Place::new();
    let mut driver = Driver::serve();
    driver.ok("hello", json!({"protocol": 2, "keepaliveMs": 400}));
    place.set_up(&mut driver, "source");
    driver.stop_reading();
    let until = Instant::now() + Duration::from_secs(15);
    while driver.is_alive() {
        assert!(Instant::now() < until, "it is still heard");
        driver.try_send("ping", json!({}));
        thread::sleep(Duration::from_millis(50));
    }
    assert!(!exists(&place.socket("r1")));
}
