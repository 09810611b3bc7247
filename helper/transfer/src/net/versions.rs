//! Wire versions are a range, so that a helper that has kept devices for months can still move them to one of the next
//! release. [`SPOKEN`] is the last release's version and this one's; the preface settles which one a connection uses.
//!
//! A version changes with the meaning of any byte of the preface, the frames or their payloads. What a version has is
//! recorded in `wire/recorded`, byte for byte; a recording never changes while its version is spoken.
//!
//! | version | differs from the one before |
//! | --- | --- |
//! | 2 | |
//! | 3 | the preface tells both ranges, and its proofs cover them |

use std::fmt;

use crate::error::{FailureKind, HelperError};

/// What this helper speaks.
pub const SPOKEN: Versions = Versions { oldest: 2, newest: 3 };
/// From this one on a peer says its whole range.
pub const RANGED: u16 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub oldest: u16,
    pub newest: u16,
}

impl Versions {
    /// The newest that both speak.
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }

    /// `wire/version`: which of the two is to be upgraded depends on who is behind. `peer` is `None` for one that did not
    /// say what it speaks.
    pub fn error(self, peer: Option<Self>) -> HelperError {
        let theirs = peer.map_or("it did not say which".to_owned(), |peer| format!("the peer speaks {peer}"));
        let behind = match peer {
            Some(peer) if peer.newest < self.oldest => "on the other host",
            Some(peer) if peer.oldest > self.newest => "on this host",
            _ => "on the host that has the older one",
        };
        HelperError::of(
            FailureKind::Wire,
            "wire/version",
            format!("no wire version is common to both helpers: this one speaks {self}, {theirs}"),
        )
        .suggest(format!(
            "upgrade ferry-helper {behind}: a release speaks its own version and that of the release before"
        ))
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { oldest, newest } if oldest == newest => write!(f, "{newest}"),
            Self { oldest, newest: u16::MAX } => write!(f, "{oldest} and later"),
            Self { oldest, newest } => write!(f, "{oldest} to {newest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_is_taken_or_the_older_side_is_named() {
        let of = |oldest, newest| Versions { oldest, newest };
        for (a, b, common) in [
            (of(2, 3), of(2, 3), Some(3)),
            (of(2, 3), of(2, 2), Some(2)),
            (of(2, 3), of(3, 4), Some(3)),
            (of(2, 3), of(4, 5), None),
            (of(2, 3), of(1, 1), None),
        ] {
            assert_eq!((a.common(b), b.common(a)), (common, common), "{a} {b}");
        }
        let behind = of(4, 5).error(Some(of(2, 3)));
        assert_eq!((behind.code, behind.kind), ("wire/version", FailureKind::Wire));
        assert!(behind.message.contains("4 to 5") && behind.message.contains("2 to 3"), "{}", behind.message);
        let remedy = |mine: Versions, peer| mine.error(Some(peer)).suggestion.expect("a remedy");
        assert!(remedy(of(4, 5), of(2, 3)).contains("on the other host"));
        assert!(remedy(of(2, 3), of(4, u16::MAX)).contains("on this host"));
    }
}
