//! One transfer, set up as a test wants it and run to its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ferry_helper::control::message::{
    ConnectParams, CutoverParams, CutoverReply, EventSink, ListenParams, PrecopyParams, PrecopyReply, ReceiveReply,
    RollbackParams, RollbackReply,
};
use ferry_helper::control::num::Bytes;
use ferry_helper::device::DeviceState;
use ferry_helper::device::transitions::Stepper;
use ferry_helper::dirty::Area;
use ferry_helper::dirty::union::Union;
use ferry_helper::error::Result;
use ferry_helper::memory::{Backing, Memory, Region};
use ferry_helper::transfer::destination::Destination;
use ferry_helper::transfer::link::{Identity, Link, Listener};
use ferry_helper::transfer::source::{Source, Workload};

use crate::fake::{Events, FakeDevice, FakeRecord, FakeTracker, History, Script, Seen};
use crate::proxy::{Meddler, Proxy};

pub const RUN: &str = "run-1";
pub const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub const PAGE: u64 = 4096;
/// 1 MiB at 0 and 256 KiB higher up.
pub const AREAS: [(u64, u64); 2] = [(0, 1 << 20), (0x1000_0000, 1 << 18)];

pub fn memory(areas: &[(u64, u64)]) -> Arc<Memory> {
    let backing = Backing::Memfd { huge_page_bytes: None };
    let open = |(iova, bytes): &(u64, u64)| Region::open("m", Area { iova: *iova, bytes: *bytes }, &backing);
    let regions: Result<Vec<_>> = areas.iter().map(open).collect();
    Arc::new(Memory::new(PAGE, regions.expect("memfd")).expect("layout"))
}

pub fn content(memory: &Memory) -> Vec<u8> {
    let mut all = Vec::new();
    for area in memory.areas() {
        let mut part = vec![0; area.bytes as usize];
        memory.slice(area.iova, area.bytes).expect("inside").copy_to(&mut part);
        all.extend(part);
    }
    all
}

/// Two thirds random pages, one third zero.
pub fn fill(memory: &Memory) {
    let mut word = 0x9e37_79b9_7f4a_7c15u64;
    for area in memory.areas() {
        for iova in (area.iova..area.end()).step_by(PAGE as usize).filter(|iova| iova / PAGE % 3 != 0) {
            let page: Vec<u8> = (0..PAGE / 8)
                .flat_map(|_| {
                    word ^= word << 13;
                    word ^= word >> 7;
                    word ^= word << 17;
                    word.to_le_bytes()
                })
                .collect();
            memory.slice(iova, PAGE).expect("inside").copy_from(&page);
        }
    }
}

pub fn listen_params(encrypt: bool, peer: &str) -> ListenParams {
    ListenParams {
        address: "127.0.0.1".into(),
        port: 0,
        encrypt,
        peer: peer.into(),
        secret: SECRET.into(),
        link_timeout_ms: 3000,
    }
}

pub fn connect_params(port: u16, encrypt: bool, peer: &str) -> ConnectParams {
    let ListenParams { address, secret, link_timeout_ms, .. } = listen_params(encrypt, peer);
    ConnectParams { address, port, encrypt, peer: peer.into(), secret, link_timeout_ms, streams: 1 }
}

pub struct Rig {
    pub encrypt: bool,
    pub areas: Vec<(u64, u64)>,
    pub source: Vec<Script>,
    pub destination: Vec<Script>,
    /// Pages written before each read of the tracker.
    pub rounds: Vec<Vec<u64>>,
    pub forget: Option<u64>,
    pub tracker_fails_at: Option<usize>,
    pub precopy: PrecopyParams,
    pub cutover: CutoverParams,
    pub source_record: FakeRecord,
    pub destination_record: FakeRecord,
    pub meddler: Option<Meddler>,
    /// Cancels one side after a while.
    pub cancel_source: Option<Duration>,
    pub cancel_destination: Option<Duration>,
    /// What happens between pre-copy and cutover.
    pub precopies: usize,
}

impl Rig {
    pub fn new() -> Self {
        Self {
            encrypt: false,
            areas: AREAS.to_vec(),
            source: vec![Script::default(), Script::default()],
            destination: vec![Script::default(), Script::default()],
            rounds: vec![
                vec![],
                vec![0, PAGE, 0x1000_0000],
                vec![0x5000, 0x6000],
                vec![0x2000],
                vec![0x3000, 0x1000_1000],
            ],
            forget: None,
            tracker_fails_at: None,
            precopy: PrecopyParams {
                max_rounds: 4,
                max_time_ms: 60_000,
                downtime_limit_ms: 20_000,
                fixed_blackout_us: 1000,
                verify: true,
                bandwidth: None,
            },
            cutover: CutoverParams { downtime_limit_ms: 20_000, fixed_blackout_us: 1000, verify: true },
            source_record: FakeRecord::default(),
            destination_record: FakeRecord::default(),
            meddler: None,
            cancel_source: None,
            cancel_destination: None,
            precopies: 1,
        }
    }

    /// Slow enough for a cancel to come in time.
    pub fn throttled(mut self, bytes_per_second: u64) -> Self {
        self.precopy.bandwidth = Some(Bytes(bytes_per_second));
        self
    }

    pub fn run(self) -> Ran {
        let identity = |_| Arc::new(Identity::generate().expect("identity"));
        let [ours, theirs] = [0, 1].map(identity);
        let listener = Listener::bind(&listen_params(self.encrypt, ours.fingerprint()), &theirs, RUN, 7).expect("bind");
        let port = listener.address().port();
        let proxy = self.meddler.map(|meddler| Proxy::start(port, meddler));
        let port = proxy.as_ref().map_or(port, Proxy::port);

        let (here, there) = (memory(&self.areas), memory(&self.areas));
        fill(&here);
        // Older data that zero pages must overwrite.
        for area in there.areas() {
            there.slice(area.iova, area.bytes).expect("all").copy_from(&vec![0xee; area.bytes as usize]);
        }
        let history: [History; 2] = Default::default();
        let steppers = |scripts: &[Script], events: &Arc<Events>, history| {
            let fakes: Vec<_> = scripts
                .iter()
                .enumerate()
                .map(|(n, s)| FakeDevice::new(&format!("dev{n}"), s.clone(), history))
                .collect();
            let seen: Vec<_> = fakes.iter().map(|fake| Arc::clone(&fake.seen)).collect();
            let wrap = |fake| Stepper::new(Box::new(fake), Arc::clone(events) as Arc<dyn EventSink>, Instant::now());
            (fakes.into_iter().map(wrap).collect::<Vec<_>>(), seen)
        };
        let events: [Arc<Events>; 2] = Default::default();
        let (mut devices, source_seen) = steppers(&self.source, &events[0], &history[0]);
        let (mut peers, destination_seen) = steppers(&self.destination, &events[1], &history[1]);

        let cancels: [Arc<AtomicBool>; 2] = Default::default();
        for (cancel, after) in cancels.iter().zip([self.cancel_source, self.cancel_destination]) {
            if let Some(after) = after {
                let cancel = Arc::clone(cancel);
                thread::spawn(move || {
                    thread::sleep(after);
                    cancel.store(true, Ordering::SeqCst);
                });
            }
        }

        let receiving = {
            let (there, events, cancel) = (Arc::clone(&there), Arc::clone(&events[1]), Arc::clone(&cancels[1]));
            let mut record = self.destination_record;
            thread::spawn(move || {
                let sink = events as Arc<dyn EventSink>;
                let accepted = listener.accept(&cancel, &sink);
                let mut destination = match accepted {
                    Ok(link) => Destination::new(link, there, sink, cancel),
                    Err(error) => return (Err(error), None, record, peers),
                };
                let reply = destination.receive(&mut peers, &mut record);
                (reply, Some(destination), record, peers)
            })
        };

        let tracker = FakeTracker {
            memory: Arc::clone(&here),
            rounds: self.rounds.into(),
            forget: self.forget,
            fails_at: self.tracker_fails_at,
            reads: 0,
        };
        let mut union = Union::new(PAGE, here.areas(), vec![Box::new(tracker)]);
        union.start().expect("start");
        let mut source_record = self.source_record;
        let params = connect_params(port, self.encrypt, theirs.fingerprint());
        let (mut precopy, mut cutover, mut source) = (None, None, None);
        match Link::connect(&params, &ours, RUN, 7, &cancels[0]) {
            Err(error) => {
                precopy = Some(Err(error));
                // Nobody will come any more.
                cancels[1].store(true, Ordering::SeqCst);
            }
            Ok(link) => {
                let mut made = Source::new(
                    link,
                    Arc::clone(&here),
                    Arc::clone(&events[0]) as Arc<dyn EventSink>,
                    Arc::clone(&cancels[0]),
                );
                for _ in 0..self.precopies {
                    precopy = Some(made.precopy(Workload { devices: &mut devices, union: &mut union }, &self.precopy));
                }
                if precopy.as_ref().is_none_or(Result::is_ok) {
                    let workload = Workload { devices: &mut devices, union: &mut union };
                    cutover = Some(made.cutover(workload, &self.cutover, &mut source_record).expect("ready"));
                }
                source = Some(made);
            }
        }
        let (receive, destination, destination_record, peers) = receiving.join().expect("no panic");
        Ran {
            precopy,
            cutover,
            receive,
            here,
            there,
            source,
            destination,
            devices,
            peers,
            source_seen,
            destination_seen,
            source_record,
            destination_record,
            history,
            events,
            frames: proxy.map_or([0, 0], |proxy| proxy.frames()),
        }
    }
}

/// How it ended, with everything still there to look at and to roll back.
pub struct Ran {
    pub precopy: Option<Result<PrecopyReply>>,
    pub cutover: Option<CutoverReply>,
    pub receive: Result<ReceiveReply>,
    pub here: Arc<Memory>,
    pub there: Arc<Memory>,
    pub source: Option<Source>,
    pub destination: Option<Destination>,
    pub devices: Vec<Stepper>,
    pub peers: Vec<Stepper>,
    pub source_seen: Vec<Arc<Mutex<Seen>>>,
    pub destination_seen: Vec<Arc<Mutex<Seen>>>,
    pub source_record: FakeRecord,
    pub destination_record: FakeRecord,
    pub history: [History; 2],
    pub events: [Arc<Events>; 2],
    pub frames: [u64; 2],
}

impl Ran {
    /// Code of whatever kept the run from moving.
    pub fn cause(&self) -> &'static str {
        match (&self.precopy, &self.cutover) {
            (Some(Err(error)), _) => error.code,
            (_, Some(reply)) => reply.cause.as_ref().map_or("none", |cause| cause.code),
            _ => "none",
        }
    }

    pub fn source_states(&self) -> Vec<DeviceState> {
        self.source_seen.iter().map(|seen| seen.lock().unwrap().state).collect()
    }

    pub fn destination_states(&self) -> Vec<DeviceState> {
        self.destination_seen.iter().map(|seen| seen.lock().unwrap().state).collect()
    }

    pub fn destination_ever_ran(&self) -> bool {
        self.destination_seen.iter().any(|seen| seen.lock().unwrap().ever_ran())
    }

    /// The source is whole and the destination never ran the workload.
    pub fn assert_undone(&self, what: &str) {
        assert!(
            self.source_states().iter().all(|state| *state == DeviceState::Running),
            "{what}: {:?}",
            self.source_states()
        );
        assert!(!self.destination_ever_ran(), "{what}: the destination ran");
        assert!(!self.source_record.committed && !self.destination_record.committed, "{what}: a COMMIT stands");
    }

    pub fn assert_moved(&self) {
        let reply = self.cutover.as_ref().expect("cut over");
        assert!(reply.cause.is_none(), "{:?}", reply.cause);
        assert!(content(&self.here) == content(&self.there), "memories differ");
        assert!(self.source_states().iter().all(|state| *state == DeviceState::StopCopy));
        assert!(self.destination_states().iter().all(|state| *state == DeviceState::Running));
        assert!(self.source_record.committed && self.destination_record.committed);
    }

    pub fn roll_back_source(&mut self, peer_discarded: bool) -> Result<RollbackReply> {
        let source = self.source.as_mut().expect("connected");
        source.rollback(&mut self.devices, &RollbackParams { peer_discarded }, &mut self.source_record)
    }

    pub fn roll_back_destination(&mut self) -> Result<RollbackReply> {
        let destination = self.destination.as_mut().expect("accepted");
        destination.rollback(&mut self.peers, &mut self.destination_record)
    }
}
