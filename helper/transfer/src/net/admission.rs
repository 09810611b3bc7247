//! Who comes in: every connection is judged on a thread of its own, so that a silent one cannot keep the source waiting;
//! the source's are gathered until all are here.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::confine::confine;
use crate::error::{FailureKind, HelperError, Result};
use crate::message::ListenParams;
use crate::net::preface::{Credentials, Place, Verdict, welcome};
use crate::net::rejections::Rejections;
use crate::net::socket::{Patience, Socket, Wait};
use crate::net::tls::Identity;

/// Time a connection has to show that it is the source's, and the source's others to follow its first.
pub const INTRODUCTION: Duration = Duration::from_secs(5);
/// Connections judged at once. One more sends away the one that has been judged longest: a source in a crowd of
/// strangers still has the time of that many arrivals, and a source tries again.
const AT_ONCE: usize = 64;
/// Time one that was refused has to read why.
const FAREWELL: Duration = Duration::from_millis(500);

pub struct Admission {
    params: ListenParams,
    identity: Arc<Identity>,
    credentials: Credentials,
    rejections: Rejections,
    arrivals: Mutex<Arrivals>,
}

#[derive(Default)]
struct Arrivals {
    /// Under judgement, oldest first.
    judged: BTreeMap<u64, TcpStream>,
    next: u64,
    /// Whose connections these are, once the first has come.
    attempt: Option<[u8; 16]>,
    since: Option<Instant>,
    taken: BTreeMap<u16, Option<Socket>>,
    shut: bool,
}

impl Admission {
    pub fn new(
        params: ListenParams,
        identity: Arc<Identity>,
        credentials: Credentials,
        rejections: Rejections,
    ) -> Self {
        Self { params, identity, credentials, rejections, arrivals: Mutex::default() }
    }

    /// Judges one that knocked, on another thread. From the wrong address, it does not get as far.
    pub fn judge_later(self: &Arc<Self>, tcp: TcpStream, from: SocketAddr) {
        let from = from.ip().to_canonical();
        if let Some(expected) = self.params.from.filter(|expected| expected.to_canonical() != from) {
            self.rejections.note(from, "link/stranger", &format!("only {expected} may connect"));
            return;
        }
        let Some(ticket) = self.admit(&tcp) else { return };
        let admission = Arc::clone(self);
        let judging = thread::Builder::new().spawn(move || {
            // Before a byte of a stranger.
            let judged = confine().and_then(|()| admission.judge(tcp, ticket));
            let shut = admission.leave(ticket);
            if let Err(error) = judged {
                let why = if shut { "the source had come meanwhile" } else { error.message.as_str() };
                admission.rejections.note(from, error.code, why);
            }
        });
        if judging.is_err() {
            // No thread to be had: it is closed unheard, and comes again if it is the source's.
            self.leave(ticket);
        }
    }

    /// The sockets of all streams, in order, once they are here.
    pub fn complete(&self) -> Option<Vec<Socket>> {
        let mut arrivals = self.lock();
        if arrivals.taken.len() < usize::from(self.params.streams) || arrivals.taken.values().any(Option::is_none) {
            return None;
        }
        arrivals.shut = true;
        Some(std::mem::take(&mut arrivals.taken).into_values().flatten().collect())
    }

    /// # Errors
    /// `link/streams` when the first has been here for long and others are missing.
    pub fn check(&self) -> Result<()> {
        let arrivals = self.lock();
        if arrivals.since.is_none_or(|since| since.elapsed() < INTRODUCTION) {
            return Ok(());
        }
        let here = arrivals.taken.values().flatten().count();
        Err(HelperError::of(
            FailureKind::Link,
            "link/streams",
            format!(
                "{here} of the source's {} connections came, and no more within {} s",
                self.params.streams,
                INTRODUCTION.as_secs()
            ),
        )
        .suggest("look at the source's report; a firewall may limit connections per address"))
    }

    /// No one is let in any more, and those under judgement are sent away.
    pub fn shut(&self) {
        let mut arrivals = self.lock();
        arrivals.shut = true;
        for tcp in arrivals.judged.values() {
            // It may be closed already.
            let _ = tcp.shutdown(Shutdown::Both);
        }
    }

    /// A place among those under judgement, the oldest one's if there is none; `None` without a descriptor.
    fn admit(&self, tcp: &TcpStream) -> Option<u64> {
        let handle = tcp.try_clone().ok()?;
        let mut arrivals = self.lock();
        if arrivals.judged.len() >= AT_ONCE {
            if let Some((_, oldest)) = arrivals.judged.pop_first() {
                let _ = oldest.shutdown(Shutdown::Both);
            }
        }
        let ticket = arrivals.next;
        arrivals.next += 1;
        arrivals.judged.insert(ticket, handle);
        Some(ticket)
    }

    /// Whether admission had ended before this one was judged.
    fn leave(&self, ticket: u64) -> bool {
        let mut arrivals = self.lock();
        arrivals.judged.remove(&ticket);
        arrivals.shut
    }

    fn judge(&self, tcp: TcpStream, ticket: u64) -> Result<()> {
        let fail = |error: std::io::Error| HelperError::os_of(FailureKind::Link, "link/socket", "fcntl", &error, "");
        tcp.set_nonblocking(false).map_err(fail)?;
        let silence = Duration::from_millis(self.params.link_timeout_ms.max(1));
        let patience = Patience { cancel: None, deadline: Some(Instant::now() + INTRODUCTION), silence };
        let keepalive = Duration::from_millis(self.params.keepalive_ms);
        let mut socket = if self.params.encrypt {
            Socket::destination(self.identity.destination(&self.params.peer)?, tcp, patience, keepalive)?
        } else {
            Socket::plain(tcp, patience, keepalive)?
        };
        let mut taken = None;
        let welcomed = welcome(&mut socket, &self.credentials, self.params.streams, &mut |place| {
            let verdict = self.take(place, ticket);
            taken = (verdict == Verdict::Welcome).then_some(place.index);
            verdict
        });
        let welcomed = welcomed.and_then(|(place, _)| {
            socket.set_patience(Patience { cancel: None, deadline: None, silence })?;
            Ok(place)
        });
        match welcomed {
            Ok(place) => {
                // Dropped, and so closed, when admission ended meanwhile.
                if let Some(seat) = self.lock().taken.get_mut(&place.index) {
                    *seat = Some(socket);
                }
                Ok(())
            }
            Err(error) => {
                taken.into_iter().for_each(|index| self.give_back(index));
                let_read_refusal(&mut socket, &error);
                Err(match error.kind {
                    FailureKind::Deadline => {
                        HelperError::of(FailureKind::Link, "link/timeout", "it did not introduce itself in time")
                    }
                    _ => error,
                })
            }
        }
    }

    /// Keeps a seat for one that proved itself, if it is of the source that came first and the seat is free.
    fn take(&self, place: Place, ticket: u64) -> Verdict {
        let mut arrivals = self.lock();
        if arrivals.shut || arrivals.taken.contains_key(&place.index) {
            return Verdict::Taken;
        }
        if *arrivals.attempt.get_or_insert(place.attempt) != place.attempt {
            return Verdict::Attempt;
        }
        arrivals.since.get_or_insert_with(Instant::now);
        arrivals.taken.insert(place.index, None);
        // From now on no crowd sends it away.
        arrivals.judged.remove(&ticket);
        Verdict::Welcome
    }

    /// It was lost on the threshold. If no one else came, another source may.
    fn give_back(&self, index: u16) {
        let mut arrivals = self.lock();
        arrivals.taken.remove(&index);
        if arrivals.taken.is_empty() {
            (arrivals.attempt, arrivals.since) = (None, None);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refusal closed at once, with something unread, could be lost on its way.
fn let_read_refusal(socket: &mut Socket, error: &HelperError) {
    let patience = Patience { cancel: None, deadline: Some(Instant::now() + FAREWELL), silence: FAREWELL };
    if error.kind.is_of_wire() && socket.set_patience(patience).is_ok() {
        socket.finish();
        let mut sink = [0; 4096];
        while socket.read(&mut sink, Wait::Due).is_ok() {}
    }
}

#[cfg(test)]
mod tests;
