//! Runs between two helpers, as far as a test wants them.

use serde_json::{Value, json};

use crate::driver::Driver;
use crate::place::{Place, track};

pub struct Pair {
    pub source: Driver,
    pub destination: Driver,
    pub receive: u64,
}

fn ends(peer: &Value, more: Value) -> Value {
    let mut params = json!({
        "encrypt": true, "peer": peer["fingerprint"], "secret": "5a".repeat(32), "linkTimeoutMs": 20_000,
        "keepaliveMs": 20_000, "streams": 1,
    });
    for (name, value) in more.as_object().expect("an object") {
        params[name.as_str()] = value.clone();
    }
    params
}

impl Pair {
    /// Both fresh, set up, connected and tracking.
    pub fn connected(here: &Place, there: &Place) -> Self {
        let mut source = Driver::serve();
        here.set_up(&mut source, "source");
        Self::meet(source, there)
    }

    /// `source` is set up already; its destination is fresh.
    pub fn meet(source: Driver, there: &Place) -> Self {
        let mut destination = Driver::serve();
        destination.run = source.run.clone();
        there.set_up(&mut destination, "destination");
        Self::join(source, destination, track())
    }

    /// Both are set up already.
    pub fn join(mut source: Driver, mut destination: Driver, trackers: Value) -> Self {
        let (mine, theirs) = (source.hello(), destination.hello());
        let listening = destination.ok("listen", ends(&mine, json!({"address": "127.0.0.1", "port": 0, "from": null})));
        let receive = destination.send("receive", json!({}));
        let to = json!({"address": listening["address"], "port": listening["port"], "use": 1, "bind": null});
        source.ok("track", trackers);
        source.ok("connect", ends(&theirs, to));
        Self { source, destination, receive }
    }

    /// A whole run: the workload is on the destination when this returns.
    pub fn moved(here: &Place, there: &Place) -> Self {
        let mut pair = Self::connected(here, there);
        pair.cut_over();
        pair
    }

    /// The source dies when everything is on the destination and COMMIT was not given. Returns what the destination
    /// made of it.
    pub fn lose_the_source(&mut self) -> Value {
        let mut params = cutover();
        params["pauses"] = json!(["pre-resume"]);
        self.source.send("cutover", params);
        self.source.event("paused");
        self.source.kill();
        self.received()
    }

    /// What became of the destination, once it has left `receive`.
    pub fn received(&mut self) -> Value {
        self.destination.reply(self.receive).expect("received")
    }

    pub fn cut_over(&mut self) {
        let end = self.source.ok("cutover", cutover());
        assert_eq!(end["outcome"], "running", "{end}");
        let received = self.destination.reply(self.receive).expect("received");
        assert_eq!(received["outcome"], "running");
        let checked = self.destination.ok("check", json!({}));
        assert_eq!(checked["lostPages"], 0, "{checked}");
    }
}

pub fn cutover() -> Value {
    json!({"downtimeLimitMs": 60_000, "fixedBlackoutUs": 0, "verify": true})
}

/// A precopy that is held until somebody ends it.
pub fn held_precopy() -> Value {
    json!({
        "maxRounds": 10, "maxTimeMs": 60_000, "downtimeLimitMs": 60_000, "fixedBlackoutUs": 0, "verify": false,
        "hold": {"intervalMs": 20},
    })
}
