//! Frames: a fixed 32-byte little-endian header, then the payload.
//!
//! | bytes | field | meaning |
//! | --- | --- | --- |
//! | 0 | kind | [`Kind`] |
//! | 1 | flags | none yet: 0 |
//! | 2..4 | index | device, in the order of the layout; else 0 |
//! | 4..8 | length | bytes of payload that follow |
//! | 8..16 | at | IOVA, offset in a state stream, or round |
//! | 16..20 | count | 4 KiB units of a zero run; of a round's answer, microseconds the devices took for its state; else 0 |
//! | 20..24 | header check | low half of the header's hash: the length is not believed before it is checked |
//! | 24..32 | checksum | xxh3 of the payload, seeded with the header's hash |
//!
//! The header's hash covers bytes 0..20 and the frame's number in its direction, which does not travel: a frame lost,
//! repeated or out of place fails its check like a flipped bit does.
//!
//! Every stream is such a sequence of its own. The first carries everything but may be joined by others that carry
//! pages and zero runs only; GATHER keeps them in step.

pub(crate) mod abort;
pub(crate) mod inbox;
pub(crate) mod outbox;
pub mod payload;
#[cfg(test)]
mod recorded;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::error::{FailureKind, HelperError, Result};

pub const HEADER_BYTES: usize = 32;
/// Longest payload of page and state frames, in bytes: half of a common L2 cache, so that copy, hash and send meet
/// the bytes while they are in it.
pub const MAX_DATA: usize = 512 * 1024;
/// Unit of zero runs and alignment of every page frame, in bytes, whatever the workload's page size.
pub const UNIT: u64 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Source: what will move (payload: [`crate::wire::payload::Layout`]).
    Layout = 1,
    /// Destination: the layout fits and devices stand in RESUMING.
    Ready = 2,
    Pages = 3,
    /// `count` units of zeros at `at`. Never left out: the destination's page may hold older data.
    Zeros = 4,
    State = 5,
    RoundEnd = 6,
    RoundAck = 7,
    Manifest = 8,
    Prepared = 9,
    /// Asks for hashes: of all blocks, or of one block's pages.
    Verify = 10,
    Hashes = 11,
    Commit = 12,
    Running = 13,
    Abort = 14,
    /// What the other streams carried so far, one frame count (u64) a stream: what comes behind it on this stream
    /// waits until those have arrived.
    Gather = 15,
}

impl Kind {
    pub const ALL: [Self; 15] = [
        Self::Layout,
        Self::Ready,
        Self::Pages,
        Self::Zeros,
        Self::State,
        Self::RoundEnd,
        Self::RoundAck,
        Self::Manifest,
        Self::Prepared,
        Self::Verify,
        Self::Hashes,
        Self::Commit,
        Self::Running,
        Self::Abort,
        Self::Gather,
    ];

    fn from_raw(raw: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == raw)
    }

    /// Longest payload in bytes. Nothing is read or allocated for a longer one.
    pub fn max_length(self) -> usize {
        match self {
            Self::Pages | Self::State | Self::Hashes => MAX_DATA,
            Self::Layout | Self::Manifest => 256 * 1024,
            Self::Verify | Self::Ready | Self::Prepared | Self::Running | Self::Abort | Self::Gather => 16 * 1024,
            Self::Zeros | Self::RoundEnd | Self::RoundAck | Self::Commit => 0,
        }
    }
}

/// A header's fields, without its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    pub index: u16,
    pub at: u64,
    pub count: u32,
    pub length: u32,
}

impl Frame {
    /// A frame that is all kind and payload.
    pub fn plain(kind: Kind) -> Self {
        Self { kind, index: 0, at: 0, count: 0, length: 0 }
    }
}

fn header_hash(fields: &[u8], number: u64) -> u64 {
    let mut hashed = [0; 28];
    hashed[..20].copy_from_slice(&fields[..20]);
    hashed[20..].copy_from_slice(&number.to_le_bytes());
    xxh3_64(&hashed)
}

/// The header of the `number`th frame of this direction, for this payload; `frame.length` is taken from the payload.
pub fn seal(frame: Frame, number: u64, payload: &[u8]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[0] = frame.kind as u8;
    header[2..4].copy_from_slice(&frame.index.to_le_bytes());
    header[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[8..16].copy_from_slice(&frame.at.to_le_bytes());
    header[16..20].copy_from_slice(&frame.count.to_le_bytes());
    let hash = header_hash(&header, number);
    header[20..24].copy_from_slice(&(hash as u32).to_le_bytes());
    header[24..].copy_from_slice(&xxh3_64_with_seed(payload, hash).to_le_bytes());
    header
}

/// A checked header, waiting for its payload.
#[derive(Debug, Clone, Copy)]
pub struct Opened {
    pub frame: Frame,
    hash: u64,
    checksum: u64,
}

/// Reads the header of the `number`th frame of this direction.
///
/// # Errors
/// `wire/checksum`, `wire/unexpected-frame` (a kind or flag of no version we speak), `wire/oversized`.
pub fn open(header: &[u8; HEADER_BYTES], number: u64) -> Result<Opened> {
    let hash = header_hash(header, number);
    if u32_at(header, 20) != hash as u32 {
        return Err(damaged(number, "header"));
    }
    let Some(kind) = Kind::from_raw(header[0]).filter(|_| header[1] == 0) else {
        return Err(HelperError::of(
            FailureKind::Wire,
            "wire/unexpected-frame",
            format!(
                "frame {number} is of kind {} with flags {}, which this helper does not know",
                header[0], header[1]
            ),
        )
        .suggest("use ferry-helper of the same release on both hosts"));
    };
    let frame = Frame {
        kind,
        index: u16_at(header, 2),
        at: u64_at(header, 8),
        count: u32_at(header, 16),
        length: u32_at(header, 4),
    };
    if frame.length as usize > kind.max_length() {
        return Err(HelperError::of(
            FailureKind::Wire,
            "wire/oversized",
            format!("{kind:?} frame of {} bytes, the most is {}", frame.length, kind.max_length()),
        ));
    }
    Ok(Opened { frame, hash, checksum: u64_at(header, 24) })
}

impl Opened {
    /// # Errors
    /// `wire/checksum` when the payload is not what was sent.
    pub fn check(&self, number: u64, payload: &[u8]) -> Result<()> {
        if payload.len() == self.frame.length as usize && xxh3_64_with_seed(payload, self.hash) == self.checksum {
            Ok(())
        } else {
            Err(damaged(number, "payload"))
        }
    }
}

fn damaged(number: u64, part: &str) -> HelperError {
    HelperError::of(
        FailureKind::Wire,
        "wire/checksum",
        format!("the {part} of frame {number} arrived damaged, or a frame is missing before it"),
    )
    .suggest("run again; if it comes back, look at what lies between the hosts, or encrypt the link")
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let mut raw = [0; 2];
    raw.copy_from_slice(&bytes[at..at + 2]);
    u16::from_le_bytes(raw)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

pub(crate) fn unexpected(frame: Frame, expected: Kind) -> HelperError {
    HelperError::of(
        FailureKind::Wire,
        "wire/unexpected-frame",
        format!("a {:?} frame came where {expected:?} was due", frame.kind),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> impl Strategy<Value = (Frame, Vec<u8>)> {
        (
            prop::sample::select(&Kind::ALL[..]),
            any::<u16>(),
            any::<u64>(),
            any::<u32>(),
            prop::collection::vec(any::<u8>(), 0..600),
        )
            .prop_map(|(kind, index, at, count, mut payload)| {
                payload.truncate(kind.max_length());
                (Frame { kind, index, at, count, length: payload.len() as u32 }, payload)
            })
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens((frame, payload) in frames(), number in any::<u64>()) {
            let opened = open(&seal(frame, number, &payload), number).expect("opens");
            prop_assert_eq!(opened.frame, frame);
            prop_assert!(opened.check(number, &payload).is_ok());
        }

        #[test]
        fn any_flipped_bit_is_caught((frame, payload) in frames(), number in 0u64..9, bit in any::<prop::sample::Index>()) {
            let mut bytes = seal(frame, number, &payload).to_vec();
            bytes.extend(&payload);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut header = [0; HEADER_BYTES];
            header.copy_from_slice(&bytes[..HEADER_BYTES]);
            let passed = open(&header, number).and_then(|opened| opened.check(number, &bytes[HEADER_BYTES..]));
            prop_assert_eq!(passed.err().map(|error| error.code), Some("wire/checksum"));
        }

        #[test]
        fn frames_out_of_place_are_caught((frame, payload) in frames(), number in any::<u64>(), other in any::<u64>()) {
            prop_assume!(number != other);
            prop_assert!(open(&seal(frame, number, &payload), other).is_err());
        }

        #[test]
        fn random_headers_never_pass_the_bounds(raw in any::<[u8; HEADER_BYTES]>(), number in any::<u64>(), honest in any::<bool>()) {
            let mut header = raw;
            if honest {
                // A peer that computes its checks but means ill.
                let hash = header_hash(&header, number);
                header[20..24].copy_from_slice(&(hash as u32).to_le_bytes());
            }
            if let Ok(opened) = open(&header, number) {
                prop_assert!(opened.frame.length as usize <= MAX_DATA);
            }
        }
    }
}
