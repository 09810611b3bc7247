//! What a listener says of those it turned away: each kind of refusal once an address, and never more than a few lines,
//! however many come.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::message::{Event, EventSink};

/// Lines of one listener, at most, before the last one that counts the rest.
const MOST_LINES: usize = 16;

pub struct Rejections {
    events: Arc<dyn EventSink>,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    seen: HashSet<(IpAddr, &'static str)>,
    uncounted: u64,
}

impl Rejections {
    pub fn new(events: Arc<dyn EventSink>) -> Self {
        Self { events, noted: Mutex::default() }
    }

    /// Notes one; `code` is what its refusal has in common with others.
    pub fn note(&self, from: IpAddr, code: &'static str, why: &str) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.seen.len() >= MOST_LINES || !noted.seen.insert((from, code)) {
            noted.uncounted += 1;
            return;
        }
        drop(noted);
        self.log(format!("turned away a connection from {from}: {why} ({code})"));
    }

    fn log(&self, message: String) {
        self.events.emit(Event::Log { level: "warn", message, device: None });
    }
}

/// Once the last one was judged, those that got no line of their own are counted in one.
impl Drop for Rejections {
    fn drop(&mut self) {
        let uncounted = self.noted.get_mut().unwrap_or_else(PoisonError::into_inner).uncounted;
        if uncounted > 0 {
            self.log(format!("turned away {uncounted} more connections"));
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
        let rejections = Rejections::new(Arc::clone(&lines) as Arc<dyn EventSink>);
        for number in 0..1000u32 {
            rejections.note(Ipv4Addr::from(number % 100).into(), "wire/secret", "no secret");
        }
        drop(rejections);
        let lines = lines.0.lock().expect("not poisoned");
        assert_eq!(lines.len(), MOST_LINES + 1);
        assert!(lines[0].contains("0.0.0.0: no secret (wire/secret)"), "{}", lines[0]);
        assert!(lines[MOST_LINES].contains("984 more"), "{}", lines[MOST_LINES]);
    }
}
