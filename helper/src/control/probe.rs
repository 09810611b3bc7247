//! Whether the data connections of a profile would come about, and how long a word takes on them: `ferry doctor` asks,
//! without a run. Connections are made, secured and introduced as those of a run are, and closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::error::{FailureKind, HelperError, Result};
use crate::message::{ConnectParams, ConnectReply, EventSink, ListenParams, ListenReply};
use crate::privileges::without_capabilities;
use crate::transfer::confine::{Duty, confine_run};
use crate::transfer::net::tls::Identity;
use crate::transfer::streams::link::{Link, Listener};

/// Stands where a run's name does, which is never this: a source of a run that comes here is a stranger.
const RUN: &str = "probe";
/// How long the connections are waited for; the one who asked does not say when it is done.
const OPEN: Duration = Duration::from_secs(10);

/// Waits for the peer's connections in the background, once.
///
/// # Errors
/// Those of [`Listener::bind`].
pub fn expect(asked: &ListenParams, identity: &Arc<Identity>, events: Arc<dyn EventSink>) -> Result<ListenReply> {
    let listener = Listener::bind(asked, identity, RUN, 0)?;
    let address = listener.address();
    let over = Arc::new(AtomicBool::new(false));
    let thread = |error: std::io::Error| HelperError::os_of(FailureKind::Link, "link/thread", "clone", &error, "");
    {
        let over = Arc::clone(&over);
        // Whether they came is what the peer is told.
        thread::Builder::new()
            .spawn(move || drop(confine_run(&Duty::default()).and_then(|()| listener.accept(&over, &events))))
            .map_err(thread)?;
    }
    thread::Builder::new()
        .spawn(move || {
            without_capabilities();
            thread::sleep(OPEN);
            over.store(true, Ordering::Relaxed);
        })
        .map_err(thread)?;
    Ok(ListenReply { address: address.ip().to_string(), port: address.port() })
}

/// Connects to a helper that expects it, and closes.
///
/// # Errors
/// Those of [`Link::connect`].
pub fn probe(asked: &ConnectParams, identity: &Identity) -> Result<ConnectReply> {
    let link = Link::connect(asked, identity, RUN, 0, &Arc::new(AtomicBool::new(false)))?;
    Ok(ConnectReply { round_trip_us: link.round_trip().as_micros() as u64 })
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::message::Event;

    struct Nobody;

    impl EventSink for Nobody {
        fn emit(&self, _: Event) {}
    }

    /// What both ends are told, and `more`.
    fn end<T: DeserializeOwned>(peer: &Identity, more: Value) -> T {
        let mut all = json!({
            "encrypt": true, "peer": peer.fingerprint(), "secret": "5e".repeat(32), "linkTimeoutMs": 2000,
            "keepaliveMs": 2000, "streams": 3, "address": "127.0.0.1",
        });
        for (name, value) in more.as_object().expect("an object") {
            all[name.as_str()] = value.clone();
        }
        serde_json::from_value(all).expect("parameters")
    }

    #[test]
    fn all_connections_come_once_and_only_from_the_one_expected() {
        let [here, there, stranger] = [(); 3].map(|()| Arc::new(Identity::generate().expect("identity")));
        let asked = end(&there, json!({"port": 0, "from": null}));
        let listening = expect(&asked, &here, Arc::new(Nobody)).expect("listen");
        let way: ConnectParams = end(&here, json!({"port": listening.port, "use": 1, "bind": null}));
        assert!(probe(&way, &stranger).is_err());
        probe(&way, &there).expect("connect");
        probe(&ConnectParams { link_timeout_ms: 200, ..way }, &there).expect_err("its connections have come");
    }
}
