//! What went wrong, in one shape for every layer: a stable code, the device and operation it concerns, the errno
//! and what that errno means *here*, and the state the device was found in afterwards.

use std::fmt;

use serde::Serialize;

use crate::device::DeviceState;

/// A failure as it reaches the operator. `code` is stable ("device/busy"); `message` is for people.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub struct HelperError {
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
        Self {
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
        let operation = operation.into();
        let meaning = meaning.into();
        let errno = error.raw_os_error();
        let mut failed = Self::new(code, format!("{operation}: {error}"));
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
