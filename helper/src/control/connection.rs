//! One connection: stdin and stdout, or a socket. Its requests are read here, in a thread of its own that never waits
//! for the run: what can be said at once is, the rest goes to the worker.

use std::collections::VecDeque;
use std::io::BufRead;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::lines::{Line, read_line};
use super::output::Output;
use super::ownership::Id;
use super::probe;
use super::rights::with_rights;
use super::service::Service;
use super::value::{json, nothing, panicked, params};
use crate::durable::left_record;
use crate::error::{HelperError, Result};
use crate::log::say;
use crate::message::num::Bytes;
use crate::message::{
    EventSink, HelloParams, HelloReply, MAX_LINE_BYTES, OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION, Phase, Request,
    RouteReply,
};
use crate::privileges::without_capabilities;
use crate::resident::{memlock_limit, memory_available};
use crate::sysfs;
use crate::transfer::confine::{Duty, confine_run};
use crate::transfer::net::route::route;
use crate::transfer::net::tls::Identity;

/// Replies kept for requests that are sent again.
const REMEMBERED: usize = 64;

pub struct Connection {
    pub id: Id,
    pub output: Arc<Output>,
    /// Of the data connections of a run that this connection drives.
    pub identity: Arc<Identity>,
    socket: Option<UnixStream>,
    clock: Instant,
    /// Milliseconds of `clock` at which something was heard last.
    heard_ms: AtomicU64,
    /// A request is being answered here: no silence of the other side.
    answering: AtomicBool,
    /// Silence after which the other side counts as gone; 0: however long it is silent.
    keepalive_ms: AtomicU64,
    watched: AtomicBool,
    gone: AtomicBool,
    remembered: Mutex<VecDeque<(u64, String, String)>>,
}

impl Connection {
    pub fn new(id: Id, output: Output, identity: Identity, socket: Option<UnixStream>) -> Self {
        Self {
            id,
            output: Arc::new(output),
            identity: Arc::new(identity),
            socket,
            clock: Instant::now(),
            heard_ms: AtomicU64::new(0),
            answering: AtomicBool::new(false),
            keepalive_ms: AtomicU64::new(0),
            watched: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            remembered: Mutex::default(),
        }
    }

    fn heard(&self) {
        self.heard_ms.store(self.clock.elapsed().as_millis() as u64, Ordering::SeqCst);
    }

    fn silent_for(&self) -> Duration {
        if self.answering.load(Ordering::SeqCst) {
            return Duration::ZERO;
        }
        self.clock.elapsed().saturating_sub(Duration::from_millis(self.heard_ms.load(Ordering::SeqCst)))
    }

    /// Nothing of it is heard any more. What it asked for before is still answered.
    pub fn mark_gone(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Nothing more is heard of it. What was said to it is still written, for a while.
    pub fn end(&self) {
        self.mark_gone();
        self.output.end();
    }

    /// Nothing is written to it any more either.
    pub fn close(&self) {
        self.mark_gone();
        self.output.close();
        if let Some(socket) = &self.socket {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// The reply that request got before.
    pub fn reply_to(&self, id: u64, op: &str) -> Option<String> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.iter().find(|(known, name, _)| *known == id && name == op).map(|(_, _, reply)| reply.clone())
    }

    pub fn remember(&self, id: u64, op: String, reply: String) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() == REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back((id, op, reply));
    }
}

/// Reads requests until the other side ends, falls silent, or is closed.
pub fn listen_to(service: &Arc<Service>, connection: &Arc<Connection>, mut input: impl BufRead) {
    without_capabilities();
    loop {
        let line = read_line(&mut input, MAX_LINE_BYTES);
        // A driver that was given up and wakes up late is not heard.
        if connection.is_gone() {
            break;
        }
        connection.answering.store(true, Ordering::SeqCst);
        match line {
            Ok(Line::Text(line)) => take(service, connection, &line),
            Ok(Line::TooLong) => {
                let error = HelperError::new("request/too-long", format!("a line of more than {MAX_LINE_BYTES} bytes"));
                connection.output.reply(None, &Err(error));
            }
            Ok(Line::Eof) | Err(_) => break,
        }
        connection.heard();
        connection.answering.store(false, Ordering::SeqCst);
    }
    service.gone(connection.id);
}

fn take(service: &Arc<Service>, connection: &Arc<Connection>, line: &[u8]) {
    if line.iter().all(u8::is_ascii_whitespace) {
        return;
    }
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => {
            let id = serde_json::from_slice::<Value>(line).ok().and_then(|value| value.get("id")?.as_u64());
            let error = HelperError::new("request/broken-line", format!("not a request: {error}"));
            connection.output.reply(id, &Err(error));
            return;
        }
    };
    let id = request.id;
    let answered = catch_unwind(AssertUnwindSafe(|| answer(service, connection, request)));
    if let Some(result) = answered.unwrap_or_else(|_| Some(Err(panicked()))) {
        connection.output.reply(Some(id), &result);
    }
}

/// What belongs to no run is answered here, to anybody; the rest is the owner's. `None`: another thread will answer.
fn answer(service: &Arc<Service>, connection: &Arc<Connection>, request: Request) -> Option<Result<Value>> {
    let given = request.params.clone();
    Some(match request.op.as_str() {
        "hello" => params(given).and_then(|asked| hello(service, connection, &asked)),
        "status" => json(&service.shared.status()),
        "ping" => nothing(),
        "inventory" => looked_at(service, move || {
            params(given.clone()).and_then(|asked| json(&sysfs::inventory(&asked, Path::new("/"))?))
        }),
        "record" => {
            looked_at(service, move || params(given.clone()).and_then(|asked| json(&left_record::look(&asked)?)))
        }
        "route" => params(given)
            .and_then(|asked: crate::message::RouteParams| json(&RouteReply { from: route(asked.address)? })),
        "expect-probe" => {
            let connection = Arc::clone(connection);
            looked_at(service, move || {
                let events = Arc::clone(&connection.output) as Arc<dyn EventSink>;
                params(given.clone()).and_then(|asked| json(&probe::expect(&asked, &connection.identity, events)?))
            })
        }
        "probe" => {
            // Dialling takes its time, and pings must be answered meanwhile.
            let (connection, id) = (Arc::clone(connection), request.id);
            thread::spawn(move || {
                let made = confine_run(&Duty { connects: true, ..Duty::default() })
                    .and_then(|()| params(given))
                    .and_then(|asked| json(&probe::probe(&asked, &connection.identity)?));
                connection.output.reply(Some(id), &made);
            });
            return None;
        }
        _ => return service.asked(connection, request),
    })
}

/// With rights, though not while a run moves.
fn looked_at(service: &Service, look: impl Fn() -> Result<Value> + Clone + Send + 'static) -> Result<Value> {
    let moves = !matches!(service.shared.phase(), Phase::Idle | Phase::Claimed | Phase::SetUp);
    if moves { look() } else { with_rights(look) }
}

fn hello(service: &Arc<Service>, connection: &Arc<Connection>, asked: &HelloParams) -> Result<Value> {
    if !(OLDEST_PROTOCOL_VERSION..=PROTOCOL_VERSION).contains(&asked.protocol) {
        let behind = if asked.protocol > PROTOCOL_VERSION { "ferry-helper here" } else { "ferry" };
        return Err(HelperError::new(
            "hello/protocol",
            format!(
                "this helper speaks protocol versions {OLDEST_PROTOCOL_VERSION} to {PROTOCOL_VERSION}, asked for {}",
                asked.protocol
            ),
        )
        .suggest(format!("upgrade {behind}: a release speaks its own version and that of the release before")));
    }
    connection.keepalive_ms.store(asked.keepalive_ms.unwrap_or(0), Ordering::SeqCst);
    if asked.keepalive_ms.is_some() && !connection.watched.swap(true, Ordering::SeqCst) {
        let (service, connection) = (Arc::clone(service), Arc::clone(connection));
        thread::spawn(move || watch(&service, &connection));
    }
    json(&HelloReply {
        protocol: asked.protocol,
        version: env!("CARGO_PKG_VERSION"),
        build: super::host::build().to_owned(),
        pid: std::process::id(),
        uid: rustix::process::geteuid().as_raw(),
        kernel: super::host::kernel(),
        clock_us: Bytes(super::host::clock_us()),
        // The owner may name another one, and says so itself if it needs this one. An older owner does not know that.
        state_dir: match super::host::state_dir() {
            Err(_) if asked.protocol == PROTOCOL_VERSION => String::new(),
            found => found?,
        },
        page_size: rustix::param::page_size() as u64,
        memlock_bytes: memlock_limit().map(Bytes),
        memory_available_bytes: Bytes(memory_available()),
        fingerprint: connection.identity.fingerprint().to_owned(),
        confinement: super::host::confinement(),
    })
}

/// Gives the connection up once nothing was heard, or nothing read, for as long as it said itself. A dead network between
/// ssh and its server closes nothing here by itself.
fn watch(service: &Service, connection: &Connection) {
    while !connection.is_gone() {
        let keepalive = Duration::from_millis(connection.keepalive_ms.load(Ordering::SeqCst));
        let silent = connection.silent_for() > keepalive;
        if !keepalive.is_zero() && (silent || connection.output.stuck_for() > keepalive) {
            let what = if silent { "was silent" } else { "read nothing" };
            say(&format!("the owner {what} for more than {} ms", keepalive.as_millis()));
            connection.close();
            service.gone(connection.id);
            return;
        }
        thread::sleep((keepalive / 4).clamp(Duration::from_millis(10), Duration::from_secs(1)));
    }
}
