//! Stopping processes so that they write nothing, and waking those that were stopped here, and only those.
//!
//! By the freezer of cgroup v2 where all processes of the cgroup are to be stopped, which they and their parents do not
//! notice; else by SIGSTOP, which stops all threads of a process.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::cgroup::Cgroups;
use super::found::{Identity, Mapper, Processes};
use super::stopped_list::{How, Listed, StoppedList};
use crate::error::{HelperError, Result};
use crate::message::FreezeWith;

struct Stopped {
    is: Identity,
    name: String,
    how: How,
    /// None where no signal will be sent.
    pidfd: Option<OwnedFd>,
}

pub struct Freezer {
    processes: Processes,
    cgroups: Cgroups,
    with: FreezeWith,
    stopped: Vec<Stopped>,
    /// What another helper needs to wake them, should this one be killed.
    list: Option<StoppedList>,
}

impl Freezer {
    pub fn new(processes: Processes, cgroups: Cgroups, with: FreezeWith, list: Option<StoppedList>) -> Self {
        Self { processes, cgroups, with, stopped: Vec::new(), list }
    }

    /// Stops all of them, and those that `find` names in addition once they stand: a process that was forked or
    /// started meanwhile. Returns what `find` named last, when all of it stood.
    ///
    /// # Errors
    /// `tracker/process-running` when one does not stand at `until`; those that stand stay so until [`Self::wake`].
    pub fn stop_all(&mut self, until: Instant, find: &dyn Fn() -> Result<Vec<Mapper>>) -> Result<Vec<Mapper>> {
        loop {
            let found = find()?;
            let fresh: Vec<&Mapper> = found.iter().filter(|mapper| !self.has(mapper.is)).collect();
            if fresh.is_empty() {
                return Ok(found);
            }
            self.stop(&fresh, &found)?;
            self.await_stopped(until)?;
        }
    }

    fn has(&self, is: Identity) -> bool {
        self.stopped.iter().any(|stopped| stopped.is == is)
    }

    fn stop(&mut self, fresh: &[&Mapper], all: &[Mapper]) -> Result<()> {
        let pids: Vec<u32> = all.iter().map(|mapper| mapper.is.pid).collect();
        let mut chosen: Vec<Stopped> = Vec::new();
        for mapper in fresh {
            let how = self.how(mapper.is.pid, &pids)?;
            let signal = matches!(how, How::Signal);
            let pidfd = if signal { self.pidfd(mapper)? } else { None };
            if signal && pidfd.is_none() {
                // It has ended; what it mapped counts as written.
                continue;
            }
            chosen.push(Stopped { is: mapper.is, name: mapper.to_string(), how, pidfd });
        }
        // On disk before the first of them stands: after that this helper may be killed at any time.
        if let Some(list) = &self.list {
            list.write(self.stopped.iter().chain(&chosen).map(|stopped| Listed { is: stopped.is, how: &stopped.how }))?;
        }
        for stopped in chosen {
            let done = match (&stopped.how, &stopped.pidfd) {
                (How::Cgroup(folder), _) => Cgroups::freeze(folder, true),
                (How::Signal, Some(pidfd)) => signal(pidfd, Signal::STOP),
                (How::Signal, None) | (How::Before, _) => Ok(()),
            };
            let name = stopped.name.clone();
            self.stopped.push(stopped);
            done.map_err(|error| {
                HelperError::os("tracker/process-running", format!("stop {name}"), &error, "it goes on writing")
                    .suggest("run the helper as root")
            })?;
        }
        Ok(())
    }

    fn how(&self, pid: u32, all: &[u32]) -> Result<How> {
        if let Some(folder) = self.cgroups.frozen(pid, &self.processes) {
            return Ok(How::frozen_before(&folder, self.stopped.iter().map(|stopped| &stopped.how)));
        }
        if self.processes.is_stopped(pid) {
            return Ok(How::Before);
        }
        let own = if self.with == FreezeWith::Signal { None } else { self.cgroups.own(pid, all, &self.processes) };
        match own {
            Some(folder) => Ok(How::Cgroup(folder)),
            None if self.with == FreezeWith::Cgroup => Err(HelperError::new(
                "tracker/process-running",
                format!("process {pid} has no cgroup (v2) of its own that can be frozen"),
            )
            .suggest("start it in a cgroup of its own, or let `trackers.process.freeze` be `auto`")),
            None => Ok(How::Signal),
        }
    }

    /// `None`: it is gone, or its pid is another's by now.
    fn pidfd(&self, mapper: &Mapper) -> Result<Option<OwnedFd>> {
        let Some(pid) = i32::try_from(mapper.is.pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(self.processes.is_alive(mapper.is).then_some(pidfd)),
            Err(Errno::SRCH) => Ok(None),
            Err(errno) => Err(HelperError::os(
                "tracker/process-running",
                format!("pidfd_open of {mapper}"),
                &errno.into(),
                "without it the process cannot be stopped safely",
            )),
        }
    }

    fn await_stopped(&self, until: Instant) -> Result<()> {
        let mut wait = Duration::from_micros(50);
        loop {
            match self.check() {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => std::thread::sleep(wait),
            }
            wait = (wait * 2).min(Duration::from_millis(5));
        }
    }

    /// Whether those that were stopped stand, each that is still there.
    ///
    /// # Errors
    /// `tracker/process-running` naming those that do not.
    pub fn check(&self) -> Result<()> {
        let running: Vec<&str> = self
            .stopped
            .iter()
            .filter(|stopped| self.processes.is_alive(stopped.is) && !self.stands(stopped))
            .map(|stopped| stopped.name.as_str())
            .collect();
        if running.is_empty() {
            return Ok(());
        }
        let message =
            format!("does not stand still while its memory is read for the last time: {}", running.join(", "));
        Err(HelperError::new("tracker/process-running", message)
            .suggest("see that nothing sends it SIGCONT or thaws its cgroup, and that it is not stuck in the kernel"))
    }

    fn stands(&self, stopped: &Stopped) -> bool {
        match &stopped.how {
            How::Cgroup(folder) => Cgroups::is_frozen(folder),
            How::Signal => self.processes.is_stopped(stopped.is.pid),
            How::Before => {
                self.processes.is_stopped(stopped.is.pid)
                    || self.cgroups.frozen(stopped.is.pid, &self.processes).is_some()
            }
        }
    }

    /// Whether `is` stands, or was told to.
    pub fn knows(&self, is: Identity) -> bool {
        self.has(is)
    }

    pub fn names(&self) -> Vec<String> {
        self.stopped.iter().map(|stopped| stopped.name.clone()).collect()
    }

    /// Lets those run again that were stopped here. Repeating it is safe; what could not be woken is tried again.
    ///
    /// # Errors
    /// `tracker/process-not-woken` naming what stands still.
    pub fn wake(&mut self) -> Result<()> {
        let mut failed = None;
        let (processes, mut left) = (&self.processes, Vec::new());
        for stopped in self.stopped.drain(..) {
            let woken = match (&stopped.how, &stopped.pidfd) {
                (How::Cgroup(folder), _) => thaw(folder),
                (How::Signal, Some(pidfd)) => signal(pidfd, Signal::CONT),
                (How::Signal, None) | (How::Before, _) => Ok(()),
            };
            if let Err(error) = woken
                && processes.is_alive(stopped.is)
            {
                failed.get_or_insert(not_woken(&stopped.name, &error));
                left.push(stopped);
            }
        }
        self.stopped = left;
        match (failed, &self.list) {
            (Some(error), _) => Err(error),
            (None, Some(list)) => list.remove(),
            (None, None) => Ok(()),
        }
    }
}

pub fn not_woken(name: &str, error: &std::io::Error) -> HelperError {
    HelperError::os("tracker/process-not-woken", format!("wake {name}"), error, "it stands still")
        .suggest("wake it by hand: `kill -CONT PID`, or write 0 to cgroup.freeze of its cgroup")
}

/// A cgroup that is gone has no processes to wake.
pub fn thaw(folder: &Path) -> std::io::Result<()> {
    match Cgroups::freeze(folder, false) {
        Err(error) if super::found::is_gone(&error) => Ok(()),
        other => other,
    }
}

pub fn signal(pidfd: &OwnedFd, signal: Signal) -> std::io::Result<()> {
    match pidfd_send_signal(pidfd, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

impl How {
    /// A cgroup frozen by ourselves a moment ago, for another of its processes, is ours to thaw; else it is not.
    fn frozen_before<'a>(folder: &Path, mut ours: impl Iterator<Item = &'a Self>) -> Self {
        let mine = ours.any(|how| matches!(how, Self::Cgroup(frozen) if frozen == folder));
        if mine { Self::Cgroup(PathBuf::from(folder)) } else { Self::Before }
    }
}

/// Wakes what a helper that is gone left standing, by the list it kept.
///
/// # Errors
/// `tracker/process-not-woken`, once all were tried; the list stays.
pub fn wake_listed(list: &StoppedList) -> Result<()> {
    let processes = Processes::of_this_host();
    let mut failed = None;
    for (is, how) in list.read()? {
        let woken = match &how {
            How::Before => Ok(()),
            How::Cgroup(folder) => thaw(folder),
            How::Signal => wake_by_pid(is, &processes),
        };
        if let Err(error) = woken {
            failed.get_or_insert(not_woken(&format!("pid {}", is.pid), &error));
        }
    }
    failed.map_or_else(|| list.remove(), Err)
}

fn wake_by_pid(is: Identity, processes: &Processes) -> std::io::Result<()> {
    let Some(pid) = i32::try_from(is.pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) if processes.is_alive(is) => signal(&pidfd, Signal::CONT),
        Ok(_) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
