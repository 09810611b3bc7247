//! What went wrong, in one shape for every layer: a stable code, the device and operation it concerns, the errno
//! and what that errno means *here*, and the state the device was found in afterwards.

use std::fmt;

use serde::Serialize;

use crate::state::DeviceState;

/// What the helper itself decides by. `code` is for people: a new code must not change who may run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailureKind {
    /// The connection ended, or its other end stopped answering.
    Lost,
    /// The destination's host refused the connection.
    Refused,
    /// Anything else about the connection.
    Link,
    /// The connection ended inside a frame.
    Truncated,
    /// What the peer sent is not what the protocol allows.
    Wire,
    /// The run was cancelled on this side.
    Cancelled,
    /// The downtime limit was reached.
    Deadline,
    /// Devices, memory, files: nothing of the connection's.
    #[default]
    Other,
}

impl FailureKind {
    /// Of what the peer says ended its run. Its code is all that travels, so this is the one place that reads one.
    pub fn of_peer(code: &str) -> Self {
        match code {
            "link/lost" => Self::Lost,
            "link/refused" => Self::Refused,
            "run/cancelled" => Self::Cancelled,
            "limit/downtime" => Self::Deadline,
            "wire/truncated" => Self::Truncated,
            other => match other.split_once('/') {
                Some(("link", _)) => Self::Link,
                Some(("wire", _)) => Self::Wire,
                _ => Self::Other,
            },
        }
    }

    /// The connection is of no more use, whatever the two sides may still do alone.
    pub const fn ends_connection(self) -> bool {
        match self {
            Self::Lost | Self::Refused | Self::Link | Self::Truncated => true,
            Self::Wire | Self::Cancelled | Self::Deadline | Self::Other => false,
        }
    }

    /// The peer broke the protocol.
    pub const fn is_of_wire(self) -> bool {
        matches!(self, Self::Wire | Self::Truncated)
    }
}

/// A failure as it reaches the operator. `code` is stable ("device/busy"); `message` is for people.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub struct HelperError {
    /// Decides; never leaves the helper.
    #[serde(skip)]
    pub kind: FailureKind,
    pub code: &'static str,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The ioctl or system call that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_name: Option<String>,
    /// What this errno means for this operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// The device's state read back after the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<DeviceState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

pub type Result<T> = std::result::Result<T, HelperError>;

impl HelperError {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self::of(FailureKind::Other, code, message)
    }

    pub fn of(kind: FailureKind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            device: None,
            operation: None,
            errno: None,
            errno_name: None,
            meaning: None,
            state: None,
            suggestion: None,
        }
    }

    /// From a failed system call; `meaning` is what the errno says about this operation.
    pub fn os(
        code: &'static str,
        operation: impl Into<String>,
        error: &std::io::Error,
        meaning: impl Into<String>,
    ) -> Self {
        Self::os_of(FailureKind::Other, code, operation, error, meaning)
    }

    pub fn os_of(
        kind: FailureKind,
        code: &'static str,
        operation: impl Into<String>,
        error: &std::io::Error,
        meaning: impl Into<String>,
    ) -> Self {
        let operation = operation.into();
        let meaning = meaning.into();
        let errno = error.raw_os_error();
        let mut failed = Self::of(kind, code, format!("{operation}: {error}"));
        failed.operation = Some(operation);
        failed.errno = errno;
        failed.errno_name = errno.map(errno_name);
        failed.meaning = (!meaning.is_empty()).then_some(meaning);
        failed
    }

    #[must_use]
    pub fn device(mut self, device: impl Into<String>) -> Self {
        self.device = Some(device.into());
        self
    }

    #[must_use]
    pub fn operation(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    #[must_use]
    pub fn state(mut self, state: DeviceState) -> Self {
        self.state = Some(state);
        self
    }

    #[must_use]
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

impl fmt::Display for HelperError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(device) = &self.device {
            write!(f, "{device}: ")?;
        }
        write!(f, "{}", self.message)?;
        if let Some(meaning) = &self.meaning {
            write!(f, " ({meaning})")?;
        }
        if let Some(state) = self.state {
            write!(f, "; the device is {state}")?;
        }
        Ok(())
    }
}

/// Symbolic name of the errnos VFIO and sockets give; "errno N" for the rest.
pub fn errno_name(errno: i32) -> String {
    let name = match errno {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::EINTR => "EINTR",
        libc::EIO => "EIO",
        libc::ENXIO => "ENXIO",
        libc::E2BIG => "E2BIG",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EFAULT => "EFAULT",
        libc::EBUSY => "EBUSY",
        libc::EEXIST => "EEXIST",
        libc::ENODEV => "ENODEV",
        libc::EINVAL => "EINVAL",
        libc::ENFILE => "ENFILE",
        libc::EMFILE => "EMFILE",
        libc::ENOTTY => "ENOTTY",
        libc::ENOSPC => "ENOSPC",
        libc::ESPIPE => "ESPIPE",
        libc::EPIPE => "EPIPE",
        libc::ENOMSG => "ENOMSG",
        libc::EOVERFLOW => "EOVERFLOW",
        libc::EMSGSIZE => "EMSGSIZE",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        libc::EADDRINUSE => "EADDRINUSE",
        libc::EADDRNOTAVAIL => "EADDRNOTAVAIL",
        libc::ECONNRESET => "ECONNRESET",
        libc::ENOTCONN => "ENOTCONN",
        libc::ETIMEDOUT => "ETIMEDOUT",
        libc::ECONNREFUSED => "ECONNREFUSED",
        libc::EHOSTUNREACH => "EHOSTUNREACH",
        libc::EDEADLK => "EDEADLK",
        other => return format!("errno {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const CODES: [(&str, FailureKind, bool); 9] = [
        ("link/lost", FailureKind::Lost, true),
        ("link/refused", FailureKind::Refused, true),
        ("link/timeout", FailureKind::Link, true),
        ("wire/truncated", FailureKind::Truncated, true),
        ("wire/checksum", FailureKind::Wire, false),
        ("run/cancelled", FailureKind::Cancelled, false),
        ("limit/downtime", FailureKind::Deadline, false),
        ("device/busy", FailureKind::Other, false),
        ("linkage", FailureKind::Other, false),
    ];

    #[test]
    fn a_peers_code_becomes_a_kind() {
        for (code, kind, ends) in CODES {
            assert_eq!((FailureKind::of_peer(code), kind.ends_connection()), (kind, ends), "{code}");
            assert_eq!(kind.is_of_wire(), code.starts_with("wire/"), "{code}");
        }
    }

    #[test]
    fn the_kind_stays_inside_the_helper() {
        let error = HelperError::of(FailureKind::Lost, "link/lost", "gone");
        let json = serde_json::to_value(&error).expect("json");
        assert_eq!(json, serde_json::json!({ "code": "link/lost", "message": "gone" }));
    }

    /// Every error whose code speaks of the connection, the wire or a limit says its kind.
    #[test]
    fn no_code_of_the_connection_is_made_without_its_kind() {
        let mut made = 0;
        let mut folders = ["src", "vfio/src", "transfer/src", "sim/src"]
            .map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder))
            .to_vec();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("folder") {
                let path = entry.expect("entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("tests.rs") && !path.ends_with("error.rs") {
                    let text: String = std::fs::read_to_string(&path).expect("text").split_whitespace().collect();
                    for family in ["link/", "wire/", "run/cancelled", "limit/downtime"] {
                        for constructor in ["new", "os"] {
                            let bare = format!("HelperError::{constructor}(\"{family}");
                            assert!(!text.contains(&bare), "{}: {bare}", path.display());
                        }
                    }
                    made += text.matches("HelperError::of(FailureKind::").count();
                }
            }
        }
        assert!(made > 20, "{made}");
    }
}
