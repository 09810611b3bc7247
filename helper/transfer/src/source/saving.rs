//! A source's state streams: each device's, in order, counted and hashed on its way out.

use std::time::{Duration, Instant};

use xxhash_rust::xxh3::Xxh3;

use crate::device::transitions::Stepper;
use crate::device::{PrecopyInfo, StateStream, StreamRead};
use crate::error::{HelperError, Result};
use crate::streams::link::Link;
use crate::streams::pages::Staging as _;
use crate::wire::payload::StreamSum;
use crate::wire::{Frame, Kind, MAX_DATA};

/// A STOP_COPY stream may be this much longer than the device's own estimate before it counts as endless.
const ESTIMATE_FACTOR: u64 = 4;
const LEAST_LIMIT: u64 = 64 * 1024 * 1024;
/// Most of a device's pre-copy data taken in one round: a device that makes state as fast as it is read must not keep
/// the round from ending.
const ROUND_SHARE: u64 = 16 * 1024 * 1024;
/// Pause before a STOP_COPY stream that has nothing now (mlx5 gives EAGAIN) is read again.
const DRAINED_PAUSE: Duration = Duration::from_micros(100);

/// Length and hash of a stream so far. Both sides keep one; the manifest compares them.
pub struct Tally {
    bytes: u64,
    hash: Xxh3,
}

impl Tally {
    pub fn new() -> Self {
        Self { bytes: 0, hash: Xxh3::new() }
    }

    pub fn add(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.hash.update(data);
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn sum(&self, device: &str) -> StreamSum {
        StreamSum { device: device.to_owned(), bytes: self.bytes, hash: format!("{:032x}", self.hash.digest128()) }
    }
}

/// One device's save session.
pub struct Saving {
    index: u16,
    stream: Option<Box<dyn StateStream>>,
    tally: Tally,
    info: Option<PrecopyInfo>,
}

impl Saving {
    pub fn new(index: u16) -> Self {
        Self { index, stream: None, tally: Tally::new(), info: None }
    }

    /// Takes the stream of a session just entered. Within a session the stream stays the one it was.
    pub fn enter(&mut self, stream: Option<Box<dyn StateStream>>) {
        if stream.is_some() {
            self.stream = stream;
        }
    }

    /// Closes the stream.
    pub fn leave(&mut self) {
        self.stream = None;
    }

    pub fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    pub fn bytes(&self) -> u64 {
        self.tally.bytes()
    }

    pub fn sum(&self, device: &str) -> StreamSum {
        self.tally.sum(device)
    }

    /// What the device said last about its pre-copy data.
    pub fn info(&self) -> PrecopyInfo {
        self.info.unwrap_or_default()
    }

    /// In PRE_COPY: sends what the device has now, at most a round's share (past `until`, no more than the least one),
    /// then asks it what is left. The asking is what makes mlx5 and virtio produce more; drivers without the ioctl, or
    /// that refuse it (hisi_acc gives EINVAL outside PRE_COPY proper), count as having nothing initial left.
    pub fn precopy(&mut self, link: &mut Link, share: u64, until: Instant) -> Result<u64> {
        let mut taken = 0;
        // The share follows the device's own estimate, which may be anything.
        while taken < ROUND_SHARE || (taken < share && Instant::now() < until) {
            link.patience().check()?;
            let (sent, ended) = self.send_some(link)?;
            taken += sent;
            if ended.is_some() {
                break;
            }
        }
        let Some(stream) = &mut self.stream else { return Ok(taken) };
        self.info = match stream.precopy_info() {
            Ok(info) => Some(info),
            Err(error) if matches!(error.errno, Some(libc::ENOTTY | libc::EINVAL)) => None,
            Err(error) => return Err(error),
        };
        Ok(taken)
    }

    /// In STOP_COPY: sends the stream to its end.
    ///
    /// # Errors
    /// `device/stream-endless` when it passes `most`, or without one four times the device's estimate (and 64 MiB); the
    /// deadline catches those that announce nothing. `device/stream-empty` when it ends without a byte: every driver writes at least a
    /// header, and some load nothing without a word.
    pub fn stop_copy(&mut self, link: &mut Link, device: &str, estimate: Option<u64>, most: Option<u64>) -> Result<()> {
        // A driver that cannot know announces 0.
        let announced = estimate.filter(|bytes| *bytes > 0);
        let limit = most
            .or_else(|| announced.map(|bytes| bytes.saturating_mul(ESTIMATE_FACTOR).max(LEAST_LIMIT)))
            .unwrap_or(u64::MAX);
        let mut taken = 0;
        let mut dry = Instant::now();
        loop {
            let (sent, ended) = self.send_some(link)?;
            taken += sent;
            if sent > 0 {
                dry = Instant::now();
            }
            if taken > limit {
                return Err(HelperError::new(
                    "device/stream-endless",
                    format!(
                        "the state stream passed {limit} bytes, the device had announced {}",
                        estimate.unwrap_or(0)
                    ),
                )
                .device(device)
                .operation("read")
                .suggest("if the device's state is that long, allow it by `migration.maxState`"));
            }
            link.patience().check()?;
            match ended {
                Some(StreamRead::End) if self.tally.bytes() == 0 => {
                    return Err(HelperError::new("device/stream-empty", "the state stream ended without a byte")
                        .device(device)
                        .operation("read"));
                }
                Some(StreamRead::End) => return Ok(()),
                Some(_) if dry.elapsed() > link.patience().silence => {
                    return Err(HelperError::new("device/stream-stalled", "the state stream neither goes on nor ends")
                        .device(device)
                        .operation("read"));
                }
                Some(_) => std::thread::sleep(DRAINED_PAUSE),
                None => {}
            }
        }
    }

    /// One frame's worth: reads until it is full or the stream pauses or ends, and says which.
    fn send_some(&mut self, link: &mut Link) -> Result<(u64, Option<StreamRead>)> {
        let Some(stream) = &mut self.stream else {
            return Err(HelperError::new("device/stream-lost", "no state stream is open"));
        };
        let tally = &mut self.tally;
        // A device may give a byte at a time, each of them late.
        let patience = link.patience().clone();
        let mut ended = None;
        let frame = Frame { index: self.index, at: tally.bytes(), ..Frame::plain(Kind::State) };
        let sent = link.stage(frame, MAX_DATA, false, |into| {
            let mut filled = 0;
            while filled < into.len() && ended.is_none() {
                patience.check()?;
                match stream.read(&mut into[filled..])? {
                    StreamRead::Data(count) => filled += count,
                    other => ended = Some(other),
                }
            }
            tally.add(&into[..filled]);
            Ok(filled)
        })?;
        Ok((sent as u64, ended))
    }
}

/// The device's estimate of its STOP_COPY stream; not offering one, or failing to, is no reason to stop.
pub fn estimate(device: &mut Stepper) -> Option<u64> {
    device.device().stop_copy_bytes().ok().flatten()
}
