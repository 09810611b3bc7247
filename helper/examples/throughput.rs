//! Pre-copy throughput against a bare loopback TCP copy of the same bytes in the same process, interleaved.
//!
//! `cargo run --release --example throughput -- [MiB] [repeats] [--streams N]` prints one JSON line: medians in bytes per
//! second, the ratio to the bare copy, and CPU seconds per GiB (of all threads; on a busy machine they say more).
//! Destination memory is populated ahead, pages are random; the bare copy always is of one connection. Used by
//! `npm run bench`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use ferry_helper::area::Area;
use ferry_helper::dirty::union::Union;
use ferry_helper::error::{HelperError, Result};
use ferry_helper::memory::{Backing, Memory, Region};
use ferry_helper::message::{ConnectParams, Event, EventSink, ListenParams, PrecopyParams};
use ferry_helper::transfer::commit_record::{CommitRecord, RecordFailure};
use ferry_helper::transfer::destination::Destination;
use ferry_helper::transfer::source::{Source, Workload};
use ferry_helper::transfer::streams::link::{Identity, Link, Listener};

/// Bytes a bare copy hands to the kernel at once: the best of the sizes tried.
const BARE: usize = 1024 * 1024;

struct Quiet;

impl EventSink for Quiet {
    fn emit(&self, _event: Event) {}
}

/// Pre-copy alone is measured: nothing is ever committed.
struct NoRecord;

impl CommitRecord for NoRecord {
    fn commit(&mut self) -> std::result::Result<(), RecordFailure> {
        Err(RecordFailure { error: HelperError::new("record/write", "not in a benchmark"), doubtful: false })
    }
    fn discard(&mut self) -> Result<()> {
        Ok(())
    }
}

fn memory(bytes: u64, random: bool) -> Result<Arc<Memory>> {
    let region = Region::open("bench", Area { iova: 0, bytes }, &Backing::Memfd { huge_page_bytes: None })?;
    region.populate(&mut || Ok(()))?;
    let memory = Memory::new(4096, vec![region])?;
    if random {
        let mut word = 0x9e37_79b9_7f4a_7c15u64;
        let mut piece = vec![0u8; BARE];
        for iova in (0..bytes).step_by(BARE) {
            for bytes in piece.chunks_exact_mut(8) {
                word ^= word << 13;
                word ^= word >> 7;
                word ^= word << 17;
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            if let Some(slice) = memory.slice(iova, BARE as u64) {
                slice.copy_from(&piece);
            }
        }
    }
    Ok(Arc::new(memory))
}

fn failed(error: std::io::Error) -> HelperError {
    HelperError::os("bench", "loopback copy", &error, "")
}

/// The same bytes by plain send and receive, from and to memory of the same kind.
fn bare(here: &Arc<Memory>, there: &Arc<Memory>) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let bytes = here.bytes();
    let to = there.region_at(0).map_or(0, Region::host_address) as usize;
    let receiving = thread::spawn(move || -> std::io::Result<()> {
        let (mut tcp, _) = listener.accept()?;
        let mut done = 0;
        while done < bytes as usize {
            let count = BARE.min(bytes as usize - done);
            // SAFETY: the range lies in the destination's mapping, which the caller keeps until this thread is
            // joined, and no one else touches it meanwhile.
            let into = unsafe { std::slice::from_raw_parts_mut((to + done) as *mut u8, count) };
            done += tcp.read(into)?;
        }
        tcp.write_all(&[1])
    });
    let mut tcp = TcpStream::connect(address).map_err(failed)?;
    let from = here.region_at(0).map_or(0, Region::host_address) as usize;
    let began = Instant::now();
    for done in (0..bytes as usize).step_by(BARE) {
        // SAFETY: the range lies in the source's mapping, and no one writes to it during a measurement.
        let part = unsafe { std::slice::from_raw_parts((from + done) as *const u8, BARE.min(bytes as usize - done)) };
        tcp.write_all(part).map_err(failed)?;
    }
    tcp.read_exact(&mut [0]).map_err(failed)?;
    let took = began.elapsed().as_secs_f64();
    match receiving.join() {
        Ok(result) => result.map_err(failed)?,
        Err(_) => return Err(HelperError::new("bench", "the receiving thread panicked")),
    }
    Ok(bytes as f64 / took)
}

/// One round of pre-copy over everything.
fn ferry(here: &Arc<Memory>, there: &Arc<Memory>, encrypt: bool, streams: u16) -> Result<f64> {
    let (ours, theirs) = (Arc::new(Identity::generate()?), Arc::new(Identity::generate()?));
    let listen = ListenParams {
        address: "127.0.0.1".into(),
        port: 0,
        encrypt,
        peer: ours.fingerprint().into(),
        secret: "11".repeat(32),
        link_timeout_ms: 10_000,
        keepalive_ms: 10_000,
        interface: None,
        from: None,
        streams,
    };
    let listener = Listener::bind(&listen, &theirs, "bench", 1)?;
    let connect = ConnectParams {
        address: listen.address.clone(),
        port: listener.address().port(),
        encrypt,
        peer: theirs.fingerprint().into(),
        secret: listen.secret.clone(),
        link_timeout_ms: listen.link_timeout_ms,
        keepalive_ms: listen.keepalive_ms,
        streams,
        r#use: streams,
        bind: None,
    };
    let sink: Arc<dyn EventSink> = Arc::new(Quiet);
    let receiving = {
        let (there, sink) = (Arc::clone(there), Arc::clone(&sink));
        thread::spawn(move || {
            let link = listener.accept(&Arc::default(), &sink)?;
            Destination::new(link, there, sink, Arc::default()).receive(&mut [], &mut NoRecord)
        })
    };
    let link = Link::connect(&connect, &ours, "bench", 1, &Arc::default())?;
    let mut source = Source::new(link, Arc::clone(here), sink, Arc::default());
    let mut union = Union::new(4096, here.areas(), Vec::new(), &(Arc::new(|_| Ok(())) as _))?;
    let params = PrecopyParams {
        max_rounds: 1,
        max_time_ms: 600_000,
        downtime_limit_ms: 1000,
        fixed_blackout_us: 0,
        verify: false,
        bandwidth: None,
        hold: None,
        hooks_us: 0,
    };
    let began = Instant::now();
    let reply = source.precopy(Workload { devices: &mut [], union: &mut union }, &params)?;
    let took = began.elapsed().as_secs_f64();
    if reply.bytes.0 != here.bytes() {
        return Err(HelperError::new("bench", format!("{} bytes were sent of {}", reply.bytes.0, here.bytes())));
    }
    drop(source);
    match receiving.join() {
        Ok(result) => result.map(|_| ())?,
        Err(_) => return Err(HelperError::new("bench", "the receiving thread panicked")),
    }
    Ok(here.bytes() as f64 / took)
}

/// CPU time this process has used, all threads, in seconds.
fn cpu_seconds() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec to write to; the clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// One kind of copy: what each repetition gave.
#[derive(Default)]
struct Series {
    rates: Vec<f64>,
    cpu: Vec<f64>,
}

impl Series {
    fn take(&mut self, bytes: u64, run: impl FnOnce() -> Result<f64>) -> Result<()> {
        let before = cpu_seconds();
        self.rates.push(run()?);
        self.cpu.push((cpu_seconds() - before) * f64::from(1 << 30) / bytes as f64);
        Ok(())
    }

    fn rate(&mut self) -> f64 {
        median(&mut self.rates)
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn main() -> Result<()> {
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut streams = 1;
    if let Some(at) = arguments.iter().position(|argument| argument == "--streams") {
        let given = arguments.drain(at..arguments.len().min(at + 2)).nth(1);
        streams = given
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| HelperError::new("request/bad-params", "--streams wants a number of connections"))?;
    }
    let mut arguments = arguments.into_iter();
    let mut number = |or: u64| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(or);
    let (mib, repeats) = (number(2048), number(5));
    let (here, there) = (memory(mib << 20, true)?, memory(mib << 20, false)?);
    let (mut bares, mut plains, mut encrypted) = (Series::default(), Series::default(), Series::default());
    for _ in 0..repeats {
        bares.take(here.bytes(), || bare(&here, &there))?;
        plains.take(here.bytes(), || ferry(&here, &there, false, streams))?;
        encrypted.take(here.bytes(), || ferry(&here, &there, true, streams))?;
    }
    let bare = bares.rate();
    let rows = [("bare loopback TCP", &mut bares), ("ferry, plain", &mut plains), ("ferry, TLS", &mut encrypted)];
    let rows = rows.map(|(way, series)| {
        let rate = series.rate();
        let cpu = median(&mut series.cpu);
        serde_json::json!({
            "way": way, "bytesPerSecond": rate as u64, "ratio": rate / bare, "cpuSecondsPerGib": cpu,
        })
    });
    let report = serde_json::json!({ "bytes": mib << 20, "repeats": repeats, "streams": streams, "rows": rows });
    println!("{report}");
    Ok(())
}
