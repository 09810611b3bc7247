//! A device that really writes: a thread that dirties memory for as long as its device may, through every phase.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use ferry_base::error::Result;
use ferry_base::message::{ConnectParams, CutoverParams, EventSink, ListenParams, PrecopyParams};
use ferry_transfer::destination::Destination;
use ferry_transfer::source::{Source, Workload};
use ferry_transfer::streams::link::{Identity, Link, Listener};
use ferry_vfio::device::DeviceState;
use ferry_vfio::device::transitions::Stepper;
use ferry_vfio::dirty::{DirtyBitmap, Tracker, TrackerKind};

use crate::fake::{Events, FakeDevice, FakeRecord, Script};
use crate::rig::{PAGE, RUN, connect_params, content, fill, listen_params, memory, union_of};

/// Reports and forgets, like a device's DMA log.
struct Log(Arc<Mutex<BTreeSet<u64>>>);

impl Tracker for Log {
    fn name(&self) -> &str {
        "log"
    }
    fn kind(&self) -> TrackerKind {
        TrackerKind::Device
    }
    fn page_size(&self) -> u64 {
        PAGE
    }
    fn start(&mut self) -> Result<()> {
        Ok(())
    }
    fn read(&mut self, into: &mut DirtyBitmap) -> Result<u64> {
        let pages = std::mem::take(&mut *self.0.lock().unwrap());
        pages.iter().for_each(|iova| into.set_range(*iova, PAGE));
        Ok(pages.len() as u64)
    }
    fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn nothing_a_running_device_writes_is_lost() {
    moves_under_a_writer(1);
}

#[test]
fn nothing_is_lost_between_streams() {
    moves_under_a_writer(4);
}

fn moves_under_a_writer(streams: u16) {
    const AREAS: [(u64, u64); 1] = [(0x10_0000, 4 << 20)];
    let (here, there) = (memory(&AREAS), memory(&AREAS));
    fill(&here);
    let [ours, theirs] = [0, 1].map(|_| Arc::new(Identity::generate().expect("identity")));
    let params = ListenParams { streams, ..listen_params(false, ours.fingerprint()) };
    let listener = Listener::bind(&params, &theirs, RUN, 7).expect("bind");
    let params = connect_params(listener.address().port(), false, theirs.fingerprint());
    let params = ConnectParams { streams, r#use: streams, ..params };
    let sink = Arc::new(Events::default()) as Arc<dyn EventSink>;
    let receiving = {
        let (there, sink) = (Arc::clone(&there), Arc::clone(&sink));
        thread::spawn(move || {
            let link = listener.accept(&Arc::default(), &sink).expect("source");
            let device = FakeDevice::new("dev0", Script::default(), &Arc::default());
            let mut devices = [Stepper::new(Box::new(device), Arc::clone(&sink), Instant::now())];
            Destination::new(link, there, sink, Arc::default()).receive(&mut devices, &mut FakeRecord::default())
        })
    };

    let device = FakeDevice::new("dev0", Script::default(), &Arc::default());
    let seen = Arc::clone(&device.seen);
    let mut devices = [Stepper::new(Box::new(device), Arc::clone(&sink), Instant::now())];
    let log = Arc::new(Mutex::new(BTreeSet::new()));
    let over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (here, log, seen, over) = (Arc::clone(&here), Arc::clone(&log), Arc::clone(&seen), Arc::clone(&over));
        thread::spawn(move || {
            let (mut word, mut writes) = (88_172_645_463_325_252u64, 0u64);
            while !over.load(Ordering::SeqCst) {
                let held = seen.lock().unwrap();
                if held.state.writes_memory() {
                    word ^= word << 13;
                    word ^= word >> 7;
                    word ^= word << 17;
                    let iova = AREAS[0].0 + word % (AREAS[0].1 / PAGE) * PAGE;
                    here.slice(iova + word % 500 * 8, 8).expect("inside").copy_from(&word.to_le_bytes());
                    log.lock().unwrap().insert(iova);
                    writes += 1;
                }
                drop(held);
            }
            writes
        })
    };
    let mut union = union_of(&here, Box::new(Log(Arc::clone(&log))));
    let link = Link::connect(&params, &ours, RUN, 7, &Arc::default()).expect("connect");
    let mut source = Source::new(link, Arc::clone(&here), sink, Arc::default());
    let precopy = PrecopyParams {
        max_rounds: 4,
        max_time_ms: 30_000,
        downtime_limit_ms: 0,
        fixed_blackout_us: 0,
        verify: false,
        bandwidth: None,
        hold: None,
        hooks_us: 0,
    };
    source.precopy(Workload { devices: &mut devices, union: &mut union }, &precopy).expect("pre-copy");
    // However late a busy machine lets it, the device writes once more before it is stopped.
    while log.lock().unwrap().is_empty() {
        thread::yield_now();
    }
    let cutover = CutoverParams {
        downtime_limit_ms: 60_000,
        fixed_blackout_us: 0,
        verify: true,
        pauses: Vec::new(),
        max_state: None,
        hooks_us: 0,
    };
    let reply = source
        .cutover(Workload { devices: &mut devices, union: &mut union }, &cutover, &mut FakeRecord::default())
        .expect("ready");
    over.store(true, Ordering::SeqCst);
    assert!(writer.join().expect("no panic") > 100, "the device wrote");
    receiving.join().expect("no panic").expect("received");
    assert!(reply.cause.is_none(), "{:?}", reply.cause);
    assert_eq!(seen.lock().unwrap().state, DeviceState::StopCopy);
    assert!(reply.last_pages > 0, "it wrote until it was stopped");
    assert!(content(&here) == content(&there), "memories differ");
}
