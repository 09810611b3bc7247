//! Numbers on the control line: byte counts as decimal strings, IOVAs as "0x…" strings, because a JSON number loses
//! bits above 2^53 in half the world's parsers. Plain JSON integers are accepted on input.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A byte count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Bytes(pub u64);

/// An IOVA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Iova(pub u64);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Iova {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a non-negative integer, as a decimal or 0x string or as a JSON integer")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
        Ok(value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        let parsed = match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => text.parse(),
        };
        // from_str accepts a leading '+', which is no spelling of ours.
        parsed.ok().filter(|_| !text.contains('+')).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for Iova {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_range_survives_the_line() {
        for value in [0, 1, 1 << 53, (1 << 53) + 1, u64::MAX] {
            let bytes = serde_json::to_string(&Bytes(value)).expect("json");
            assert_eq!(bytes, format!("\"{value}\""));
            assert_eq!(serde_json::from_str::<Bytes>(&bytes).expect("back").0, value);
            let iova = serde_json::to_string(&Iova(value)).expect("json");
            assert_eq!(serde_json::from_str::<Iova>(&iova).expect("back").0, value);
        }
        assert_eq!(serde_json::from_str::<Bytes>("4096").expect("number").0, 4096);
        for bad in ["\"-1\"", "-1", "1.5", "\"+1\"", "\"0x+1\"", "\"\"", "\"0x\"", "\"18446744073709551616\"", "true"] {
            assert!(serde_json::from_str::<Bytes>(bad).is_err(), "{bad}");
        }
    }
}
