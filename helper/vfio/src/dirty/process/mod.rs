//! The tracker for what CPUs write: the pages of the workload's memory that other processes wrote through their own
//! mappings of it. What is written past the mappings (write(2) on the file, devices and io_uring through pages pinned
//! earlier) shows in no page table and is not seen.
//!
//! Each read looks up anew who maps the memory. What a process mapped and maps no more counts as written, because its
//! page table is gone; so does what it maps only now, because its page table begins with this read.

mod accounting;
mod cgroup;
mod found;
mod freeze;
mod regions;
mod spans;
mod stopped_list;
mod written;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use accounting::{Books, Mapped, Method, untold};
use cgroup::Cgroups;
use found::{Identity, Mapper, Processes, is_gone};
use freeze::Freezer;
pub use freeze::wake_listed;
use regions::{Regions, mark_all};
use spans::Span;
pub use stopped_list::StoppedList;
use written::{clear_soft_dirty, has_soft_dirty, read_soft_dirty, take_protected};

use super::{DirtyBitmap, Tracker, TrackerKind};
use crate::error::{HelperError, Result};
use crate::memory::Memory;
use crate::message::{ProcessMethod, ProcessSpec};

/// How long a process may take to stand still for a read during pre-copy.
const ROUND_STOP: Duration = Duration::from_secs(1);

pub struct ProcessTracker {
    name: String,
    page_size: u64,
    regions: Regions,
    method: ProcessMethod,
    processes: Processes,
    freezer: Freezer,
    /// Stopped for the cutover: a read wakes nobody.
    held: bool,
    known: Books,
    names: Vec<String>,
    stopped: Duration,
}

impl ProcessTracker {
    /// `list`: where to write whom this tracker stopped.
    ///
    /// # Errors
    /// `tracker/start-failed` when the memory's own mappings cannot be found.
    pub fn new(name: &str, memory: &Memory, spec: ProcessSpec, list: Option<StoppedList>) -> Result<Self> {
        let processes = Processes::of_this_host();
        let regions = Regions::of(memory)?;
        Ok(Self {
            name: name.to_owned(),
            page_size: memory.page_size(),
            regions,
            method: spec.method,
            freezer: Freezer::new(processes.clone(), Cgroups::of_this_host(), spec.freeze, list),
            processes,
            held: false,
            known: Books::new(),
            names: Vec::new(),
            stopped: Duration::ZERO,
        })
    }

    /// Everything written since the last read, in `seen`.
    fn harvest(&mut self, seen: &mut DirtyBitmap) -> Result<()> {
        let backed = self.regions.backed();
        let mut now: Books = Books::new();
        let mut protected: HashSet<Identity> = HashSet::new();
        let mut names = Vec::new();
        let mut bare = Vec::new();
        for mapper in self.processes.mappers(&backed)? {
            names.push(mapper.to_string());
            match self.read_protected(&mapper, seen)? {
                Some(mapped) if mapped.len() == mapper.spans.len() => {
                    protected.insert(mapper.is);
                    now.insert(mapper.is, mapped);
                }
                Some(mapped) => {
                    now.insert(mapper.is, mapped);
                    bare.push(mapper);
                }
                None => mark_all(seen, &mapper.spans),
            }
        }
        self.stopped = Duration::ZERO;
        if !bare.is_empty() {
            self.must_have_soft_dirty(&bare)?;
            let read = self.read_stopped(&protected, &mut now, seen);
            if !self.held {
                let woken = self.freezer.wake();
                read.and(woken)?;
            } else {
                read?;
            }
        }
        mark_all(seen, &untold(&self.known, &now));
        self.known = now;
        self.names = names;
        Ok(())
    }

    /// The spans of a process that a userfaultfd protects; `None` when the process is gone.
    fn read_protected(&self, mapper: &Mapper, seen: &mut DirtyBitmap) -> Result<Option<Mapped>> {
        if self.method == ProcessMethod::SoftDirty {
            return Ok(Some(Vec::new()));
        }
        let Some(pagemap) = self.pagemap(mapper)? else { return Ok(None) };
        let mut mapped = Vec::new();
        for span in &mapper.spans {
            match take_protected(&pagemap, span) {
                Ok(found) => {
                    self.regions.mark(seen, span, &found);
                    mapped.push((*span, Method::Protected));
                }
                // The process ended, or became another program.
                Err(_) if !self.processes.is_alive(mapper.is) => return Ok(None),
                Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOTTY | libc::EINVAL)) => {}
                Err(error) => return Err(lost("PAGEMAP_SCAN", mapper, &error)),
            }
        }
        Ok(Some(mapped))
    }

    /// The rest by soft-dirty bits. All that are not wholly protected stand still from before the first bit is read
    /// until the last is cleared: two processes may share one page table.
    fn read_stopped(&mut self, protected: &HashSet<Identity>, now: &mut Books, seen: &mut DirtyBitmap) -> Result<()> {
        let began = Instant::now();
        let (backed, processes) = (self.regions.backed(), self.processes.clone());
        let others = || {
            let found = processes.mappers(&backed)?;
            Ok(found.into_iter().filter(|mapper| !protected.contains(&mapper.is)).collect())
        };
        let standing = self.freezer.stop_all(began + ROUND_STOP, &others)?;
        for mapper in &standing {
            let mapped = now.entry(mapper.is).or_default();
            let changed: Vec<Span> =
                mapped.iter().map(|(span, _)| *span).filter(|span| !mapper.spans.contains(span)).collect();
            mark_all(seen, &changed);
            mapped.retain(|(span, _)| mapper.spans.contains(span));
            let Some(pagemap) = self.pagemap(mapper)? else {
                now.remove(&mapper.is);
                mark_all(seen, &mapper.spans);
                continue;
            };
            for span in &mapper.spans {
                if mapped.iter().any(|(done, _)| done == span) {
                    continue;
                }
                let found = read_soft_dirty(&pagemap, span).map_err(|error| lost("read of pagemap", mapper, &error))?;
                self.regions.mark(seen, span, &found);
                mapped.push((*span, Method::SoftDirty));
            }
        }
        for mapper in &standing {
            match clear_soft_dirty(&self.processes.file(mapper.is.pid, "clear_refs")) {
                Err(error) if is_gone(&error) => {}
                done => done.map_err(|error| lost("write to clear_refs", mapper, &error))?,
            }
        }
        self.freezer.check()?;
        self.stopped = began.elapsed();
        Ok(())
    }

    /// `None` when the process is gone.
    fn pagemap(&self, mapper: &Mapper) -> Result<Option<File>> {
        let path = self.processes.file(mapper.is.pid, "pagemap");
        match File::open(&path) {
            Ok(file) => Ok(self.processes.is_alive(mapper.is).then_some(file)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(HelperError::os(
                "tracker/process-unreadable",
                format!("open {}", path.display()),
                &error,
                format!("{mapper} maps the memory"),
            )
            .suggest("run the helper as root")),
        }
    }

    fn must_have_soft_dirty(&self, bare: &[Mapper]) -> Result<()> {
        let names = bare.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let huge = bare.iter().flat_map(|mapper| &mapper.spans).any(|span| self.regions.is_huge(span));
        let why = if self.method == ProcessMethod::WriteProtect {
            "and the profile allows no other way (trackers.process.method)"
        } else if huge {
            "and huge pages have no soft-dirty bits"
        } else {
            match has_soft_dirty() {
                Ok(true) => return Ok(()),
                Ok(false) => "and this kernel has no soft-dirty bits (CONFIG_MEM_SOFT_DIRTY)",
                Err(error) => {
                    return Err(HelperError::os("tracker/start-failed", "read of /proc/self/pagemap", &error, ""));
                }
            }
        };
        let message =
            format!("{names}: its mapping is not under a userfaultfd for asynchronous write protection, {why}");
        Err(HelperError::new("tracker/process-unsupported", message)
            .suggest("let the process register its mapping (UFFD_FEATURE_WP_ASYNC), or end it before the run"))
    }
}

fn lost(operation: &str, mapper: &Mapper, error: &io::Error) -> HelperError {
    HelperError::os("tracker/log-lost", format!("{operation} of {mapper}"), error, "what it wrote is not known")
}

impl Tracker for ProcessTracker {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> TrackerKind {
        TrackerKind::Process
    }

    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn start(&mut self) -> Result<()> {
        // What was written before is nobody's concern: the first round sends every page.
        self.harvest(&mut DirtyBitmap::new(self.page_size, &self.regions.areas()))
    }

    fn read(&mut self, into: &mut DirtyBitmap) -> Result<u64> {
        let areas: Vec<_> = into.areas().collect();
        let mut seen = DirtyBitmap::new(into.page_size(), &areas);
        self.harvest(&mut seen)?;
        into.or(&seen);
        Ok(seen.count())
    }

    /// Whoever stands still goes on standing: after COMMIT nobody here may run.
    fn stop(&mut self) -> Result<()> {
        self.known.clear();
        Ok(())
    }

    fn stopped_us(&self) -> u64 {
        self.stopped.as_micros() as u64
    }

    fn writers(&self) -> Vec<String> {
        if self.held { self.freezer.names() } else { self.names.clone() }
    }

    fn stop_writers(&mut self, until: Instant) -> Result<()> {
        self.held = true;
        let (backed, processes) = (self.regions.backed(), self.processes.clone());
        self.freezer.stop_all(until, &|| processes.mappers(&backed)).map(drop)
    }

    fn writers_stopped(&self) -> Result<()> {
        self.freezer.check()?;
        let late = self.processes.mappers(&self.regions.backed())?;
        let late: Vec<_> = late.iter().filter(|m| !self.freezer.knows(m.is)).map(ToString::to_string).collect();
        if late.is_empty() {
            return Ok(());
        }
        let message = format!("mapped the memory after its last read: {}", late.join(", "));
        Err(HelperError::new("tracker/process-running", message).suggest("start nothing that maps it during a run"))
    }

    fn wake_writers(&mut self) -> Result<()> {
        self.held = false;
        self.freezer.wake()
    }
}
