//! The DMA engine: a thread of its own per device that writes to memory while the device is in a state that may.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::faults::DeviceFaults;
use super::log::DmaLog;
use super::pace::Pace;
use super::sync::lock;
use crate::error::{HelperError, Result};
use crate::iommu::{ClientId, Refused, SimIommu};
use crate::message::SimFault;
use crate::stamps::{PAGE_BYTES, Program};

/// Writes done under one hold of the locks: short enough that a STOP waits microseconds.
const BATCH: u64 = 32;
/// How long the engine waits after a refused write before it tries the same one again.
const RETRY: Duration = Duration::from_millis(1);

/// What the engine's thread, the device and its streams share.
pub(super) struct Shared {
    gate: Mutex<Gate>,
    wake: Condvar,
    /// Commands waiting for the gate. The engine releases it for them: the standard mutex is not fair.
    pending: AtomicU32,
    /// Copy of `Gate::position` for readers without the gate; never ahead of the data and the dirty bits.
    position: AtomicU64,
    iommu: Arc<SimIommu>,
    client: ClientId,
    faults: Arc<DeviceFaults>,
    pub(super) log: DmaLog,
}

#[derive(Default)]
struct Gate {
    program: Option<Program>,
    /// Sequence of the last write done.
    position: u64,
    /// The device's state lets it write.
    running: bool,
    frozen: u32,
    /// The write that was refused last, so that each counts as one fault however often it is tried.
    refused: u64,
    quit: bool,
}

impl Gate {
    fn active(&self) -> Option<Program> {
        self.program.filter(|_| self.running && self.frozen == 0)
    }
}

impl Shared {
    /// Runs `change` while the engine stands still between two writes, with all their dirty bits set. When it
    /// returns, the engine goes by what `change` left.
    fn command<T>(&self, change: impl FnOnce(&mut Gate) -> T) -> T {
        self.pending.fetch_add(1, Ordering::SeqCst);
        let mut gate = lock(&self.gate);
        let result = change(&mut gate);
        self.position.store(gate.position, Ordering::Release);
        self.pending.fetch_sub(1, Ordering::SeqCst);
        self.wake.notify_all();
        result
    }

    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    pub(super) fn progress(&self) -> Option<(Program, u64)> {
        self.command(|gate| gate.program.map(|program| (program, gate.position)))
    }

    pub(super) fn freeze(&self) {
        self.command(|gate| gate.frozen += 1);
    }

    pub(super) fn thaw(&self) {
        self.command(|gate| gate.frozen = gate.frozen.saturating_sub(1));
    }

    fn run(&self) {
        let mut gate = lock(&self.gate);
        let mut pace: Option<Pace> = None;
        while !gate.quit {
            let program = gate.active().filter(|_| self.pending.load(Ordering::SeqCst) == 0);
            let Some(program) = program else {
                if gate.active().is_none() {
                    pace = None;
                }
                gate = self.wake.wait(gate).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let now = Instant::now();
            let clock = pace.get_or_insert_with(|| Pace::new(now, program.bytes_per_second, PAGE_BYTES));
            let due = clock.due(now).min(BATCH);
            let nap = if due == 0 {
                clock.until_next(now)
            } else {
                let done = self.write(&mut gate, &program, due);
                clock.issued(done);
                if done < due { RETRY } else { Duration::ZERO }
            };
            if !nap.is_zero() && self.pending.load(Ordering::SeqCst) == 0 {
                gate = self.wake.wait_timeout(gate, nap).unwrap_or_else(PoisonError::into_inner).0;
            } else {
                drop(gate);
                gate = lock(&self.gate);
            }
        }
    }

    /// Does up to `count` writes; fewer when one is refused or somebody waits for the gate.
    ///
    /// The order within a write is the whole point of a dirty log: first the data, then the bit. A tracker that
    /// reads and clears the bit, and then copies the page, can come in between at three places:
    /// - before the data: the bit is set after it has read, so the page is reported again;
    /// - between data and bit: the same, and the copy made meanwhile is merely early;
    /// - after the bit: it reports the page, and its copy comes after the data.
    ///
    /// With the bit first, a tracker could clear it and copy the old page before the data landed, and no one would
    /// ever report that page: lost. For the same reason a bit found set already is set again, by a read-modify-write:
    /// having merely seen it set says nothing about a tracker that is clearing it, while on x86 our data may still sit
    /// in the store buffer. Setting is a release, clearing an acquire, so a thread that takes the bit sees the data.
    ///
    /// The page table and the log are held (shared) over data and bits together: a thread that unmaps, or starts or stops a
    /// log, waits for the writes in flight, and a write is wholly before or wholly after it.
    fn write(&self, gate: &mut Gate, program: &Program, count: u64) -> u64 {
        let log = self.log.hold();
        let port = self.iommu.port(self.client);
        for done in 0..count {
            if self.pending.load(Ordering::Relaxed) != 0 {
                return done;
            }
            let sequence = gate.position + 1;
            let (iova, data) = program.write(sequence);
            match port.write(iova, &data) {
                Ok(()) => {}
                Err(Refused::NotReady) => return done,
                Err(Refused::Fault) => {
                    if gate.refused != sequence {
                        gate.refused = sequence;
                        port.count_fault();
                    }
                    return done;
                }
            }
            log.mark(iova);
            self.faults.wrote(iova & !(PAGE_BYTES - 1));
            gate.position = sequence;
            self.position.store(sequence, Ordering::Release);
        }
        count
    }
}

/// Owns the thread; ends it when dropped.
pub(super) struct Engine {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    pub(super) fn start_thread(
        device: &str,
        iommu: Arc<SimIommu>,
        client: ClientId,
        faults: Arc<DeviceFaults>,
    ) -> Result<Self> {
        let log = DmaLog::new(faults.has(&SimFault::LogForgets));
        let shared = Arc::new(Shared {
            gate: Mutex::default(),
            wake: Condvar::new(),
            pending: AtomicU32::new(0),
            position: AtomicU64::new(0),
            iommu,
            client,
            faults,
            log,
        });
        let engine = Arc::clone(&shared);
        let thread = Builder::new().name(format!("sim-{device}")).spawn(move || engine.run()).map_err(|error| {
            HelperError::os("device/open-failed", "clone", &error, "no thread for the simulated device").device(device)
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Lets the engine write, from where it stopped.
    pub(super) fn start(&self) {
        self.shared.command(|gate| gate.running = true);
    }

    /// Stops it. When this returns, writes in flight have landed and their dirty bits are set.
    pub(super) fn stop(&self) {
        self.shared.command(|gate| gate.running = false);
    }

    /// Gives it another program and the sequence of the last write done under it; `None` turns the engine off.
    /// The pages of the program before are unpinned, those of the new one pinned, as far as they are mapped.
    pub(super) fn program(&self, program: Option<(Program, u64)>) {
        self.shared.command(|gate| {
            gate.program = program.map(|(program, _)| program);
            gate.position = program.map_or(0, |(_, position)| position);
            gate.refused = 0;
        });
        self.shared.iommu.set_window(self.shared.client, program.map(|(program, _)| program.window));
    }

    /// What it is told to do and how far it has come.
    pub(super) fn progress(&self) -> Option<(Program, u64)> {
        self.shared.progress()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.command(|gate| gate.quit = true);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to tell; the device is going away.
            let _ = thread.join();
        }
        self.shared.log.close();
        self.shared.faults.close();
        self.shared.iommu.detach(self.shared.client);
    }
}
