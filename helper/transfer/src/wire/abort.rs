//! ABORT: how one side tells the other that it gives up, and how the other hears the cause in its own words.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::device::DeviceState;
use crate::error::{FailureKind, HelperError, errno_name};
use crate::wire::payload;

/// Longest cause carried, in bytes of its message.
const LONGEST: usize = 2000;

/// Told, not asked: what a newer peer says more is passed over, or its cause would not be heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// The destination has dropped the run, has recorded that, and refuses a COMMIT that comes late.
    pub discarded: bool,
    pub code: String,
    pub message: String,
    #[serde(default)]
    pub device: Option<String>,
    #[serde(default)]
    pub operation: Option<String>,
    #[serde(default)]
    pub errno: Option<i32>,
    #[serde(default, deserialize_with = "known_state")]
    pub state: Option<DeviceState>,
    #[serde(default)]
    pub suggestion: Option<String>,
}

impl Abort {
    pub fn because(cause: &HelperError, discarded: bool) -> Self {
        let mut message = cause.to_string();
        if let Some(device) = &cause.device {
            // Display puts the device first; it travels by itself.
            message = message.strip_prefix(&format!("{device}: ")).unwrap_or(&message).to_owned();
        }
        message.truncate((0..=LONGEST.min(message.len())).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0));
        Self {
            discarded,
            code: cause.code.to_owned(),
            message,
            device: cause.device.clone(),
            operation: cause.operation.clone(),
            errno: cause.errno,
            state: cause.state,
            suggestion: cause.suggestion.clone(),
        }
    }

    pub fn read(payload: &[u8]) -> Self {
        payload::from_json(payload).unwrap_or_else(|error| Self {
            discarded: false,
            code: error.code.to_owned(),
            message: error.message,
            device: None,
            operation: None,
            errno: None,
            state: None,
            suggestion: None,
        })
    }

    /// The peer's cause as an error of ours, said to be `of` ("the destination").
    pub fn error(&self, of: &str) -> HelperError {
        let code = known_code(&self.code);
        let mut error = HelperError::of(FailureKind::of_peer(code), code, format!("{of} gave up: {}", self.message));
        error.device.clone_from(&self.device);
        error.operation.clone_from(&self.operation);
        error.errno = self.errno;
        error.errno_name = self.errno.map(errno_name);
        error.state = self.state;
        error.suggestion.clone_from(&self.suggestion);
        error
    }
}

/// A state of no kernel we know is none.
fn known_state<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DeviceState>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).unwrap_or(None))
}

static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Codes are static everywhere else because they are a fixed vocabulary. The peer's is kept as it is, for good, and once
/// however often it comes: a connection ends with its first ABORT, so that is few bytes. What is no code is not kept.
fn known_code(code: &str) -> &'static str {
    let plain = code.len() <= 64
        && code.split('/').count() == 2
        && code.split('/').all(|part| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        });
    if !plain {
        return "peer/gave-up";
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(same) = known.get(code) {
        return same;
    }
    let kept: &'static str = Box::leak(code.to_owned().into_boxed_str());
    known.insert(kept);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_survives_the_way_and_nonsense_is_still_a_cause() {
        let cause = HelperError::new("device/stream-mismatch", "ü".repeat(3000)).device("nic").suggest("look");
        let abort = Abort::read(&payload::to_json(&Abort::because(&cause, true)).expect("json"));
        let error = abort.error("the destination");
        assert!(abort.discarded && error.code == cause.code && error.device == cause.device);
        assert!(error.message.contains("üü") && error.message.len() < 2100);
        let newer = br#"{"discarded":true,"code":"device/hang","message":"m","state":"DREAMING","since":{"us":1}}"#;
        let newer = Abort::read(newer);
        assert!(newer.discarded && newer.code == "device/hang" && newer.state.is_none(), "{newer:?}");
        let odd = Abort::read(b"\xff{");
        assert!(!odd.discarded && odd.error("the source").code == "wire/payload");
        assert_eq!(Abort { code: "new/Thing!".into(), ..odd }.error("it").code, "peer/gave-up");
    }
}
