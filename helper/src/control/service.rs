//! What the connections, the worker and the signals share: who owns the run, and the carrying out of what it decides.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use serde_json::Value;

use super::connection::{Connection, listen_to};
use super::output::{LAST_WORDS, Output, Queue};
use super::ownership::{Action, Event, Id, Ownership};
use super::value::{json, nothing, params};
use super::{process, socket};
use crate::error::{HelperError, Result};
use crate::log::say;
use crate::message::{Event as Notice, EventSink, Request};
use crate::session::Standing;
use crate::session::shared::Shared;
use crate::transfer::net::tls::Identity;

/// Connections at once, stdin's included.
const MOST: usize = 8;

/// For the worker, in order.
pub enum Work {
    Request(Arc<Connection>, Request),
    /// The owner is gone, and whose connection can be closed after it.
    Settle(Option<Arc<Connection>>),
    GiveUp,
    /// Where no clock can be had.
    GraceOver(u32),
}

/// Events, to the owner of the run now.
#[derive(Default)]
struct ToOwner(Mutex<Option<Arc<Output>>>);

impl ToOwner {
    fn set(&self, output: Option<Arc<Output>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = output;
    }
}

impl EventSink for ToOwner {
    fn emit(&self, event: Notice) {
        let output = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(output) = output {
            output.emit(event);
        }
    }
}

struct Inner {
    ownership: Ownership,
    /// In here so that the queue has the order of the decisions.
    work: Sender<Work>,
    connections: BTreeMap<Id, Arc<Connection>>,
    /// Of all connections that were: some may have words left to write when this process ends.
    outputs: Vec<Weak<Queue>>,
    next: Id,
}

pub struct Service {
    /// For threads that outlive a call.
    this: Weak<Service>,
    inner: Mutex<Inner>,
    events: Arc<ToOwner>,
    pub shared: Arc<Shared>,
}

impl Service {
    pub fn new(work: Sender<Work>) -> Arc<Self> {
        let events = Arc::new(ToOwner::default());
        let shared = Arc::new(Shared::new(Arc::clone(&events) as Arc<dyn EventSink>));
        let inner =
            Inner { ownership: Ownership::default(), work, connections: BTreeMap::new(), outputs: Vec::new(), next: 0 };
        Arc::new_cyclic(|this| Self { this: Weak::clone(this), inner: Mutex::new(inner), events, shared })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in; the first is stdin's. `None` when there are too many.
    ///
    /// # Errors
    /// `link/identity`.
    pub fn connect(self: &Arc<Self>, output: Output, socket: Option<UnixStream>) -> Result<Option<Arc<Connection>>> {
        let identity = Identity::generate()?;
        let mut inner = self.lock();
        inner.outputs.retain(|queue| queue.strong_count() > 0);
        inner.outputs.push(Arc::downgrade(&output.queue()));
        if inner.connections.len() >= MOST {
            output.reply(None, &Err(HelperError::new("owner/crowded", format!("{MOST} connections are open here"))));
            return Ok(None);
        }
        let id = inner.next;
        inner.next += 1;
        let service = Arc::downgrade(self);
        output.when_full(move || {
            say("a connection was closed, because what it was told was not read");
            if let Some(service) = service.upgrade() {
                service.gone(id);
            }
        });
        let connection = Arc::new(Connection::new(id, output, identity, socket));
        inner.connections.insert(id, Arc::clone(&connection));
        Ok(Some(connection))
    }

    /// A stream from one of this helper's sockets: served in a thread of its own, if its user may.
    pub fn admit(self: &Arc<Self>, stream: UnixStream) {
        let opened = stream.try_clone().and_then(|reader| Ok((reader, stream.try_clone()?)));
        let Ok((reader, writer)) = opened else { return };
        let Ok(output) = Output::new(writer.into(), true) else { return };
        if !socket::is_ours(&stream) {
            let error = HelperError::new("owner/other-user", "only this helper's own user, and root, may drive it");
            output.reply(None, &Err(error));
            return;
        }
        match self.connect(output, Some(stream)) {
            Ok(Some(connection)) => {
                let service = Arc::clone(self);
                let id = connection.id;
                let listening = thread::Builder::new()
                    .name("connection".to_owned())
                    .spawn(move || listen_to(&service, &connection, BufReader::new(reader)));
                if let Err(error) = listening {
                    // The socket goes on: a helper that stays must be reached once there are threads again.
                    say(&format!("a connection was closed, because no thread could be made for it: {error}"));
                    self.gone(id);
                }
            }
            Ok(None) => {}
            Err(error) => say(&error.to_string()),
        }
    }

    /// A request of a run. Answered here when it must not wait for the worker; `None`: the worker will.
    pub fn asked(&self, connection: &Arc<Connection>, request: Request) -> Option<Result<Value>> {
        let mut inner = self.lock();
        let actions = inner.ownership.on(Event::Asked(connection.id));
        if !actions.contains(&Action::Serve) {
            drop(inner);
            return Some(Err(if actions.contains(&Action::Busy) { self.busy() } else { ending() }));
        }
        self.carry_out(&inner, &actions, None);
        let given = request.params.clone();
        let op = request.op.as_str();
        if matches!(op, "cancel" | "proceed" | "tune" | "continue" | "rollback") {
            // A rollback sets the cancel flag before the guard sees it: of another run, or of an owner that is no
            // longer one, it must not end what is under way.
            if let Err(late) = self.shared.must_concern(op, request.run.as_deref(), request.epoch) {
                return Some(Err(late));
            }
        }
        match op {
            // From here on the run goes to its end, or back, without another owner.
            "cancel" | "cutover" | "rollback" | "release" | "stay" | "exec" => {
                let actions = inner.ownership.on(Event::Closed);
                self.carry_out(&inner, &actions, None);
            }
            "receive" if self.shared.grace().is_some() => drop(inner.ownership.on(Event::Connected)),
            _ => {}
        }
        let answer = match op {
            "take-up" => self.take_up(&inner, &request),
            "cancel" => {
                self.shared.cancel();
                nothing()
            }
            "proceed" => {
                self.shared.steer.proceed();
                nothing()
            }
            "tune" => params(given).and_then(|tune| json(&self.shared.steer.tune(tune)?)),
            "continue" => params(given).and_then(|answer| json(&self.shared.steer.go_on(answer)?)),
            op => {
                if op == "rollback" {
                    self.shared.cancel();
                }
                match inner.work.send(Work::Request(Arc::clone(connection), request)) {
                    Ok(()) => return None,
                    Err(_) => Err(ending()),
                }
            }
        };
        Some(answer)
    }

    /// Whether this owner may go on with a run that another one began. Old voices of that one are late from now on.
    fn take_up(&self, inner: &Inner, request: &Request) -> Result<Value> {
        let (Some(run), Some(epoch)) = (request.run.as_deref(), request.epoch) else {
            return Err(HelperError::new("protocol/no-run", "`take-up` must carry a run id and an epoch"));
        };
        self.shared.must_concern("take-up", Some(run), Some(epoch))?;
        if !self.shared.has_run() || !inner.ownership.may_go_on() {
            return Err(HelperError::new("owner/closed", format!("run {run} cannot be gone on with here any more"))
                .suggest("it is being undone, or is past its stop: `ferry recover` finishes it"));
        }
        self.shared.note_epoch(epoch);
        nothing()
    }

    fn busy(&self) -> HelperError {
        let run = self.shared.status().run.map_or_else(|| "this helper".to_owned(), |run| format!("run {run}"));
        HelperError::new("owner/busy", format!("another ferry drives {run}"))
            .suggest("ask that one (`ferry status`, `ferry cancel`), or wait until it has gone")
    }

    /// A connection ended or was given up. Told twice, the second time changes nothing.
    pub fn gone(&self, id: Id) {
        let mut inner = self.lock();
        let Some(connection) = inner.connections.remove(&id) else { return };
        connection.mark_gone();
        connection.output.last_words(LAST_WORDS);
        if self.shared.is_stopping() {
            let actions = inner.ownership.on(Event::Closed);
            self.carry_out(&inner, &actions, None);
        }
        let actions = inner.ownership.on(Event::Gone(id));
        let settling = actions.contains(&Action::Settle);
        self.carry_out(&inner, &actions, Some(Arc::clone(&connection)));
        drop(inner);
        if !settling {
            connection.end();
        }
    }

    pub fn grace_over(&self, number: u32) {
        self.on(Event::GraceOver(number));
    }

    pub fn begun(&self) {
        self.on(Event::Begun);
    }

    /// The run can go on under another owner.
    pub fn connected(&self) {
        if self.shared.grace().is_some() {
            self.on(Event::Connected);
        }
    }

    /// It cannot any more.
    pub fn closed(&self) {
        self.on(Event::Closed);
    }

    /// After the grace the run is settled, unless an owner came.
    fn wait(&self, inner: &Inner, number: u32) {
        let grace = self.shared.grace().unwrap_or_default();
        say(&format!("the owner is gone: the run waits {} ms for another one", grace.as_millis()));
        self.shared.steer.wait_for_owner();
        let Some(service) = self.this.upgrade() else { return };
        let waiting = thread::Builder::new().spawn(move || {
            thread::sleep(grace);
            service.grace_over(number);
        });
        if let Err(error) = waiting {
            say(&format!("there is no grace, because no thread could be made for it: {error}"));
            self.shared.orphan();
            drop(inner.work.send(Work::GraceOver(number)));
        }
    }

    /// What was left behind is settled.
    pub fn settled(&self, standing: Standing) {
        self.on(Event::Settled(standing));
    }

    pub fn child_started(&self) {
        self.on(Event::ChildStarted);
    }

    pub fn has_children(&self) -> bool {
        self.lock().ownership.has_children()
    }

    pub fn child_ended(&self) {
        self.on(Event::ChildEnded);
    }

    /// Somebody wants this process to end.
    pub fn terminate(&self) {
        self.on(Event::Terminated);
    }

    fn on(&self, event: Event) {
        let mut inner = self.lock();
        let actions = inner.ownership.on(event);
        self.carry_out(&inner, &actions, None);
    }

    /// Waits until what was said is written, or may not wait any longer.
    pub fn finish(&self) {
        let outputs = std::mem::take(&mut self.lock().outputs);
        let outputs: Vec<_> = outputs.iter().filter_map(Weak::upgrade).collect();
        outputs.iter().for_each(|output| output.end());
        outputs.iter().for_each(|output| output.finish());
    }

    pub fn has_ended(&self) -> bool {
        self.lock().ownership.has_ended()
    }

    fn carry_out(&self, inner: &Inner, actions: &[Action], leaving: Option<Arc<Connection>>) {
        for action in actions {
            match action {
                Action::Own(id) => {
                    self.events.set(inner.connections.get(id).map(|connection| Arc::clone(&connection.output)));
                }
                Action::Disown => self.events.set(None),
                Action::Wait(number) => self.wait(inner, *number),
                Action::GoOn => self.shared.steer.go_on_with_owner(),
                Action::Cancel => self.shared.cancel(),
                Action::Orphan => self.shared.orphan(),
                // The worker ends after the last settling, so one that is gone has nothing left to settle.
                Action::Settle => drop(inner.work.send(Work::Settle(leaving.clone()))),
                Action::GiveUp => {
                    for connection in inner.connections.values() {
                        connection.output.last_words(LAST_WORDS);
                    }
                    drop(inner.work.send(Work::GiveUp));
                }
                Action::Detach => process::detach(),
                Action::Serve | Action::Busy | Action::Ending | Action::End => {}
            }
        }
    }
}

fn ending() -> HelperError {
    HelperError::new("owner/ending", "this helper is about to end")
}
