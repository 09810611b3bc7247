//! Scripted devices, trackers and records, and the list of events: everything a transfer touches but memory and link.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ferry_base::error::{HelperError, Result};
use ferry_base::message::{Event, EventSink};
use ferry_transfer::commit_record::{CommitRecord, RecordFailure};
use ferry_vfio::device::{Device, DeviceState, MigrationFlags, PrecopyInfo, StateStream, StreamRead};
use ferry_vfio::dirty::{DirtyBitmap, Tracker, TrackerKind};
use ferry_vfio::memory::Memory;

/// What a device does. `Default`: flags 7, 100 KB of state, a third of it offered in PRE_COPY, no faults.
#[derive(Clone)]
pub struct Script {
    pub flags: MigrationFlags,
    /// Where somebody else left it; RUNNING otherwise.
    pub begins: Option<DeviceState>,
    pub content: Vec<u8>,
    pub precopy: usize,
    /// PRE_COPY ends with 0 instead of ENOMSG.
    pub ends_with_zero: bool,
    pub endless: bool,
    /// In PRE_COPY there is always more.
    pub pours: bool,
    /// What it says its STOP_COPY stream will come to, from its content.
    pub announces: fn(&[u8]) -> Option<u64>,
    /// SET to this state fails the nth time (1 is the first).
    pub fail: Option<(DeviceState, usize)>,
    pub enter_error: bool,
    pub reset_fails: bool,
    pub delay: Option<(DeviceState, Duration)>,
    /// RESUMING to STOP fails unless exactly this many bytes were written.
    pub expects: Option<usize>,
    /// Takes so many bytes of a stream; the write that would pass them fails with this errno.
    pub refuses: Option<(usize, i32)>,
    /// Each write to it takes so long.
    pub slow_load: Duration,
    /// In STOP_COPY each read takes so long, and gives one byte.
    pub trickles: Option<Duration>,
}

impl Default for Script {
    fn default() -> Self {
        let content: Vec<u8> = (0..100_000u32).map(|at| (at * 7 + at / 251) as u8).collect();
        Self {
            flags: MigrationFlags { stop_copy: true, p2p: true, pre_copy: true },
            begins: None,
            precopy: content.len() / 3,
            content,
            ends_with_zero: false,
            endless: false,
            pours: false,
            announces: |content| Some(content.len() as u64),
            fail: None,
            enter_error: false,
            reset_fails: false,
            delay: None,
            expects: None,
            refuses: None,
            slow_load: Duration::ZERO,
            trickles: None,
        }
    }
}

/// Every SET of one side's devices, in one order.
pub type History = Arc<Mutex<Vec<(String, DeviceState)>>>;

/// What became of a device, for the test to look at.
pub struct Seen {
    pub state: DeviceState,
    /// Every state SET asked for, in order.
    pub asked: Vec<DeviceState>,
    /// Every state it was really in, with when it came there; a SET that failed and left it where it was is not one.
    pub came_to: Vec<(Instant, DeviceState)>,
    pub resets: usize,
    /// A reset brought it back: what it held is gone.
    pub emptied: bool,
    pub loaded: Vec<u8>,
    pub history: History,
}

impl Seen {
    pub fn ever_ran(&self) -> bool {
        self.asked.iter().any(|state| matches!(state, DeviceState::Running | DeviceState::RunningP2p))
    }
}

pub struct FakeDevice {
    name: String,
    script: Script,
    position: Arc<Mutex<usize>>,
    pub seen: Arc<Mutex<Seen>>,
}

impl FakeDevice {
    pub fn new(name: &str, script: Script, history: &History) -> Self {
        let seen = Seen {
            state: script.begins.unwrap_or(DeviceState::Running),
            asked: Vec::new(),
            came_to: Vec::new(),
            resets: 0,
            emptied: false,
            loaded: Vec::new(),
            history: Arc::clone(history),
        };
        Self { name: name.to_owned(), script, position: Arc::default(), seen: Arc::new(Mutex::new(seen)) }
    }
}

impl Device for FakeDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn flags(&self) -> MigrationFlags {
        self.script.flags
    }

    fn state(&mut self) -> Result<DeviceState> {
        Ok(self.seen.lock().unwrap().state)
    }

    fn set_state(&mut self, target: DeviceState) -> Result<Option<Box<dyn StateStream>>> {
        if let Some((state, delay)) = self.script.delay {
            if state == target {
                std::thread::sleep(delay);
            }
        }
        let mut seen = self.seen.lock().unwrap();
        seen.asked.push(target);
        seen.history.lock().unwrap().push((self.name.clone(), target));
        let times = seen.asked.iter().filter(|asked| **asked == target).count();
        let short = self.script.expects.is_some_and(|expected| {
            seen.state == DeviceState::Resuming && target == DeviceState::Stop && seen.loaded.len() != expected
        });
        if short || self.script.fail == Some((target, times)) {
            if self.script.enter_error {
                seen.state = DeviceState::Error;
                seen.came_to.push((Instant::now(), DeviceState::Error));
            }
            let error = std::io::Error::from_raw_os_error(libc::EINVAL);
            return Err(HelperError::os("device/set-state", "SET", &error, "scripted"));
        }
        let from = std::mem::replace(&mut seen.state, target);
        seen.came_to.push((Instant::now(), target));
        let saving = |state| matches!(state, DeviceState::PreCopy | DeviceState::PreCopyP2p | DeviceState::StopCopy);
        let enters = saving(target) && !saving(from) || target == DeviceState::Resuming;
        if enters {
            *self.position.lock().unwrap() = 0;
        }
        Ok(enters.then(|| {
            Box::new(FakeStream {
                script: self.script.clone(),
                position: Arc::clone(&self.position),
                seen: Arc::clone(&self.seen),
            }) as Box<dyn StateStream>
        }))
    }

    fn stop_copy_bytes(&mut self) -> Result<Option<u64>> {
        Ok((self.script.announces)(&self.script.content))
    }

    fn reset(&mut self) -> Result<()> {
        let mut seen = self.seen.lock().unwrap();
        seen.resets += 1;
        if self.script.reset_fails {
            return Err(HelperError::new("device/reset", "scripted"));
        }
        seen.state = DeviceState::Running;
        seen.emptied = true;
        seen.came_to.push((Instant::now(), DeviceState::Running));
        Ok(())
    }
}

struct FakeStream {
    script: Script,
    position: Arc<Mutex<usize>>,
    seen: Arc<Mutex<Seen>>,
}

impl StateStream for FakeStream {
    fn read(&mut self, buf: &mut [u8]) -> Result<StreamRead> {
        let stopped = self.seen.lock().unwrap().state == DeviceState::StopCopy;
        let mut at = self.position.lock().unwrap();
        if stopped && self.script.endless {
            // Not as fast as memory: all of it is kept, and a limit of time lets hundreds of MiB of it through.
            std::thread::sleep(std::time::Duration::from_millis(8));
            *at += buf.len();
            return Ok(StreamRead::Data(buf.len()));
        }
        if !stopped && self.script.pours {
            *at = self.script.precopy;
            return Ok(StreamRead::Data(buf.len()));
        }
        let end = if stopped { self.script.content.len() } else { self.script.precopy };
        if let Some(delay) = self.script.trickles.filter(|_| stopped) {
            std::thread::sleep(delay);
            let Some(byte) = self.script.content.get(*at) else { return Ok(StreamRead::End) };
            buf[0] = *byte;
            *at += 1;
            return Ok(StreamRead::Data(1));
        }
        // Odd sizes: no reader may rely on full reads.
        let count = end.saturating_sub(*at).min(buf.len()).min(10_007);
        if count == 0 {
            let end = stopped || self.script.ends_with_zero;
            return Ok(if end { StreamRead::End } else { StreamRead::Drained });
        }
        buf[..count].copy_from_slice(&self.script.content[*at..*at + count]);
        *at += count;
        Ok(StreamRead::Data(count))
    }

    fn write_all(&mut self, buf: &[u8]) -> Result<()> {
        let loaded = &mut self.seen.lock().unwrap().loaded;
        std::thread::sleep(self.script.slow_load);
        if let Some((most, errno)) = self.script.refuses {
            if loaded.len() + buf.len() > most {
                let error = std::io::Error::from_raw_os_error(errno);
                return Err(HelperError::os("device/stream-write", "write", &error, "scripted"));
            }
        }
        loaded.extend_from_slice(buf);
        Ok(())
    }

    fn precopy_info(&mut self) -> Result<PrecopyInfo> {
        if self.script.ends_with_zero {
            let error = std::io::Error::from_raw_os_error(libc::ENOTTY);
            return Err(HelperError::os("device/precopy-info", "VFIO_MIG_GET_PRECOPY_INFO", &error, ""));
        }
        let left = self.script.precopy.saturating_sub(*self.position.lock().unwrap()) as u64;
        Ok(PrecopyInfo { initial_bytes: left, dirty_bytes: 0 })
    }
}

/// Writes pages itself: at its nth read those of `rounds[n]`, so every write is one the trackers must report. The first
/// read after all its devices stopped is the last one with writes.
pub struct FakeTracker {
    pub devices: Vec<Arc<Mutex<Seen>>>,
    /// Its devices go on writing after they were stopped.
    pub writes_on: bool,
    pub stopped: bool,
    pub memory: Arc<Memory>,
    pub rounds: VecDeque<Vec<u64>>,
    /// Written like the others and not reported: the negative control.
    pub forget: Option<u64>,
    pub fails_at: Option<usize>,
    pub hangs_at: Option<usize>,
    pub hang: Arc<Hang>,
    pub reads: usize,
}

/// A read that does not return.
#[derive(Default)]
pub struct Hang {
    pub reached: AtomicBool,
    /// The test is over.
    pub over: AtomicBool,
}

impl Tracker for FakeTracker {
    fn name(&self) -> &str {
        "fake"
    }
    fn kind(&self) -> TrackerKind {
        TrackerKind::Device
    }
    fn page_size(&self) -> u64 {
        4096
    }
    fn start(&mut self) -> Result<()> {
        Ok(())
    }
    fn read(&mut self, into: &mut DirtyBitmap) -> Result<u64> {
        self.reads += 1;
        if self.hangs_at == Some(self.reads) {
            self.hang.reached.store(true, Ordering::SeqCst);
            while !self.hang.over.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        if self.fails_at == Some(self.reads) {
            return Err(HelperError::new("tracker/read", "scripted"));
        }
        if self.stopped && !self.writes_on {
            return Ok(0);
        }
        self.stopped = self.devices.iter().all(|device| device.lock().unwrap().state == DeviceState::StopCopy);
        let pages = self.rounds.pop_front().unwrap_or_default();
        for iova in &pages {
            let stamp = [(iova >> 12) as u8 ^ 0x5a, self.reads as u8, 1, 2, 3, 4, 5, 6];
            self.memory.slice(*iova, 8).expect("inside").copy_from(&stamp);
            if self.forget != Some(*iova) {
                into.set_range(*iova, 1);
            }
        }
        Ok(pages.len() as u64)
    }
    fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum RecordFault {
    #[default]
    None,
    /// Certainly not on disk.
    Refused,
    /// Perhaps on disk.
    Doubtful,
}

#[derive(Default)]
pub struct FakeRecord {
    pub fault: RecordFault,
    pub discard_fails: bool,
    pub committed: bool,
    pub discarded: bool,
}

impl CommitRecord for FakeRecord {
    fn commit(&mut self) -> std::result::Result<(), RecordFailure> {
        let error = HelperError::new("record/write", "scripted");
        match self.fault {
            RecordFault::None => {
                self.committed = true;
                Ok(())
            }
            RecordFault::Refused => Err(RecordFailure { error, doubtful: false }),
            RecordFault::Doubtful => Err(RecordFailure { error, doubtful: true }),
        }
    }

    fn discard(&mut self) -> Result<()> {
        if self.discard_fails {
            return Err(HelperError::new("record/write", "scripted"));
        }
        self.discarded = true;
        self.committed = false;
        Ok(())
    }
}

#[derive(Default)]
pub struct Events(pub Mutex<Vec<Event>>);

impl EventSink for Events {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}
