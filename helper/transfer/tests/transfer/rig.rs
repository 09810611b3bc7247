//! One transfer, set up as a test wants it and run to its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ferry_base::error::Result;
use ferry_base::message::num::Bytes;
use ferry_base::message::{ConnectParams, CutoverParams, EventSink, ListenParams, PrecopyParams};
use ferry_transfer::destination::Destination;
use ferry_transfer::source::steer::Steer;
use ferry_transfer::source::{Source, Workload};
use ferry_transfer::streams::link::{Identity, Link, Listener};
use ferry_vfio::device::transitions::Stepper;

use crate::fake::{Events, FakeDevice, FakeRecord, FakeTracker, Hang, History, Script, Seen};
use crate::network::{Fault, Network};
use crate::proxy::{Meddler, Proxy};

pub use crate::ends::{AREAS, PAGE, RUN, connect_params, content, fill, listen_params, memory, union_of};
pub use crate::ran::Ran;

/// What the owner of a run sees and may do while it is under way.
pub struct Hands {
    pub steer: Arc<Steer>,
    /// The source's.
    pub events: Arc<Events>,
    pub cancels: [Arc<AtomicBool>; 2],
    pub source_seen: Vec<Arc<Mutex<Seen>>>,
    pub destination_seen: Vec<Arc<Mutex<Seen>>>,
    pub hang: Arc<Hang>,
}

pub type Owner = Box<dyn FnOnce(&Hands) + Send>;

pub struct Rig {
    pub encrypt: bool,
    /// Connections; all of them in use unless `use` says how many.
    pub streams: u16,
    pub r#use: Option<u16>,
    pub areas: Vec<(u64, u64)>,
    pub source: Vec<Script>,
    pub destination: Vec<Script>,
    /// Pages written before each read of the tracker.
    pub rounds: Vec<Vec<u64>>,
    pub forget: Option<u64>,
    pub tracker_fails_at: Option<usize>,
    /// The read that does not return.
    pub tracker_hangs_at: Option<usize>,
    pub writes_on: bool,
    pub precopy: PrecopyParams,
    pub cutover: CutoverParams,
    pub source_record: FakeRecord,
    pub destination_record: FakeRecord,
    pub meddler: Option<Meddler>,
    /// Another kind of network in between: all streams, bytes only.
    pub network: Option<Fault>,
    /// Longest silence on the link while something is due, in milliseconds.
    pub link_timeout_ms: u64,
    pub keepalive_ms: u64,
    /// Cancels one side after a while.
    pub cancel_source: Option<Duration>,
    pub cancel_destination: Option<Duration>,
    /// Both memories are as they were made, but for what `rounds` write.
    pub blank: bool,
    /// What happens between pre-copy and cutover.
    pub precopies: usize,
    /// Runs beside it all.
    pub owner: Option<Owner>,
}

impl Rig {
    pub fn new() -> Self {
        Self {
            encrypt: false,
            streams: 1,
            r#use: None,
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
            tracker_hangs_at: None,
            writes_on: false,
            precopy: PrecopyParams {
                max_rounds: 4,
                max_time_ms: 60_000,
                downtime_limit_ms: 20_000,
                fixed_blackout_us: 1000,
                verify: true,
                bandwidth: None,
                hold: None,
                hooks_us: 0,
            },
            cutover: CutoverParams {
                downtime_limit_ms: 20_000,
                fixed_blackout_us: 1000,
                verify: true,
                pauses: Vec::new(),
                max_state: None,
                hooks_us: 0,
            },
            source_record: FakeRecord::default(),
            destination_record: FakeRecord::default(),
            meddler: None,
            network: None,
            link_timeout_ms: 3000,
            keepalive_ms: 3000,
            cancel_source: None,
            cancel_destination: None,
            blank: false,
            precopies: 1,
            owner: None,
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
        let params = ListenParams {
            streams: self.streams,
            link_timeout_ms: self.link_timeout_ms,
            keepalive_ms: self.keepalive_ms,
            ..listen_params(self.encrypt, ours.fingerprint())
        };
        let listener = Listener::bind(&params, &theirs, RUN, 7).expect("bind");
        let port = listener.address().port();
        let proxy = self.meddler.map(|meddler| Proxy::start(port, meddler));
        let port = proxy.as_ref().map_or(port, Proxy::port);
        let network = self.network.map(|fault| Network::start(port, fault));
        let port = network.as_ref().map_or(port, |network| network.port());

        let (here, there) = (memory(&self.areas), memory(&self.areas));
        if !self.blank {
            fill(&here);
        }
        // Older data that zero pages must overwrite.
        for area in there.areas().into_iter().filter(|_| !self.blank) {
            there.forget_content();
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

        let hang = Arc::new(Hang::default());
        let steer = Arc::new(Steer::default());
        steer.connected(self.streams);
        let owner = self.owner.map(|owner| {
            let hands = Hands {
                steer: Arc::clone(&steer),
                events: Arc::clone(&events[0]),
                cancels: cancels.clone(),
                source_seen: source_seen.clone(),
                destination_seen: destination_seen.clone(),
                hang: Arc::clone(&hang),
            };
            thread::spawn(move || owner(&hands))
        });

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
            devices: source_seen.clone(),
            writes_on: self.writes_on,
            stopped: false,
            memory: Arc::clone(&here),
            rounds: self.rounds.into(),
            forget: self.forget,
            fails_at: self.tracker_fails_at,
            hangs_at: self.tracker_hangs_at,
            hang: Arc::clone(&hang),
            reads: 0,
        };
        let mut union = union_of(&here, Box::new(tracker));
        let mut source_record = self.source_record;
        let params = ConnectParams {
            streams: self.streams,
            r#use: self.r#use.unwrap_or(self.streams),
            link_timeout_ms: self.link_timeout_ms,
            keepalive_ms: self.keepalive_ms,
            ..connect_params(port, self.encrypt, theirs.fingerprint())
        };
        let (mut precopy, mut cutover, mut source) = (None, None, None);
        match Link::connect(&params, &ours, RUN, 7, &cancels[0]) {
            Err(error) => {
                precopy = Some(Err(error));
                // No one will come any more.
                cancels[1].store(true, Ordering::SeqCst);
            }
            Ok(link) => {
                let mut made = Source::new(
                    link,
                    Arc::clone(&here),
                    Arc::clone(&events[0]) as Arc<dyn EventSink>,
                    Arc::clone(&cancels[0]),
                )
                .steered(Arc::clone(&steer));
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
        hang.over.store(true, Ordering::SeqCst);
        let (receive, destination, destination_record, peers) = receiving.join().expect("no panic");
        if let Some(owner) = owner {
            owner.join().expect("the owner saw what it waited for");
        }
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
            contents: self.source.into_iter().map(|script| script.content).collect(),
            frames: proxy.map_or([0, 0], |proxy| proxy.frames()),
            carried: network.as_ref().map_or_else(Vec::new, Network::carried),
            _network: network,
        }
    }
}
