//! The first exchange on every connection, before any frame: both sides show that they speak the same wire version,
//! belong to the same run and epoch, and hold the run's secret, which itself never travels.
//!
//! ```text
//! source       magic 8, version u16, streams u16, stream u16, run length u16, epoch u64, nonce 32, run 64, attempt 16
//! destination  magic 8, version u16, verdict u16, zero u32, nonce 32, proof 32
//! source       proof 32
//! destination  verdict u16
//! ```
//! A proof is HMAC-SHA-256 by the secret over a role letter, the source's whole message and the destination's nonce, so
//! one that was heard before proves nothing. The attempt is the same on all connections of one source and new for every
//! other: connections of two sources are never taken for one.

use std::time::{Duration, Instant};

use ring::hmac;
use rustls::crypto::ring::default_provider;

use crate::error::{FailureKind, HelperError, Result};
use crate::net::socket::{Socket, Wait};
use crate::wire::{u16_at, u64_at};

pub const MAGIC: [u8; 8] = *b"FERRYMIG";
/// Changes with any change to the preface, the frames or their payloads.
pub const WIRE_VERSION: u16 = 2;
/// Longest run id in bytes.
pub const MAX_RUN: usize = 64;
pub const HELLO_BYTES: usize = 136;
/// Magic and version: what every version begins with, and judged before more is waited for.
const COMMON_BYTES: usize = 10;
const ANSWER_BYTES: usize = 80;
const PROOF_BYTES: usize = 32;

/// Which of a source's connections one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Made anew by each source that connects.
    pub attempt: [u8; 16],
    pub index: u16,
    /// Connections of this run.
    pub count: u16,
}

impl Place {
    /// # Errors
    /// `link/identity`.
    pub fn first_of(count: u16) -> Result<Self> {
        let mut attempt = [0; 16];
        attempt.copy_from_slice(&nonce()?[..16]);
        Ok(Self { attempt, index: 0, count })
    }
}

/// What both ends of a connection must agree on.
#[derive(Clone)]
pub struct Credentials {
    run: String,
    epoch: u64,
    secret: [u8; 32],
}

impl Credentials {
    /// `secret` is 32 bytes as hex.
    ///
    /// # Errors
    /// `request/bad-params`.
    pub fn new(run: &str, epoch: u64, secret: &str) -> Result<Self> {
        if run.is_empty() || run.len() > MAX_RUN {
            return Err(HelperError::new("request/bad-params", format!("a run id has 1 to {MAX_RUN} bytes")));
        }
        let mut bytes = [0; 32];
        let pairs = secret.as_bytes().chunks(2).map(|pair| {
            let high = char::from(*pair.first()?).to_digit(16)?;
            let low = char::from(*pair.get(1)?).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()
        });
        let parsed: Option<Vec<u8>> = pairs.collect();
        match parsed.filter(|parsed| parsed.len() == 32) {
            Some(parsed) => bytes.copy_from_slice(&parsed),
            None => return Err(HelperError::new("request/bad-params", "the link's secret is not 32 bytes as hex")),
        }
        Ok(Self { run: run.to_owned(), epoch, secret: bytes })
    }

    fn hello(&self, place: Place) -> Result<[u8; HELLO_BYTES]> {
        let mut hello = [0; HELLO_BYTES];
        hello[..8].copy_from_slice(&MAGIC);
        hello[8..10].copy_from_slice(&WIRE_VERSION.to_le_bytes());
        hello[10..12].copy_from_slice(&place.count.to_le_bytes());
        hello[12..14].copy_from_slice(&place.index.to_le_bytes());
        hello[14..16].copy_from_slice(&(self.run.len() as u16).to_le_bytes());
        hello[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        hello[24..56].copy_from_slice(&nonce()?);
        hello[56..56 + self.run.len()].copy_from_slice(self.run.as_bytes());
        hello[120..].copy_from_slice(&place.attempt);
        Ok(hello)
    }

    /// What a destination that expects `count` connections thinks of a source's first message.
    fn judge(&self, hello: &[u8; HELLO_BYTES], count: u16) -> Verdict {
        let length = usize::from(u16_at(hello, 14));
        if length > MAX_RUN || &hello[56..56 + length] != self.run.as_bytes() {
            Verdict::Run
        } else if u64_at(hello, 16) != self.epoch {
            Verdict::Epoch
        } else if u16_at(hello, 10) != count || u16_at(hello, 12) >= count {
            Verdict::Streams
        } else {
            Verdict::Welcome
        }
    }

    fn proof(&self, role: u8, hello: &[u8], nonce: &[u8]) -> Result<[u8; PROOF_BYTES]> {
        let message = [&[role], hello, nonce].concat();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.secret), &message);
        let mut proof = [0; PROOF_BYTES];
        proof.copy_from_slice(tag.as_ref());
        Ok(proof)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Verdict {
    Welcome = 0,
    BadMagic = 1,
    Version = 2,
    Run = 3,
    Epoch = 4,
    Streams = 5,
    Secret = 6,
    /// This stream of this source is here already.
    Taken = 7,
    /// Another source of this run is here already.
    Attempt = 8,
}

impl Verdict {
    fn from_raw(raw: u16) -> Option<Self> {
        [
            Self::Welcome,
            Self::BadMagic,
            Self::Version,
            Self::Run,
            Self::Epoch,
            Self::Streams,
            Self::Secret,
            Self::Taken,
            Self::Attempt,
        ]
        .into_iter()
        .find(|verdict| *verdict as u16 == raw)
    }

    /// The refusal as an error; `Ok` for a welcome.
    fn into_result(self, run: &str) -> Result<()> {
        let version = WIRE_VERSION;
        let (code, message, remedy) = match self {
            Self::Welcome => return Ok(()),
            Self::BadMagic => ("wire/bad-magic", "the peer is not a ferry-helper".to_owned(), "check address and port"),
            Self::Version => (
                "wire/version",
                format!("the helpers speak different wire versions; this one speaks {version}"),
                "use ferry-helper of the same release on both hosts",
            ),
            Self::Run => ("wire/run", format!("the peer is not part of run {run}"), "check address and port"),
            Self::Epoch => (
                "wire/epoch",
                format!("the peer is of another epoch of run {run}"),
                "let one ferry drive the run, and only that one",
            ),
            Self::Streams => (
                "wire/streams",
                "the two helpers were told different numbers of streams".to_owned(),
                "let one ferry set up both sides",
            ),
            Self::Taken => (
                "wire/streams",
                format!("this stream of run {run} is connected already"),
                "somebody repeats connections, or one side saw a connection end that the other still holds: run again",
            ),
            Self::Attempt => (
                "wire/streams",
                format!("another source of run {run} is connected already"),
                "let one ferry drive the run, and only that one",
            ),
            Self::Secret => (
                "wire/secret",
                format!("the peer does not hold the secret of run {run}"),
                "somebody else answers at this address, or both helpers were not started by the same ferry",
            ),
        };
        Err(HelperError::of(FailureKind::Wire, code, message).suggest(remedy))
    }
}

/// The source's part. Returns the round trip of its first exchange.
///
/// # Errors
/// `wire/bad-magic`, `wire/version`, `wire/run`, `wire/epoch`, `wire/streams`, `wire/secret`, and the socket's own.
pub fn introduce(socket: &mut Socket, mine: &Credentials, place: Place) -> Result<Duration> {
    let hello = mine.hello(place)?;
    let sent = Instant::now();
    socket.write(&hello, &mut 0)?;
    let mut answer = [0; ANSWER_BYTES];
    read_all(socket, &mut answer)?;
    let round_trip = sent.elapsed();
    if answer[..8] != MAGIC {
        Verdict::BadMagic.into_result(&mine.run)?;
    }
    Verdict::from_raw(u16_at(&answer, 10)).unwrap_or(Verdict::Version).into_result(&mine.run)?;
    if u16_at(&answer, 8) != WIRE_VERSION {
        Verdict::Version.into_result(&mine.run)?;
    }
    let nonce = &answer[16..48];
    if !same(&answer[48..], &mine.proof(b'd', &hello, nonce)?) {
        Verdict::Secret.into_result(&mine.run)?;
    }
    socket.write(&mine.proof(b's', &hello, nonce)?, &mut 0)?;
    let mut verdict = [0; 2];
    read_all(socket, &mut verdict)?;
    Verdict::from_raw(u16_at(&verdict, 0)).unwrap_or(Verdict::Secret).into_result(&mine.run)?;
    Ok(round_trip)
}

/// The destination's part, for one of `count` connections. `take` is asked once the peer has proved itself, and says
/// whether this place is free.
///
/// # Errors
/// As [`introduce`]; the peer has been told which.
pub fn welcome(
    socket: &mut Socket,
    mine: &Credentials,
    count: u16,
    take: &mut dyn FnMut(Place) -> Verdict,
) -> Result<Place> {
    let mut hello = [0; HELLO_BYTES];
    // A version we do not speak may have another length: it is not waited for.
    read_all(socket, &mut hello[..COMMON_BYTES])?;
    if hello[..8] != MAGIC {
        Verdict::BadMagic.into_result(&mine.run)?;
    }
    let verdict = if u16_at(&hello, 8) == WIRE_VERSION {
        read_all(socket, &mut hello[COMMON_BYTES..])?;
        mine.judge(&hello, count)
    } else {
        Verdict::Version
    };
    let nonce = nonce()?;
    let mut answer = [0; ANSWER_BYTES];
    answer[..8].copy_from_slice(&MAGIC);
    answer[8..10].copy_from_slice(&WIRE_VERSION.to_le_bytes());
    answer[10..12].copy_from_slice(&(verdict as u16).to_le_bytes());
    answer[16..48].copy_from_slice(&nonce);
    if verdict == Verdict::Welcome {
        answer[48..].copy_from_slice(&mine.proof(b'd', &hello, &nonce)?);
    }
    socket.write(&answer, &mut 0)?;
    verdict.into_result(&mine.run)?;
    let mut proof = [0; PROOF_BYTES];
    read_all(socket, &mut proof)?;
    let mut place = Place { attempt: [0; 16], index: u16_at(&hello, 12), count };
    place.attempt.copy_from_slice(&hello[120..]);
    let verdict = if same(&proof, &mine.proof(b's', &hello, &nonce)?) { take(place) } else { Verdict::Secret };
    socket.write(&(verdict as u16).to_le_bytes(), &mut 0)?;
    verdict.into_result(&mine.run)?;
    Ok(place)
}

fn read_all(socket: &mut Socket, into: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while done < into.len() {
        done += socket.read(&mut into[done..], Wait::Due)?;
    }
    Ok(())
}

fn nonce() -> Result<[u8; 32]> {
    let mut nonce = [0; 32];
    default_provider()
        .secure_random
        .fill(&mut nonce)
        .map_err(|_| HelperError::of(FailureKind::Link, "link/identity", "the kernel gave no random bytes"))?;
    Ok(nonce)
}

/// Equality whose time does not tell where two proofs differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (x, y)| differ | (x ^ y)) == 0
}
