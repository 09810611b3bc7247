//! Faults put into a simulated device, and what of it its trackers have to know. Shared by the device, its engine's
//! thread and every tracker that watches the device.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::spec::errno_number;
use super::sync::lock;
use crate::area::Area;
use crate::dirty::DirtyBitmap;
use crate::error::{HelperError, Result};
use crate::message::SimFault;
use crate::stamps::PAGE_BYTES;
use ferry_vfio::device::DeviceState;

/// Between two looks at whether a device that hangs was closed.
const HANG_LOOK: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub struct DeviceFaults {
    device: String,
    window: Area,
    list: Vec<SimFault>,
    /// Arcs taken into each state so far.
    entries: Mutex<BTreeMap<DeviceState, u32>>,
    /// The page whose dirty bit is broken.
    broken: Mutex<Option<u64>>,
    writes: AtomicU64,
    last_page: AtomicU64,
    /// How far the last save session was read.
    read_to: AtomicU64,
    gone: AtomicBool,
}

/// An arc that fails.
pub(super) struct FailedArc {
    pub errno: i32,
    pub enter_error: bool,
}

impl DeviceFaults {
    pub(super) fn new(device: &str, window: Area, list: Vec<SimFault>) -> Self {
        Self {
            device: device.to_owned(),
            window,
            list,
            entries: Mutex::default(),
            broken: Mutex::default(),
            writes: AtomicU64::new(0),
            last_page: AtomicU64::new(0),
            read_to: AtomicU64::new(0),
            gone: AtomicBool::new(false),
        }
    }

    /// Counts an arc into `state`; tells whether it is one that fails.
    pub(super) fn arc_into(&self, state: DeviceState) -> Option<FailedArc> {
        let mut entries = lock(&self.entries);
        let count = entries.entry(state).or_insert(0);
        *count += 1;
        self.list.iter().find_map(|fault| match fault {
            SimFault::Transition { state: at, nth, errno, enter_error }
                if *at == state && nth.unwrap_or(1) == *count =>
            {
                let errno = errno.as_deref().and_then(errno_number).unwrap_or(libc::EIO);
                Some(FailedArc { errno, enter_error: enter_error.unwrap_or(false) })
            }
            _ => None,
        })
    }

    pub(super) fn slow_stop(&self) -> Duration {
        Duration::from_micros(self.find(|fault| match fault {
            SimFault::SlowStop { delay_us } => Some(*delay_us),
            _ => None,
        }))
    }

    pub(super) fn short_stream(&self) -> Option<u64> {
        self.list.iter().find_map(|fault| match fault {
            SimFault::ShortStream { bytes } => Some(bytes.0),
            _ => None,
        })
    }

    pub(super) fn short_reads(&self) -> Option<u64> {
        self.list.iter().find_map(|fault| match fault {
            SimFault::ShortReads { bytes } => Some(bytes.0.max(1)),
            _ => None,
        })
    }

    /// The errno of a refusal that would have `errno`.
    pub(super) fn errno(&self, errno: i32) -> i32 {
        if self.has(&SimFault::RefusalsEinval) { libc::EINVAL } else { errno }
    }

    /// A save session was read up to here.
    pub(super) fn note_read(&self, offset: u64) {
        self.read_to.store(offset, Ordering::Relaxed);
    }

    /// Where a save session begins.
    pub(super) fn first_offset(&self) -> u64 {
        if self.has(&SimFault::StaleSession) { self.read_to.load(Ordering::Relaxed) } else { 0 }
    }

    /// The device was closed: nobody waits for it any more.
    pub(super) fn close(&self) {
        self.gone.store(true, Ordering::Release);
    }

    pub(super) fn has(&self, fault: &SimFault) -> bool {
        self.list.contains(fault)
    }

    /// Said by the engine after each write, once its data and its dirty bits are in place.
    pub(super) fn wrote(&self, page: u64) {
        self.last_page.store(page, Ordering::Relaxed);
        self.writes.fetch_add(1, Ordering::Release);
    }

    /// Before a tracker's nth read (from 1), and before it holds any lock: it may not return for long.
    ///
    /// # Errors
    /// `tracker/log-lost` with EIO when this read is to fail.
    pub fn before_read(&self, tracker: &str, nth: u64) -> Result<()> {
        while self.has(&SimFault::TrackerHangs { nth }) && !self.gone.load(Ordering::Acquire) {
            thread::sleep(HANG_LOOK);
        }
        if self.has(&SimFault::TrackerError { nth }) {
            let error = std::io::Error::from_raw_os_error(self.errno(libc::EIO));
            return Err(HelperError::os(
                "tracker/log-lost",
                format!("read of {tracker}"),
                &error,
                "the dirty log is lost: every page counts as dirty",
            )
            .device(&self.device));
        }
        Ok(())
    }

    /// What the device has written so far, to be taken before a tracker collects its bits.
    pub fn watch(&self) -> Watch {
        let writes = self.writes.load(Ordering::Acquire);
        Watch { writes, page: self.last_page.load(Ordering::Relaxed) }
    }

    /// Takes the broken bit, if this device has one, out of what a tracker's nth read saw.
    ///
    /// The bit breaks at the first read from the asked-for one on in which the device has a dirty page, and stays
    /// broken in all trackers of the device: a bit dropped once would be made good by the device's next write to the
    /// page, and a negative control must fail for certain. The page written last is taken, because a copy made since
    /// the previous read is least likely to hold its content already.
    pub fn after_read(&self, nth: u64, before: &mut Watch, now: Watch, seen: &mut DirtyBitmap) {
        let mut broken = lock(&self.broken);
        let wrote = now.writes > before.writes;
        *before = now;
        let due = self.list.iter().any(|fault| matches!(fault, SimFault::DropDirtyBit { nth: at } if *at <= nth));
        if broken.is_none() && due && wrote {
            *broken = if seen.get(now.page) { Some(now.page) } else { self.first_dirty(seen) };
        }
        if let Some(page) = *broken {
            seen.clear_page(page);
        }
    }

    /// The page whose dirty bit is broken, once it is.
    pub fn broken_page(&self) -> Option<u64> {
        *lock(&self.broken)
    }

    fn first_dirty(&self, seen: &DirtyBitmap) -> Option<u64> {
        (self.window.iova..self.window.end()).step_by(PAGE_BYTES as usize).find(|page| seen.get(*page))
    }

    fn find(&self, pick: impl Fn(&SimFault) -> Option<u64>) -> u64 {
        self.list.iter().find_map(pick).unwrap_or(0)
    }
}

/// How far a device had written at some moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Watch {
    writes: u64,
    page: u64,
}
