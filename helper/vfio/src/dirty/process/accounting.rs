//! What counts as written although no page table says so.

use std::collections::HashMap;

use super::found::Identity;
use super::spans::{Span, parts_without};

/// How a span was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Protected,
    SoftDirty,
}

/// What one process mapped at one read.
pub type Mapped = Vec<(Span, Method)>;
/// What every process mapped at one read.
pub type Books = HashMap<Identity, Mapped>;

/// Of two reads in turn, the spans whose bits at the second do not tell everything since the first: gone with their page
/// table; new, so that nothing was reset at the first; or read another way than the first time.
pub fn untold(before: &Books, now: &Books) -> Vec<Span> {
    let mut untold = Vec::new();
    for (is, mapped) in before {
        untold.extend(parts_without(&spans(mapped), &now.get(is).map(spans).unwrap_or_default()));
    }
    for (is, mapped) in now {
        for method in [Method::Protected, Method::SoftDirty] {
            let known = before.get(is).map(|before| of(before, method)).unwrap_or_default();
            untold.extend(parts_without(&of(mapped, method), &known));
        }
    }
    untold
}

fn spans(mapped: &Mapped) -> Vec<Span> {
    mapped.iter().map(|(span, _)| *span).collect()
}

fn of(mapped: &Mapped, method: Method) -> Vec<Span> {
    mapped.iter().filter(|(_, used)| *used == method).map(|(span, _)| *span).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const PAGE: u64 = 4096;

    /// One thing that happens to the processes of the model. Numbers are taken modulo what there is.
    #[derive(Debug, Clone)]
    enum Act {
        /// Maps pages of the memory, over what was there.
        Map {
            pid: u32,
            at: u64,
            page: u64,
            pages: u64,
        },
        Unmap {
            pid: u32,
            at: u64,
            pages: u64,
        },
        Write {
            pid: u32,
            at: u64,
        },
        /// The pid becomes another process's, without mappings.
        Replace {
            pid: u32,
        },
        /// A userfaultfd comes, or goes, for all of a process.
        Protect {
            pid: u32,
            on: bool,
        },
        Read,
    }

    /// A process: address page to memory page, and the bits of both kinds, which end with their mapping.
    #[derive(Default)]
    struct Process {
        started: u64,
        protected: bool,
        pages: BTreeMap<u64, u64>,
        /// Of a new mapping neither kind of bit is reset.
        unprotected: BTreeSet<u64>,
        soft_dirty: BTreeSet<u64>,
    }

    impl Process {
        fn unmap(&mut self, at: u64) {
            self.pages.remove(&at);
            self.unprotected.remove(&at);
            self.soft_dirty.remove(&at);
        }

        fn spans(&self) -> Vec<Span> {
            let mut spans: Vec<Span> = Vec::new();
            for (at, page) in &self.pages {
                let span = Span { start: at * PAGE, end: (at + 1) * PAGE, iova: page * PAGE };
                match spans.last_mut() {
                    Some(last) if last.end == span.start && last.iova_of(last.end) == span.iova => last.end = span.end,
                    _ => spans.push(span),
                }
            }
            spans
        }
    }

    fn act() -> impl Strategy<Value = Act> {
        let (pid, at, few) = (0u32..3, 0u64..10, 1u64..5);
        prop_oneof![
            1 => (pid.clone(), at.clone(), 0u64..10, few.clone())
                .prop_map(|(pid, at, page, pages)| Act::Map { pid, at, page, pages }),
            1 => (pid.clone(), at.clone(), few).prop_map(|(pid, at, pages)| Act::Unmap { pid, at, pages }),
            4 => (pid.clone(), at).prop_map(|(pid, at)| Act::Write { pid, at }),
            1 => pid.clone().prop_map(|pid| Act::Replace { pid }),
            1 => (pid, any::<bool>()).prop_map(|(pid, on)| Act::Protect { pid, on }),
            3 => Just(Act::Read),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// Every page written by a process that one of two reads in turn found is told by the second, whatever was mapped,
        /// unmapped, replaced or protected in between.
        #[test]
        fn no_write_is_lost(acts in prop::collection::vec(act(), 0..60)) {
            let mut processes: BTreeMap<u32, Process> = BTreeMap::new();
            let mut books = Books::new();
            let mut written: Vec<(Identity, u64, u64)> = Vec::new();
            for act in acts {
                match act {
                    Act::Map { pid, at, page, pages } => {
                        let process = processes.entry(pid).or_default();
                        for index in 0..pages {
                            process.unmap(at + index);
                            process.pages.insert(at + index, page + index);
                            process.unprotected.insert(at + index);
                            process.soft_dirty.insert(at + index);
                        }
                    }
                    Act::Unmap { pid, at, pages } => {
                        let process = processes.entry(pid).or_default();
                        (at..at + pages).for_each(|at| process.unmap(at));
                    }
                    Act::Write { pid, at } => {
                        let process = processes.entry(pid).or_default();
                        if let Some(page) = process.pages.get(&at) {
                            written.push((Identity { pid, started: process.started }, at, *page));
                            process.unprotected.insert(at);
                            process.soft_dirty.insert(at);
                        }
                    }
                    Act::Replace { pid } => {
                        let process = processes.entry(pid).or_default();
                        *process = Process { started: process.started + 1, ..Process::default() };
                    }
                    Act::Protect { pid, on } => {
                        let process = processes.entry(pid).or_default();
                        process.protected = on;
                        if !on {
                            // Protection ends with it: every page is as good as written.
                            process.unprotected = process.pages.keys().copied().collect();
                        }
                    }
                    Act::Read => {
                        let mut now = Books::new();
                        let mut told: BTreeSet<u64> = BTreeSet::new();
                        for (pid, process) in &mut processes {
                            let spans = process.spans();
                            if spans.is_empty() {
                                continue;
                            }
                            let method = if process.protected { Method::Protected } else { Method::SoftDirty };
                            let bits = if process.protected { &mut process.unprotected } else { &mut process.soft_dirty };
                            told.extend(bits.iter().filter_map(|at| process.pages.get(at)));
                            bits.clear();
                            let is = Identity { pid: *pid, started: process.started };
                            now.insert(is, spans.into_iter().map(|span| (span, method)).collect());
                        }
                        for span in untold(&books, &now) {
                            told.extend(span.iova / PAGE..(span.iova + span.bytes()) / PAGE);
                        }
                        for (is, at, page) in written.drain(..) {
                            let seen = |books: &Books| books.get(&is).into_iter().flatten().any(|(span, _)| {
                                (span.start..span.end).contains(&(at * PAGE)) && span.iova_of(at * PAGE) == page * PAGE
                            });
                            if seen(&books) || seen(&now) {
                                prop_assert!(told.contains(&page), "page {page} written by {is:?} at {at}");
                            }
                        }
                        books = now;
                    }
                }
            }
        }
    }

    fn is(pid: u32) -> Identity {
        Identity { pid, started: 1 }
    }

    fn span(start: u64, pages: u64) -> Span {
        Span { start: start * PAGE, end: (start + pages) * PAGE, iova: start * PAGE }
    }

    #[test]
    fn what_stays_as_it_was_speaks_for_itself() {
        let books = Books::from([(is(1), vec![(span(0, 4), Method::Protected)])]);
        assert_eq!(untold(&books, &books), []);
        assert_eq!(untold(&Books::new(), &books), [span(0, 4)], "a process not known before");
        assert_eq!(untold(&books, &Books::new()), [span(0, 4)], "one that is gone");
        let less = Books::from([(is(1), vec![(span(0, 3), Method::Protected)])]);
        assert_eq!(untold(&books, &less), [span(3, 1)], "a piece unmapped");
        let other = Books::from([(is(1), vec![(span(0, 4), Method::SoftDirty)])]);
        assert_eq!(untold(&books, &other), [span(0, 4)], "the userfaultfd was closed");
        let reused = Books::from([(Identity { pid: 1, started: 2 }, vec![(span(0, 4), Method::Protected)])]);
        assert_eq!(untold(&books, &reused).len(), 2, "the pid is another's: both whole");
    }
}
