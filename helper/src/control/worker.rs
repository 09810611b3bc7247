//! The one thread that owns the session: requests one after the other, and the settling of what their owner left.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;

use serde_json::Value;

use super::connection::Connection;
use super::guard::Guard;
use super::hand_out::HandOut;
use super::service::{Service, Work};
use super::sockets::{Purpose, Sockets};
use super::value::{json, nothing, panicked, params};
use crate::error::{HelperError, Result};
use crate::log::say;
use crate::message::{ClaimParams, Event, EventSink, PROTOCOL_VERSION, ReleaseParams, Request, StayParams};
use crate::privileges::without_capabilities;
use crate::session::Session;
use crate::session::Standing;
use crate::session::exec::Child;
use crate::transfer::net::tls::Identity;

pub struct Worker {
    service: Arc<Service>,
    session: Session,
    guard: Guard,
    sockets: Sockets,
    hand_out: Option<HandOut>,
}

impl Worker {
    /// `identity` counts until a claim brings its own.
    pub fn new(service: Arc<Service>, identity: Arc<Identity>) -> Self {
        Self {
            session: Session::new(identity, Arc::clone(&service.shared)),
            guard: Guard::new(),
            sockets: Sockets::new(Arc::clone(&service)),
            hand_out: None,
            service,
        }
    }

    /// Until `Ownership` says that this is the end.
    pub fn work_off(mut self, queue: &Receiver<Work>) {
        while let Ok(work) = queue.recv() {
            match work {
                Work::Request(from, request) => self.serve(&from, request),
                Work::Settle(owner) => {
                    let standing = self.settle();
                    if let Some(owner) = owner {
                        let stays = standing != Standing::Nothing || self.service.has_children();
                        owner.output.emit(Event::Settled { stays });
                        owner.end();
                        // Its pipes are closed before a process that stays leaves its starter.
                        owner.output.queue().finish();
                    }
                    self.service.settled(standing);
                }
                Work::GraceOver(number) => self.service.grace_over(number),
                Work::GiveUp => {
                    match self.settle() {
                        Standing::Nothing => say("ended by a signal"),
                        Standing::Holding => say("ended by a signal: what it held is closed"),
                        Standing::Unfinished => say(
                            "ended by a signal with a run past COMMIT that was not released: its devices are closed, \
                             its record tells the rest",
                        ),
                    }
                    self.close_all();
                    self.service.settled(Standing::Nothing);
                }
            }
            if self.service.has_ended() {
                break;
            }
        }
    }

    fn serve(&mut self, from: &Arc<Connection>, request: Request) {
        let (id, op) = (request.id, request.op.clone());
        if let Some(reply) = from.reply_to(id, &op) {
            from.output.line(&reply);
            return;
        }
        let admitted = self.guard.admit(&op, request.run.as_deref(), request.epoch);
        if let (Ok(()), Some(epoch)) = (&admitted, request.epoch) {
            self.service.shared.note_epoch(epoch);
        }
        let result = admitted.and_then(|()| {
            catch_unwind(AssertUnwindSafe(|| self.answer(from, request))).unwrap_or_else(|_| Err(panicked()))
        });
        if result.is_ok() {
            self.guard.done(&op);
        }
        match (op.as_str(), result.is_ok()) {
            ("claim", true) => self.service.begun(),
            ("connect", true) => self.service.connected(),
            ("connect" | "track" | "precopy", false) | ("receive", _) => self.service.closed(),
            _ => {}
        }
        self.service.shared.note_resident();
        let reply = from.output.reply(Some(id), &result);
        from.remember(id, op, reply);
    }

    fn answer(&mut self, from: &Arc<Connection>, request: Request) -> Result<Value> {
        let given = request.params;
        let session = &mut self.session;
        match request.op.as_str() {
            "claim" => {
                let run = request.run.unwrap_or_default();
                self.claim(from, &run, request.epoch.unwrap_or_default(), &params(given)?)
            }
            "memory" => json(&session.open_memory(&params(given)?)?),
            "container" => json(&session.open_container(&params(given)?)?),
            "device" => json(&session.open_device(params(given)?)?),
            "map" => json(&session.map(&params(given)?)?),
            "unmap" => json(&session.unmap(&params(given)?)?),
            "track" => json(&session.track(&params(given)?)?),
            "dirty" => json(&session.dirty()?),
            "untrack" => json(&session.untrack()?),
            "listen" => json(&session.listen(&params(given)?)?),
            "connect" => {
                let asked = params(given)?;
                let connected = session.apart(true, |session| session.connect(&asked))?;
                session.give_up_set_up();
                json(&connected)
            }
            "receive" => {
                session.give_up_set_up();
                json(&session.apart(false, Session::receive)?)
            }
            "precopy" => {
                let asked = params(given)?;
                json(&session.apart(false, |session| session.precopy(&asked))?)
            }
            "cutover" => {
                let asked = params(given)?;
                json(&session.apart(false, |session| session.cutover(&asked))?)
            }
            "finish" => json(&session.apart(false, Session::finish)?),
            "rollback" => {
                let asked = params(given)?;
                json(&session.apart(false, |session| session.rollback(&asked))?)
            }
            "check" => json(&session.check()?),
            "stay" => self.stay(&params(given)?),
            "exec" => {
                let (reply, child) = session.exec(&params(given)?)?;
                self.close_all();
                self.wait_for(child);
                json(&reply)
            }
            "release" => self.release(&params(given)?),
            other => {
                Err(HelperError::new("request/unknown", format!("no request `{other}` in protocol {PROTOCOL_VERSION}")))
            }
        }
    }

    /// The socket first: a run that could not be reached later does not begin.
    fn claim(&mut self, from: &Arc<Connection>, run: &str, epoch: u64, asked: &ClaimParams) -> Result<Value> {
        self.session.may_claim()?;
        self.sockets.open(Purpose::Run, &asked.socket)?;
        let claimed = self.session.claim(run, epoch, asked, &from.identity);
        if claimed.is_err() {
            self.sockets.close(Purpose::Run);
        }
        json(&claimed?)
    }

    /// The holder's socket and the one for its descriptors are open before the run is over.
    fn stay(&mut self, asked: &StayParams) -> Result<Value> {
        self.session.may_stay()?;
        let hand_out = asked
            .hand_out
            .as_ref()
            .map(|to| HandOut::open(to, &asked.workload, self.session.descriptors()?, &self.service.shared))
            .transpose()?;
        self.sockets.open(Purpose::Holder, &asked.socket)?;
        self.session.stay(&asked.workload)?;
        self.hand_out = hand_out;
        self.sockets.close(Purpose::Run);
        self.session.give_up_opening();
        nothing()
    }

    fn release(&mut self, asked: &ReleaseParams) -> Result<Value> {
        if asked.keep && self.session.is_holder() {
            self.session.keep()?;
            self.sockets.close(Purpose::Run);
        } else {
            if !asked.give_up {
                self.session.undo_if_open();
                self.session.note_settled();
            }
            self.close_all();
        }
        nothing()
    }

    /// Duplicates first: a device stays open as long as one of them is.
    fn close_all(&mut self) {
        self.hand_out = None;
        self.session.release();
        self.sockets.close(Purpose::Run);
        self.sockets.close(Purpose::Holder);
    }

    fn settle(&mut self) -> Standing {
        let standing = self.session.settle();
        match standing {
            Standing::Nothing => self.close_all(),
            Standing::Holding => self.sockets.close(Purpose::Run),
            Standing::Unfinished => {}
        }
        if standing != Standing::Unfinished {
            self.guard.over();
        }
        standing
    }

    fn wait_for(&self, child: Child) {
        self.service.child_started();
        let service = Arc::clone(&self.service);
        thread::spawn(move || {
            without_capabilities();
            say(&child.wait());
            service.child_ended();
        });
    }
}
