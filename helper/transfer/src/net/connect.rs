//! A source's way to its destination: every connection dialled, secured and introduced.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{FailureKind, HelperError, Result};
use crate::message::ConnectParams;
use crate::net::dial::dial;
use crate::net::preface::{Credentials, Place, introduce};
use crate::net::socket::{Patience, Socket};
use crate::net::tls::Identity;
use crate::streams::link::{Link, MOST_STREAMS};

/// Times a connection that ended before a word was said is tried again: a destination that strangers crowd may have
/// taken it for one of them.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

impl Link {
    /// Connects a source to a destination that waits in [`crate::net::listener::Listener::accept`], with all its streams. A
    /// refused connection is tried again until the link timeout has passed: the other helper may still be about to
    /// listen.
    ///
    /// # Errors
    /// `request/bad-params`, `link/refused`, `link/unreachable`, `link/address`, `link/timeout`, `link/lost`,
    /// `run/cancelled`, `wire/tls` and those of the preface.
    pub fn connect(
        params: &ConnectParams,
        identity: &Identity,
        run: &str,
        epoch: u64,
        cancel: &Arc<AtomicBool>,
    ) -> Result<Self> {
        check_streams(params.streams)?;
        if params.r#use == 0 || params.r#use > params.streams {
            let message = format!("{} of {} streams cannot be used", params.r#use, params.streams);
            return Err(HelperError::new("request/bad-params", message));
        }
        let silence = Duration::from_millis(params.link_timeout_ms.max(1));
        let caller = Caller {
            params,
            identity,
            credentials: Credentials::new(run, epoch, &params.secret)?,
            patience: Patience { cancel: Some(Arc::clone(cancel)), deadline: None, silence },
        };
        let first = Place::first_of(params.streams)?;
        let (socket, round_trip) = caller.call(first)?;
        let others: Result<Vec<_>> = thread::scope(|scope| {
            let calls: Vec<_> = (1..params.streams)
                .map(|index| {
                    let caller = &caller;
                    thread::Builder::new()
                        .spawn_scoped(scope, move || caller.call(Place { index, ..first }))
                        .map_err(|error| HelperError::os_of(FailureKind::Link, "link/thread", "clone", &error, ""))
                })
                .collect();
            let joined = calls.into_iter().map(|call| {
                call?.join().unwrap_or_else(|_| Err(HelperError::new("helper/bug", "a connecting thread panicked")))
            });
            joined.map(|called| called.map(|(socket, _)| socket)).collect()
        });
        let mut link = Self::source(socket, others?, round_trip);
        link.set_use(params.r#use);
        Ok(link)
    }
}

/// # Errors
/// `request/bad-params`.
pub(crate) fn check_streams(streams: u16) -> Result<()> {
    if (1..=MOST_STREAMS).contains(&streams) {
        return Ok(());
    }
    Err(HelperError::new("request/bad-params", format!("{streams} streams: must be 1 to {MOST_STREAMS}")))
}

struct Caller<'a> {
    params: &'a ConnectParams,
    identity: &'a Identity,
    credentials: Credentials,
    patience: Patience,
}

impl Caller<'_> {
    /// One connection, introduced, and its round trip.
    fn call(&self, place: Place) -> Result<(Socket, Duration)> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut note = match self.try_once(place, true) {
            Err(error) if is_turned_away(&error) => error,
            other => return other,
        };
        for _ in 1..TRIES {
            if began.elapsed() + pause >= self.patience.silence {
                break;
            }
            self.patience.check()?;
            thread::sleep(pause);
            pause *= 2;
            match self.try_once(place, false) {
                Err(error) if is_turned_away(&error) => note = error,
                // It has closed meanwhile: why it turned us away matters more.
                Err(error) if error.kind == FailureKind::Refused => break,
                other => return other,
            }
        }
        Err(note.suggest(
            "the destination says why it turned a connection away: it may expect another address or another helper, or \
             strangers crowd its port",
        ))
    }

    fn try_once(&self, place: Place, insist: bool) -> Result<(Socket, Duration)> {
        let tcp = dial(self.params, &self.patience, insist)?;
        let keepalive = Duration::from_millis(self.params.keepalive_ms);
        let mut socket = if self.params.encrypt {
            Socket::source(self.identity.source(&self.params.peer)?, tcp, self.patience.clone(), keepalive)?
        } else {
            Socket::plain(tcp, self.patience.clone(), keepalive)?
        };
        let introduced = introduce(&mut socket, &self.credentials, place)?;
        Ok((socket, introduced.round_trip))
    }
}

/// Ended by the other side without a word.
fn is_turned_away(error: &HelperError) -> bool {
    error.kind == FailureKind::Lost
}
