//! What an errno says about one operation on a migration device. The same number means different things to SET, to
//! read and to write; the operator gets the meaning, not the number alone.

use crate::device::DeviceState;

/// Of `VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE` SET.
pub fn set_state(errno: Option<i32>, target: DeviceState) -> &'static str {
    match errno.unwrap_or(0) {
        libc::ENOTTY => "the driver has no migration",
        libc::EINVAL if target == DeviceState::Stop => {
            "the state written is incomplete or wrong for this device, or the arc is not possible"
        }
        libc::EINVAL => "the device lacks this state or cannot reach it from where it is",
        libc::EFAULT => "the state data were refused: an incompatible source device, driver or firmware",
        libc::EMFILE | libc::ENFILE => {
            "no file descriptor was left for the state stream; the state moved nevertheless and the stream is lost"
        }
        libc::ENOMEM => "the kernel has no memory for the state",
        libc::EIO => "the device failed",
        libc::EBUSY => "the device could not be quiesced in time",
        libc::ENOTCONN => "the physical function's driver is gone",
        libc::ENODEV => "the state stream broke or the device was removed",
        libc::EINTR => "a signal interrupted the transition",
        libc::ETIMEDOUT => "the device did not answer",
        _ => "",
    }
}

/// Of a GET feature on a device.
pub fn get(errno: Option<i32>) -> &'static str {
    match errno.unwrap_or(0) {
        libc::ENOTTY => "the driver does not offer this",
        libc::EINVAL => "the device is not bound to an IOMMU backend, or the kernel does not know this request",
        libc::EIO => "the device does not answer",
        libc::ENODEV | libc::ENOTCONN => "the device or its physical function's driver is gone",
        _ => "",
    }
}

/// Of `VFIO_DEVICE_RESET`.
pub fn reset(errno: Option<i32>) -> &'static str {
    match errno.unwrap_or(0) {
        libc::EINVAL | libc::ENOTTY => "the device has no reset that the kernel can do for it alone",
        libc::EAGAIN => "another reset or configuration access of the same device was under way at every attempt",
        libc::ENODEV => "the device is gone",
        _ => "",
    }
}

/// Of read() on a saving stream.
pub fn read(errno: Option<i32>) -> &'static str {
    match errno.unwrap_or(0) {
        libc::ENODEV => "the save session is over: the device left its saving states, was reset, or failed",
        libc::EIO => "the device failed while saving",
        libc::ENOMEM => "the kernel has no memory for the state",
        libc::ENOTCONN => "the physical function's driver is gone",
        _ => "",
    }
}

/// Of write() on a resuming stream. Any of them is fatal for the load: mtty keeps the data it refused.
pub fn write(errno: Option<i32>) -> &'static str {
    match errno.unwrap_or(0) {
        libc::EFAULT => "the source's device, driver or firmware is not compatible with this one",
        libc::ENOMEM => "the stream is larger than this device's state can be, or the kernel has no memory",
        libc::EINVAL => "the device does not understand the stream",
        libc::EOVERFLOW => "the stream is larger than this device's state can be",
        libc::ENODEV => "the resume session is over: the device left RESUMING, was reset, or failed",
        libc::EIO => "the device failed while loading",
        libc::ENOTCONN => "the physical function's driver is gone",
        _ => "",
    }
}

/// Of `VFIO_MIG_GET_PRECOPY_INFO`.
pub fn precopy_info(errno: Option<i32>) -> &'static str {
    match errno.unwrap_or(0) {
        libc::EINVAL => "the device is not in a pre-copy state",
        libc::ENODEV => "the save session is over",
        libc::ENOTTY => "the driver has no pre-copy",
        libc::EIO => "the device failed while saving",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_errno_means_different_things_to_different_operations() {
        let fault = Some(libc::EFAULT);
        assert!(write(fault).contains("not compatible"));
        assert!(set_state(fault, DeviceState::Stop).contains("incompatible source"));
        assert!(write(Some(libc::ENOMEM)).contains("larger"));
        assert!(!read(Some(libc::ENOMEM)).contains("larger"));
        assert!(set_state(Some(libc::EMFILE), DeviceState::StopCopy).contains("the state moved"));
        assert_ne!(
            set_state(Some(libc::EINVAL), DeviceState::Stop),
            set_state(Some(libc::EINVAL), DeviceState::PreCopy)
        );
        assert_eq!(reset(None), "");
    }
}
