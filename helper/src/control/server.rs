//! The request loop. The reading thread never waits for work: it answers hello, status and cancel itself and hands
//! the rest, in order, to one worker that owns the session. So a long request can always be asked about and cancelled.
//!
//! End of stdin means the owner is gone: what is under way is cancelled, the worker undoes what is not committed,
//! and the process ends.

use std::collections::VecDeque;
use std::io::BufRead;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::lines::{Line, read_line};
use super::message::{EventSink, HelloParams, HelloReply, MAX_LINE_BYTES, PROTOCOL_VERSION, Request};
use super::num::Bytes;
use super::output::Output;
use crate::error::{HelperError, Result};
use crate::protocol::guard::Guard;
use crate::session::Session;
use crate::session::resident::{memlock_limit, memory_available};
use crate::session::shared::Shared;
use crate::sysfs;
use crate::transfer::tls::Identity;

type Out = Output<std::io::Stdout>;

/// Replies kept for requests that are sent again.
const REMEMBERED: usize = 64;

/// Serves until end of input. Returns when the session is undone or beyond undoing.
pub fn serve(mut input: impl BufRead, output: Out) -> Result<()> {
    let output = Arc::new(output);
    let identity = Arc::new(Identity::generate()?);
    let shared = Arc::new(Shared::new(Arc::clone(&output) as Arc<dyn EventSink>));
    let (work, queue) = channel();
    let worker = {
        let (output, shared, identity) = (Arc::clone(&output), Arc::clone(&shared), Arc::clone(&identity));
        thread::spawn(move || work_off(&queue, &output, &shared, identity))
    };
    loop {
        match read_line(&mut input, MAX_LINE_BYTES) {
            Ok(Line::Text(line)) => take(&line, &output, &shared, &identity, &work),
            Ok(Line::TooLong) => {
                let error = HelperError::new("request/too-long", format!("a line of more than {MAX_LINE_BYTES} bytes"));
                output.reply(None, &Err(error));
            }
            Ok(Line::Eof) | Err(_) => break,
        }
    }
    shared.cancel();
    drop(work);
    worker.join().map_err(|_| HelperError::new("helper/bug", "the worker thread panicked"))
}

/// One line, on the reading thread.
fn take(line: &[u8], output: &Out, shared: &Shared, identity: &Identity, work: &Sender<Request>) {
    if line.iter().all(u8::is_ascii_whitespace) {
        return;
    }
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => {
            let id = serde_json::from_slice::<Value>(line).ok().and_then(|value| value.get("id")?.as_u64());
            let error = HelperError::new("request/broken-line", format!("not a request: {error}"));
            output.reply(id, &Err(error));
            return;
        }
    };
    let id = request.id;
    match request.op.as_str() {
        "hello" => {
            output.reply(Some(id), &hello(request, identity));
        }
        "status" => {
            output.reply(Some(id), &json(&shared.status()));
        }
        "cancel" => {
            shared.cancel();
            output.reply(Some(id), &Ok(Value::Object(Default::default())));
        }
        "ping" => {
            output.reply(Some(id), &Ok(Value::Object(Default::default())));
        }
        "tune" => {
            output.reply(Some(id), &params(request.params).and_then(|tune| json(&shared.steer.tune(tune)?)));
        }
        "proceed" => {
            shared.steer.proceed();
            output.reply(Some(id), &Ok(Value::Object(Default::default())));
        }
        "continue" => {
            output.reply(Some(id), &params(request.params).and_then(|answer| json(&shared.steer.go_on(answer))));
        }
        op => {
            if op == "rollback" {
                shared.cancel();
            }
            if work.send(request).is_err() {
                output.reply(Some(id), &Err(HelperError::new("helper/bug", "the worker thread is gone")));
            }
        }
    }
}

/// The worker: requests one after the other until the owner is gone, then the undoing.
fn work_off(queue: &Receiver<Request>, output: &Out, shared: &Arc<Shared>, identity: Arc<Identity>) {
    let mut session = Session::new(identity, Arc::clone(shared));
    let mut guard = Guard::new();
    let mut remembered: VecDeque<(u64, String, String)> = VecDeque::new();
    for request in queue {
        if let Some((_, _, reply)) = remembered.iter().find(|(id, op, _)| *id == request.id && *op == request.op) {
            output.line(reply);
            continue;
        }
        let (id, op) = (request.id, request.op.clone());
        let result = guard.admit(&request.op, request.run.as_deref(), request.epoch).and_then(|()| {
            catch_unwind(AssertUnwindSafe(|| answer(&mut session, request))).unwrap_or_else(|_| Err(panicked()))
        });
        if result.is_ok() {
            guard.done(&op);
        }
        shared.note_resident();
        let reply = output.reply(Some(id), &result);
        if remembered.len() == REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back((id, op, reply));
    }
    session.abandon();
}

/// A panic is our fault, but the devices are the operator's: the request fails and the run can still be undone.
fn panicked() -> HelperError {
    HelperError::new("helper/bug", "the request panicked; stderr says where")
        .suggest("report it with the journal of the run")
}

fn hello(request: Request, identity: &Identity) -> Result<Value> {
    let asked: HelloParams = params(request.params)?;
    if asked.protocol != PROTOCOL_VERSION {
        return Err(HelperError::new(
            "hello/protocol",
            format!("this helper speaks protocol {PROTOCOL_VERSION}, asked for {}", asked.protocol),
        )
        .suggest("use ferry and ferry-helper of the same release"));
    }
    json(&HelloReply {
        protocol: PROTOCOL_VERSION,
        version: env!("CARGO_PKG_VERSION"),
        build: super::host::build().to_owned(),
        pid: std::process::id(),
        uid: rustix::process::geteuid().as_raw(),
        kernel: super::host::kernel(),
        clock_us: Bytes(super::host::clock_us()),
        state_dir: super::host::state_dir(),
        page_size: rustix::param::page_size() as u64,
        memlock_bytes: memlock_limit().map(Bytes),
        memory_available_bytes: Bytes(memory_available()),
        fingerprint: identity.fingerprint().to_owned(),
    })
}

fn answer(session: &mut Session, request: Request) -> Result<Value> {
    let run = request.run.unwrap_or_default();
    let epoch = request.epoch.unwrap_or_default();
    let given = request.params;
    match request.op.as_str() {
        "inventory" => json(&sysfs::inventory(&params(given)?, std::path::Path::new("/"))),
        "claim" => json(&session.claim(&run, epoch, &params(given)?)?),
        "memory" => json(&session.open_memory(&params(given)?)?),
        "container" => json(&session.open_container(&params(given)?)?),
        "device" => json(&session.open_device(params(given)?)?),
        "map" => json(&session.map(&params(given)?)?),
        "unmap" => json(&session.unmap(&params(given)?)?),
        "track" => json(&session.track(&params(given)?)?),
        "dirty" => json(&session.dirty()?),
        "untrack" => json(&session.untrack()?),
        "listen" => json(&session.listen(&params(given)?)?),
        "connect" => json(&session.connect(&params(given)?)?),
        "receive" => json(&session.receive()?),
        "precopy" => json(&session.precopy(&params(given)?)?),
        "cutover" => json(&session.cutover(&params(given)?)?),
        "rollback" => json(&session.rollback(&params(given)?)?),
        "check" => json(&session.check()?),
        "release" => {
            session.release();
            json(&())
        }
        other => {
            Err(HelperError::new("request/unknown", format!("no request `{other}` in protocol {PROTOCOL_VERSION}")))
        }
    }
}

fn params<T: DeserializeOwned>(given: Value) -> Result<T> {
    let given = if given.is_null() { Value::Object(Default::default()) } else { given };
    serde_json::from_value(given).map_err(|error| HelperError::new("request/bad-params", error.to_string()))
}

/// A reply's body; nothing becomes `{}`.
fn json(value: &impl Serialize) -> Result<Value> {
    match serde_json::to_value(value) {
        Ok(Value::Null) => Ok(Value::Object(Default::default())),
        Ok(value) => Ok(value),
        Err(error) => Err(HelperError::new("helper/bug", format!("unwritable reply: {error}"))),
    }
}
