//! What a listener says of those it turned away: each kind of refusal once an address, and never more than a few lines,
//! however many come.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::message::{Event, EventSink};

/// Lines of one listener, at most, before the last one that counts the rest.
const MOST_LINES: usize = 16;

pub struct Strangers {
    events: Arc<dyn EventSink>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    seen: HashSet<(IpAddr, &'static str)>,
    untold: u64,
}

impl Strangers {
    pub fn new(events: Arc<dyn EventSink>) -> Self {
        Self { events, told: Mutex::default() }
    }

    /// Notes one; `code` is what its refusal has in common with others.
    pub fn turned_away(&self, from: IpAddr, code: &'static str, why: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.seen.len() >= MOST_LINES || !told.seen.insert((from, code)) {
            told.untold += 1;
            return;
        }
        drop(told);
        self.log(format!("turned away a connection from {from}: {why} ({code})"));
    }

    fn log(&self, message: String) {
        self.events.emit(Event::Log { level: "warn", message, device: None });
    }
}

/// Once the last one was judged, those that got no line of their own are counted in one.
impl Drop for Strangers {
    fn drop(&mut self) {
        let untold = self.told.get_mut().unwrap_or_else(PoisonError::into_inner).untold;
        if untold > 0 {
            self.log(format!("turned away {untold} more connections of strangers"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl EventSink for Lines {
        fn emit(&self, event: Event) {
            if let Event::Log { message, .. } = event {
                self.0.lock().expect("not poisoned").push(message);
            }
        }
    }

    #[test]
    fn a_flood_is_a_few_lines_and_a_count() {
        let lines = Arc::new(Lines::default());
        let strangers = Strangers::new(Arc::clone(&lines) as Arc<dyn EventSink>);
        for number in 0..1000u32 {
            strangers.turned_away(Ipv4Addr::from(number % 100).into(), "wire/secret", "no secret");
        }
        drop(strangers);
        let lines = lines.0.lock().expect("not poisoned");
        assert_eq!(lines.len(), MOST_LINES + 1);
        assert!(lines[0].contains("0.0.0.0: no secret (wire/secret)"), "{}", lines[0]);
        assert!(lines[MOST_LINES].contains("984 more"), "{}", lines[MOST_LINES]);
    }
}
