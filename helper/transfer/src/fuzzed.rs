//! What a peer can say, as bodies for `helper/fuzz` and for tests: nothing may panic, and no frame may pass its bounds.

use crate::error::{FailureKind, HelperError, Result};
use crate::net::preface::{Credentials, Place, Verdict, introduce_with, welcome_with};
use crate::net::socket::{Channel, Wait};
use crate::wire::abort::Abort;
use crate::wire::inbox::Inbox;
use crate::wire::payload::{HashRequest, Layout, LoadTime, Manifest, from_json, to_json};
use crate::wire::{Frame, HEADER_BYTES, Kind, MAX_DATA, seal};

/// A peer that says these bytes, a few at a time, and listens to nothing.
struct Peer<'a>(&'a [u8]);

impl Channel for Peer<'_> {
    fn read(&mut self, into: &mut [u8], _: Wait) -> Result<usize> {
        let count = into.len().min(self.0.len()).min(1021);
        if count == 0 {
            return Err(HelperError::of(FailureKind::Lost, "link/lost", "the end"));
        }
        let (now, later) = self.0.split_at(count);
        into[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8], done: &mut usize) -> Result<()> {
        *done = bytes.len();
        Ok(())
    }
}

/// Frames as they come, and frames that a peer sealed which means ill: its checks are right, whatever is in them.
pub fn wire(bytes: &[u8]) {
    read_frames(bytes);
    let (mut sealed, mut rest, mut number) = (Vec::new(), bytes, 0);
    while let Some((fields, behind)) = rest.split_at_checked(16) {
        let word = |at: usize| u32::from_le_bytes([fields[at], fields[at + 1], fields[at + 2], fields[at + 3]]);
        let kind = Kind::ALL[usize::from(fields[0]) % Kind::ALL.len()];
        let at = u64::from(word(4)) << 32 | u64::from(word(8));
        let (payload, behind) = behind.split_at((word(12) as usize % 300).min(behind.len()));
        let frame = Frame { index: word(0) as u16, at, count: word(8), ..Frame::plain(kind) };
        sealed.extend(seal(frame, number, payload));
        sealed.extend(payload);
        number += 1;
        rest = behind;
    }
    let read = read_frames(&sealed);
    assert!(read <= number, "{read} of {number} frames");
}

fn read_frames(bytes: &[u8]) -> u64 {
    let (mut peer, mut inbox, mut read, mut used) = (Peer(bytes), Inbox::new(), 0, 0);
    while let Ok((frame, payload)) = inbox.receive(&mut peer, Wait::Due) {
        assert!(payload.len() == frame.length as usize && payload.len() <= frame.kind.max_length().min(MAX_DATA));
        used += HEADER_BYTES + payload.len();
        assert!(used <= bytes.len());
        read += 1;
    }
    read
}

/// Strangers at both ends: nobody gets past a preface without the secret.
pub fn preface(bytes: &[u8]) {
    let mine = match Credentials::new("20261122T151733-4f2a", 3, &"5a".repeat(32)) {
        Ok(mine) => mine,
        Err(error) => panic!("{error}"),
    };
    let mut taken = false;
    let welcomed = welcome_with(&mut Peer(bytes), &mine, 2, [7; 32], &mut |_| {
        taken = true;
        Verdict::Welcome
    });
    assert!(welcomed.is_err() && !taken, "let in without the secret");
    let place = Place { attempt: [9; 16], index: 0, count: 2 };
    assert!(introduce_with(&mut Peer(bytes), &mine, place, [7; 32]).is_err(), "believed without the secret");
}

/// What frames carry: what is read is written and read the same.
pub fn payload(bytes: &[u8]) {
    fn again<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(
        bytes: &[u8],
    ) -> Option<T> {
        let read = from_json::<T>(bytes).ok()?;
        let written = to_json(&read).and_then(|written| from_json::<T>(&written));
        assert_eq!(written.as_ref().ok(), Some(&read));
        Some(read)
    }
    if let Some(layout) = again::<Layout>(bytes) {
        assert!(layout.differences(&layout).is_empty());
        let none = Layout { page_size: 0, areas: Vec::new(), devices: Vec::new() };
        assert_eq!(layout.differences(&none).is_empty(), layout == none);
    }
    again::<Manifest>(bytes);
    again::<LoadTime>(bytes);
    again::<HashRequest>(bytes);
    let abort = Abort::read(bytes);
    assert!(abort.error("the peer").code.split('/').count() == 2);
}

#[cfg(test)]
mod tests {
    use ferry_testing::mutate;

    #[test]
    fn bad_bytes_of_a_peer() {
        mutate("wire", 10_000, super::wire);
        mutate("preface", 10_000, super::preface);
        mutate("payload", 20_000, super::payload);
    }
}
