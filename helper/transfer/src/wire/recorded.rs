//! One exchange of each wire version that is spoken, byte for byte. Its preface and frames are read as they were
//! recorded, and this helper writes the same bytes. A recording is never changed while its version is spoken: a change
//! that breaks it is a new version.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::{FailureKind, HelperError, Result};
use crate::net::preface::{Credentials, Place, Verdict, introduce_with, welcome_with};
use crate::net::socket::{Channel, Wait};
use crate::net::versions::SPOKEN;
use crate::wire::abort::Abort;
use crate::wire::inbox::Inbox;
use crate::wire::payload::{HashRequest, Layout, LoadTime, Manifest, from_json, to_json};
use crate::wire::{Frame, Kind, seal};

const NONCE: [u8; 32] = [0x5a; 32];
const PLACE: Place = Place { attempt: [9; 16], index: 0, count: 2 };

fn recording(version: u16) -> &'static str {
    match version {
        2 => include_str!("recorded/2.txt"),
        3 => include_str!("recorded/3.txt"),
        other => panic!("wire version {other} is spoken and was not recorded"),
    }
}

/// Bytes of one direction (`>`: to the destination), of the preface or of frames.
fn bytes(version: u16, way: char, preface: bool) -> Vec<u8> {
    let mut found = Vec::new();
    for line in recording(version).lines() {
        let mut words = line.split(' ');
        let (here, what, hex) = (words.next(), words.next(), words.next().expect("hex"));
        if here == Some(&way.to_string()) && (what == Some("preface")) == preface {
            found.extend((0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")));
        }
    }
    found
}

/// Says what was recorded, and keeps what it hears.
struct Tape {
    says: Vec<u8>,
    at: usize,
    heard: Vec<u8>,
}

impl Tape {
    fn new(says: Vec<u8>) -> Self {
        Self { says, at: 0, heard: Vec::new() }
    }
}

impl Channel for Tape {
    fn read(&mut self, into: &mut [u8], _: Wait) -> Result<usize> {
        let count = into.len().min(self.says.len() - self.at).min(7);
        if count == 0 {
            return Err(HelperError::of(FailureKind::Lost, "link/lost", "the recording has ended"));
        }
        into[..count].copy_from_slice(&self.says[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8], done: &mut usize) -> Result<()> {
        self.heard.extend(&bytes[*done..]);
        *done = bytes.len();
        Ok(())
    }
}

fn credentials() -> Credentials {
    let secret: String = (0u8..32).map(|byte| format!("{byte:02x}")).collect();
    Credentials::new("20261122T151733-4f2a", 3, &secret).expect("credentials")
}

/// A source and a destination of these releases, joined: what each came to, and what they said.
type Met = (Result<u16>, Result<u16>, Vec<u8>, Vec<u8>);
fn meet(source: Credentials, destination: Credentials, meddle: impl Fn(bool, usize, &mut Vec<u8>)) -> Met {
    let mut to_source = Vec::new();
    // Both say more the more they hear; four messages, so four rounds are enough.
    for round in 0..4 {
        let mut tape = Tape::new(to_source.clone());
        let introduced = introduce_with(&mut tape, &source, PLACE, NONCE).map(|introduced| introduced.version);
        let mut to_destination = tape.heard;
        meddle(true, round, &mut to_destination);
        let mut tape = Tape::new(to_destination.clone());
        let welcomed = welcome_with(&mut tape, &destination, 2, NONCE, &mut |_| Verdict::Welcome);
        to_source = tape.heard;
        meddle(false, round, &mut to_source);
        if round == 3 {
            return (introduced, welcomed.map(|(_, version)| version), to_destination, to_source);
        }
    }
    unreachable!()
}

#[test]
fn every_version_spoken_is_recorded_and_met_byte_for_byte() {
    for version in SPOKEN.oldest..=SPOKEN.newest {
        let old = |credentials: Credentials| credentials.speaking(version.min(SPOKEN.oldest), version);
        let (introduced, welcomed, said, answered) = meet(old(credentials()), old(credentials()), |_, _, _| {});
        assert_eq!((introduced, welcomed), (Ok(version), Ok(version)));
        assert_eq!(said, bytes(version, '>', true), "what a source of version {version} says");
        assert_eq!(answered, bytes(version, '<', true), "what a destination of version {version} says");
        // A recorded source meets the destination of today, and the other way round where only proofs of today count.
        let mut tape = Tape::new(bytes(version, '>', true));
        let welcomed = welcome_with(&mut tape, &credentials(), 2, NONCE, &mut |_| Verdict::Welcome);
        assert_eq!(welcomed, Ok((PLACE, version)));
        assert_eq!(tape.heard, bytes(version, '<', true));
    }
}

#[test]
fn the_release_before_and_the_one_after_are_met_at_the_newest_common_version() {
    let of = |oldest, newest| credentials().speaking(oldest, newest);
    let today = || of(SPOKEN.oldest, SPOKEN.newest);
    let cases = [(of(2, 2), 2), (of(3, 4), 3), (of(3, 3), 3), (of(2, 9), 3)];
    for (other, common) in cases {
        let (introduced, welcomed, ..) = meet(today(), other.clone(), |_, _, _| {});
        assert_eq!((introduced, welcomed), (Ok(common), Ok(common)));
        let (introduced, welcomed, ..) = meet(other, today(), |_, _, _| {});
        assert_eq!((introduced, welcomed), (Ok(common), Ok(common)));
    }
    for (other, range) in [(of(4, 5), "4"), (of(9, 9), "9")] {
        let (introduced, welcomed, ..) = meet(other.clone(), today(), |_, _, _| {});
        let errors = [introduced.expect_err("nothing common"), welcomed.expect_err("nothing common")];
        for error in errors {
            assert_eq!(error.code, "wire/version");
            assert!(error.message.contains("2 to 3") && error.message.contains(range), "{}", error.message);
        }
        let (introduced, ..) = meet(today(), other, |_, _, _| {});
        let error = introduced.expect_err("nothing common");
        assert!(error.code == "wire/version" && error.message.contains(range), "{}", error.message);
    }
}

/// Told whether it goes to the destination, and what was said so far.
type Meddle = dyn Fn(bool, &mut Vec<u8>);

/// Whoever sits between them, without the secret, makes them fail; never speak an older version than both could.
#[test]
fn nobody_on_the_way_makes_two_speak_an_older_version() {
    let ranges: [&Meddle; 4] = [
        // The source's range is taken out, as if it were of the release before.
        &|to_destination, said| {
            if to_destination && said.len() >= 56 {
                said[48..56].fill(0x5a);
            }
        },
        // It is made smaller.
        &|to_destination, said| {
            if to_destination && said.len() >= 56 {
                said[54] = 2;
            }
        },
        // The destination is made to be of the release before, or to have chosen its version.
        &|to_destination, said| {
            if !to_destination && said.len() >= 16 {
                said[8] = 2;
                said[12..16].fill(0);
            }
        },
        &|to_destination, said| {
            if !to_destination && said.len() >= 16 {
                said[8] = 2;
            }
        },
    ];
    for (at, change) in ranges.iter().enumerate() {
        let (introduced, welcomed, ..) = meet(credentials(), credentials(), |way, _, said| change(way, said));
        let codes = ["wire/secret", "wire/version"];
        assert!(introduced.is_err_and(|error| codes.contains(&error.code)), "change {at}");
        assert!(welcomed.is_err(), "change {at}");
    }
}

fn again<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Vec<u8> {
    to_json(&from_json::<T>(payload).expect("read")).expect("written")
}

#[test]
fn every_recorded_frame_is_read_and_written_as_it_was() {
    for version in SPOKEN.oldest..=SPOKEN.newest {
        let mut kinds = Vec::new();
        for way in ['>', '<'] {
            let recorded = bytes(version, way, false);
            let mut tape = Tape::new(recorded.clone());
            let (mut inbox, mut written) = (Inbox::new(), Vec::new());
            let mut number = 0;
            while written.len() < recorded.len() {
                let (frame, payload) = inbox.receive(&mut tape, Wait::Due).expect("a frame");
                let today = match frame.kind {
                    Kind::Layout => again::<Layout>(payload),
                    Kind::Manifest => again::<Manifest>(payload),
                    Kind::Prepared | Kind::Running => again::<LoadTime>(payload),
                    Kind::Verify => again::<HashRequest>(payload),
                    Kind::Abort => {
                        let error = Abort::read(payload).error("the destination");
                        assert_eq!((error.code, error.errno), ("device/stream-mismatch", Some(22)));
                        again::<Abort>(payload)
                    }
                    _ => payload.to_vec(),
                };
                written.extend(seal(frame, number, &today));
                written.extend(today);
                number += 1;
                kinds.push(frame.kind);
            }
            assert_eq!(written, recorded, "version {version} {way}");
            let end = inbox.receive(&mut tape, Wait::Due).map(|(frame, _): (Frame, _)| frame);
            assert_eq!(end.map_err(|error| error.code), Err("link/lost"));
        }
        for kind in Kind::ALL {
            assert!(kinds.contains(&kind), "{kind:?} is not in the recording of version {version}");
        }
    }
}
