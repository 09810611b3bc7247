//! What the handshake frames carry, as JSON: they are few and small, and a person reading a capture can follow them.
//!
//! What one side asks of the other (layout, manifest, hashes) has exactly the fields of its wire version: one passed over
//! could be one that mattered. What it only tells (times, ABORT) may have more.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::{FailureKind, HelperError, Result};
use crate::memory::Memory;

/// What will move. The destination refuses what it did not set up the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    pub page_size: u64,
    /// IOVA and bytes of each region, ascending.
    pub areas: Vec<(u64, u64)>,
    /// Names, in the order the frames' index counts.
    pub devices: Vec<String>,
}

impl Layout {
    pub fn of<'a>(memory: &Memory, devices: impl Iterator<Item = &'a str>) -> Self {
        Self {
            page_size: memory.page_size(),
            areas: memory.areas().iter().map(|area| (area.iova, area.bytes)).collect(),
            devices: devices.map(str::to_owned).collect(),
        }
    }

    /// All differences between what the source (`self`) sends and what the destination has, in words.
    pub fn differences(&self, here: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.page_size != here.page_size {
            found.push(format!("page size {} on the source, {} here", self.page_size, here.page_size));
        }
        for (only, side) in
            [(missing(&self.areas, &here.areas), "source"), (missing(&here.areas, &self.areas), "destination")]
        {
            found.extend(only.map(|(iova, bytes)| format!("memory {iova:#x}+{bytes:#x} only on the {side}")));
        }
        for (only, side) in
            [(missing(&self.devices, &here.devices), "source"), (missing(&here.devices, &self.devices), "destination")]
        {
            found.extend(only.map(|device| format!("device {device} only on the {side}")));
        }
        if found.is_empty() && self != here {
            found.push("the same devices in another order".to_owned());
        }
        found
    }
}

fn missing<'a, T: PartialEq>(from: &'a [T], other: &'a [T]) -> impl Iterator<Item = &'a T> {
    from.iter().filter(move |item| !other.contains(item))
}

/// One device's state stream, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSum {
    pub device: String,
    pub bytes: u64,
    /// xxh3-128 of the whole stream, lower-case hex.
    pub hash: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Bytes named by page and zero frames since the connection began.
    pub page_bytes: u64,
    pub zero_bytes: u64,
    pub streams: Vec<StreamSum>,
}

/// Durations on the destination's clock, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadTime {
    pub elapsed_us: u64,
}

/// What to hash: everything by blocks, or the pages of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum HashRequest {
    Blocks,
    Pages { iova: u64, bytes: u64 },
}

/// # Errors
/// `helper/bug` when the value is larger than its frame may be.
pub fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| HelperError::new("helper/bug", format!("unwritable payload: {error}")))
}

/// # Errors
/// `wire/payload` when it is not what its frame's kind says.
pub fn from_json<T: DeserializeOwned>(payload: &[u8]) -> Result<T> {
    serde_json::from_slice(payload).map_err(|error| {
        HelperError::of(
            FailureKind::Wire,
            "wire/payload",
            format!("the peer sent a message that cannot be read: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(areas: &[(u64, u64)], devices: &[&str]) -> Layout {
        Layout {
            page_size: 4096,
            areas: areas.to_vec(),
            devices: devices.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn names_every_difference_of_two_layouts() {
        let source = layout(&[(0, 4096), (8192, 4096)], &["a", "b"]);
        assert!(source.differences(&source).is_empty());
        let found = source
            .differences(&Layout { page_size: 8192, ..layout(&[(0, 4096), (8192, 8192)], &["b", "c"]) })
            .join("; ");
        for part in [
            "page size",
            "0x2000+0x1000 only on the source",
            "0x2000+0x2000 only on the destination",
            "a only on the source",
            "c only on the destination",
        ] {
            assert!(found.contains(part), "{part} in {found}");
        }
        assert_eq!(source.differences(&layout(&[(0, 4096), (8192, 4096)], &["b", "a"])).len(), 1);
    }
}
