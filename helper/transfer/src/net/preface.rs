//! The first exchange on every connection, before any frame: both sides agree on a wire version, show that they belong to
//! the same run and epoch, and hold the run's secret, which itself never travels.
//!
//! ```text
//! source       magic 8, oldest u16, streams u16, stream u16, run length u16, epoch u64, nonce 24, "NEWEST", newest u16,
//!              run 64, attempt 16
//! destination  magic 8, version u16, verdict u16, oldest u16, newest u16, nonce 32, proof 32
//! source       proof 32
//! destination  verdict u16
//! ```
//! The version is the newest that both speak; a refusal has the destination's newest there. A proof is HMAC-SHA-256 by the
//! secret over a role letter, the source's whole message and the destination's up to its proof, so one that was heard
//! before proves nothing, and neither range can be changed on the way to make the two speak an older version. The attempt
//! is the same on all connections of one source and new for every other: connections of two sources are never taken for
//! one.
//!
//! One that speaks version 2 at most has a nonce of 32 bytes and zeros for the destination's range; its proof covers the
//! destination's nonce only. It takes the longer form for its own, which is why the source's range is in its nonce.

use std::time::{Duration, Instant};

use ring::hmac;
use rustls::crypto::ring::default_provider;

use crate::error::{FailureKind, HelperError, Result};
use crate::net::socket::{Channel, Wait};
use crate::net::versions::{RANGED, SPOKEN, Versions};
use crate::wire::{u16_at, u64_at};

pub const MAGIC: [u8; 8] = *b"FERRYMIG";
/// Longest run id in bytes.
pub const MAX_RUN: usize = 64;
pub const HELLO_BYTES: usize = 136;
/// Magic and version: what every version begins with, and judged before more is waited for.
const COMMON_BYTES: usize = 10;
/// Before this version the source's message was another.
const FIRST_OF_THIS_FORM: u16 = 2;
/// Stands where the nonce of a source that speaks no range has random bytes.
const NEWEST_TAG: [u8; 6] = *b"NEWEST";
const NEWEST_AT: usize = 54;
const ANSWER_BYTES: usize = 80;
const PROOF_BYTES: usize = 32;
const PROOF_AT: usize = ANSWER_BYTES - PROOF_BYTES;

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
    versions: Versions,
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
        Ok(Self { run: run.to_owned(), epoch, secret: bytes, versions: SPOKEN })
    }

    /// As a helper of another release.
    #[cfg(test)]
    pub fn speaking(self, oldest: u16, newest: u16) -> Self {
        Self { versions: Versions { oldest, newest }, ..self }
    }

    fn hello(&self, place: Place, nonce: [u8; 32]) -> [u8; HELLO_BYTES] {
        let mut hello = [0; HELLO_BYTES];
        hello[..8].copy_from_slice(&MAGIC);
        hello[8..10].copy_from_slice(&self.versions.oldest.to_le_bytes());
        hello[10..12].copy_from_slice(&place.count.to_le_bytes());
        hello[12..14].copy_from_slice(&place.index.to_le_bytes());
        hello[14..16].copy_from_slice(&(self.run.len() as u16).to_le_bytes());
        hello[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        hello[24..56].copy_from_slice(&nonce);
        if self.versions.newest >= RANGED {
            hello[48..NEWEST_AT].copy_from_slice(&NEWEST_TAG);
            hello[NEWEST_AT..56].copy_from_slice(&self.versions.newest.to_le_bytes());
        }
        hello[56..56 + self.run.len()].copy_from_slice(self.run.as_bytes());
        hello[120..].copy_from_slice(&place.attempt);
        hello
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

    /// `answer` is the destination's message up to its proof.
    fn proof(&self, role: u8, version: u16, hello: &[u8], answer: &[u8]) -> [u8; PROOF_BYTES] {
        let covered = if version < RANGED { &answer[16..] } else { answer };
        let message = [&[role], hello, covered].concat();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.secret), &message);
        let mut proof = [0; PROOF_BYTES];
        proof.copy_from_slice(tag.as_ref());
        proof
    }

    /// The refusal as an error; `Ok` for a welcome.
    fn hear(&self, verdict: Verdict, peer: Option<Versions>) -> Result<()> {
        match verdict {
            Verdict::Welcome => Ok(()),
            Verdict::Version => Err(self.versions.error(peer)),
            other => Err(other.error(&self.run)),
        }
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

    fn error(self, run: &str) -> HelperError {
        let (code, message, remedy) = match self {
            Self::BadMagic => ("wire/bad-magic", "the peer is not a ferry-helper".to_owned(), "check address and port"),
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
            Self::Welcome | Self::Version | Self::Secret => (
                "wire/secret",
                format!("the peer does not hold the secret of run {run}"),
                "somebody else answers at this address, or both helpers were not started by the same ferry",
            ),
        };
        HelperError::of(FailureKind::Wire, code, message).suggest(remedy)
    }
}

/// What a source's message says it speaks.
fn asked(hello: &[u8; HELLO_BYTES]) -> Versions {
    let oldest = u16_at(hello, 8);
    let newest = if hello[48..NEWEST_AT] == NEWEST_TAG { u16_at(hello, NEWEST_AT) } else { oldest };
    Versions { oldest, newest }
}

/// What a destination's message says it speaks.
fn answered(answer: &[u8; ANSWER_BYTES]) -> Versions {
    let version = u16_at(answer, 8);
    match (u16_at(answer, 12), u16_at(answer, 14)) {
        (_, 0) => Versions { oldest: version, newest: version },
        (oldest, newest) => Versions { oldest, newest },
    }
}

/// What a source has learnt by its introduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Introduced {
    pub version: u16,
    /// Of the first exchange.
    pub round_trip: Duration,
}

/// The source's part.
///
/// # Errors
/// `wire/bad-magic`, `wire/version`, `wire/run`, `wire/epoch`, `wire/streams`, `wire/secret`, and the channel's own.
pub fn introduce(channel: &mut impl Channel, mine: &Credentials, place: Place) -> Result<Introduced> {
    introduce_with(channel, mine, place, nonce()?)
}

pub(crate) fn introduce_with(
    channel: &mut impl Channel,
    mine: &Credentials,
    place: Place,
    nonce: [u8; 32],
) -> Result<Introduced> {
    let hello = mine.hello(place, nonce);
    let sent = Instant::now();
    channel.write(&hello, &mut 0)?;
    let mut answer = [0; ANSWER_BYTES];
    read_all(channel, &mut answer)?;
    let round_trip = sent.elapsed();
    if answer[..8] != MAGIC {
        mine.hear(Verdict::BadMagic, None)?;
    }
    let (version, peer) = (u16_at(&answer, 8), answered(&answer));
    mine.hear(Verdict::from_raw(u16_at(&answer, 10)).unwrap_or(Verdict::Version), Some(peer))?;
    if mine.versions.common(peer) != Some(version) {
        mine.hear(Verdict::Version, Some(peer))?;
    }
    let (said, proof) = answer.split_at(PROOF_AT);
    if !same(proof, &mine.proof(b'd', version, &hello, said)) {
        mine.hear(Verdict::Secret, None)?;
    }
    channel.write(&mine.proof(b's', version, &hello, said), &mut 0)?;
    let mut verdict = [0; 2];
    read_all(channel, &mut verdict)?;
    mine.hear(Verdict::from_raw(u16_at(&verdict, 0)).unwrap_or(Verdict::Secret), Some(peer))?;
    Ok(Introduced { version, round_trip })
}

/// The destination's part, for one of `count` connections. `take` is asked once the peer has proved itself, and says
/// whether this place is free.
///
/// # Errors
/// As [`introduce`]; the peer has been told which.
pub fn welcome(
    channel: &mut impl Channel,
    mine: &Credentials,
    count: u16,
    take: &mut dyn FnMut(Place) -> Verdict,
) -> Result<(Place, u16)> {
    welcome_with(channel, mine, count, nonce()?, take)
}

pub(crate) fn welcome_with(
    channel: &mut impl Channel,
    mine: &Credentials,
    count: u16,
    nonce: [u8; 32],
    take: &mut dyn FnMut(Place) -> Verdict,
) -> Result<(Place, u16)> {
    let mut hello = [0; HELLO_BYTES];
    // A version we do not speak may have another length: it is not waited for.
    read_all(channel, &mut hello[..COMMON_BYTES])?;
    if hello[..8] != MAGIC {
        mine.hear(Verdict::BadMagic, None)?;
    }
    let oldest = u16_at(&hello, 8);
    let (peer, verdict) = if (FIRST_OF_THIS_FORM..=mine.versions.newest).contains(&oldest) {
        read_all(channel, &mut hello[COMMON_BYTES..])?;
        let peer = asked(&hello);
        (peer, if mine.versions.common(peer).is_some() { mine.judge(&hello, count) } else { Verdict::Version })
    } else {
        let newest = if oldest < FIRST_OF_THIS_FORM { oldest } else { u16::MAX };
        (Versions { oldest, newest }, Verdict::Version)
    };
    let version = mine.versions.common(peer).unwrap_or(mine.versions.newest);
    let mut answer = [0; ANSWER_BYTES];
    answer[..8].copy_from_slice(&MAGIC);
    answer[8..10].copy_from_slice(&version.to_le_bytes());
    answer[10..12].copy_from_slice(&(verdict as u16).to_le_bytes());
    if version >= RANGED {
        answer[12..14].copy_from_slice(&mine.versions.oldest.to_le_bytes());
        answer[14..16].copy_from_slice(&mine.versions.newest.to_le_bytes());
    }
    answer[16..PROOF_AT].copy_from_slice(&nonce);
    if verdict == Verdict::Welcome {
        let proof = mine.proof(b'd', version, &hello, &answer[..PROOF_AT]);
        answer[PROOF_AT..].copy_from_slice(&proof);
    }
    channel.write(&answer, &mut 0)?;
    mine.hear(verdict, Some(peer))?;
    let mut proof = [0; PROOF_BYTES];
    read_all(channel, &mut proof)?;
    let mut place = Place { attempt: [0; 16], index: u16_at(&hello, 12), count };
    place.attempt.copy_from_slice(&hello[120..]);
    let proved = same(&proof, &mine.proof(b's', version, &hello, &answer[..PROOF_AT]));
    let verdict = if proved { take(place) } else { Verdict::Secret };
    channel.write(&(verdict as u16).to_le_bytes(), &mut 0)?;
    mine.hear(verdict, Some(peer))?;
    Ok((place, version))
}

fn read_all(channel: &mut impl Channel, into: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while done < into.len() {
        done += channel.read(&mut into[done..], Wait::Due)?;
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
