//! What no simulated device can be, and what one is told to write.

use super::wire::{FINAL_BYTES, MIN_STATE_BYTES};
use crate::error::{HelperError, Result, errno_name};
use crate::message::num::Bytes;
use crate::message::{SimFault, SimFlag, SimSpec};
use crate::stamps::{PAGE_BYTES, Program};

/// What a device of this kind is told to write when it opens.
pub fn program(spec: &SimSpec, slot: u8) -> Program {
    Program {
        seed: spec.seed,
        slot,
        window: spec.window(),
        pattern: spec.pattern,
        bytes_per_second: spec.write_bytes_per_second.0,
    }
}

/// # Errors
/// `sim/spec` naming everything that no device can be.
pub fn validate(spec: &SimSpec) -> Result<()> {
    let mut wrong = Vec::new();
    let window = spec.window();
    if window.bytes == 0 || window.iova % PAGE_BYTES != 0 || window.bytes % PAGE_BYTES != 0 {
        wrong.push(format!("the window is empty or not aligned to {PAGE_BYTES} bytes"));
    }
    if window.iova.checked_add(window.bytes).is_none() {
        wrong.push("the window reaches the end of the address space".to_owned());
    }
    if !spec.flags.is_empty() && !spec.flags.contains(&SimFlag::StopCopy) {
        wrong.push("flags without stop-copy: the kernel registers no such device".to_owned());
    }
    if spec.state_bytes.0 < MIN_STATE_BYTES {
        wrong.push(format!("stateBytes is {}, the least is {MIN_STATE_BYTES}", spec.state_bytes.0));
    } else if spec.precopy_bytes.0 > spec.state_bytes.0 - FINAL_BYTES {
        wrong.push(format!(
            "precopyBytes is {}: the last {FINAL_BYTES} of the {} state bytes exist only after the stop",
            spec.precopy_bytes.0, spec.state_bytes.0
        ));
    }
    if spec.state_bytes_per_second == Some(Bytes(0)) {
        wrong.push("stateBytesPerSecond is 0: the state would never move".to_owned());
    }
    for fault in &spec.faults {
        if let SimFault::Transition { errno: Some(name), .. } = fault {
            if errno_number(name).is_none() {
                wrong.push(format!("fault transition: unknown errno {name}"));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(HelperError::new("sim/spec", wrong.join("; ")).suggest("correct the sim block of the profile"))
}

/// The number of an errno by its name, among those the helper can name.
pub(super) fn errno_number(name: &str) -> Option<i32> {
    (1..134).find(|errno| errno_name(*errno) == name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::area::Area;
    use ferry_vfio::device::DeviceState;

    const JSON: &str = r#"{"model":"mdev","flags":["stop-copy","p2p"],"trackers":["pinned"],"stateBytes":"1048576",
        "precopyBytes":"4096","seed":7,"window":{"iova":"0x100000","bytes":"65536"},
        "writeBytesPerSecond":"1000000","pattern":"hot","latencyUs":{"RUNNING_P2P":5,"STOP":70},
        "faults":[{"kind":"transition","state":"STOP_COPY","errno":"EBUSY","enterError":true},
        {"kind":"short-stream","bytes":"9"},{"kind":"endless-stream"},{"kind":"slow-stop","delayUs":3},
        {"kind":"tracker-error","nth":2},{"kind":"drop-dirty-bit","nth":1},{"kind":"precopy-ends-with-zero"},
        {"kind":"reset-fails"},{"kind":"reset-does-nothing"},{"kind":"reset-refused-when-stopped"},
        {"kind":"stream-lost"},{"kind":"blocked-stream"},{"kind":"short-reads","bytes":"7"},{"kind":"stale-session"},
        {"kind":"refused-write"},{"kind":"writes-after-stop"},{"kind":"log-forgets"},{"kind":"tracker-hangs","nth":2},
        {"kind":"refusals-einval"}]}"#;

    #[test]
    fn reads_the_control_line_and_writes_it_back() {
        let spec: SimSpec = serde_json::from_str(JSON).expect("spec");
        validate(&spec).expect("valid");
        assert_eq!(spec.window(), Area { iova: 0x10_0000, bytes: 65536 });
        assert_eq!(spec.latency(DeviceState::Stop), Duration::from_micros(70));
        assert_eq!(spec.faults.len(), 19);
        let text = serde_json::to_value(&spec).expect("json");
        assert_eq!(text["window"]["iova"], "0x100000");
        assert_eq!(text["latencyUs"]["RUNNING_P2P"], 5);
        assert_eq!(text["faults"][3]["delayUs"], 3);
        assert_eq!(serde_json::from_value::<SimSpec>(text).expect("again"), spec);
        assert!(serde_json::from_str::<SimSpec>(&JSON.replace("\"seed\"", "\"sed\"")).is_err());
    }

    #[test]
    fn names_everything_no_device_can_be() {
        let mut spec: SimSpec = serde_json::from_str(JSON).expect("spec");
        spec.flags = vec![SimFlag::PreCopy];
        spec.window.bytes = Bytes(100);
        spec.state_bytes = Bytes(10);
        spec.faults = vec![SimFault::Transition {
            state: DeviceState::Stop,
            nth: None,
            errno: Some("EFOO".into()),
            enter_error: None,
        }];
        let error = validate(&spec).expect_err("refused");
        for part in ["window", "stop-copy", "stateBytes is 10", "EFOO"] {
            assert!(error.message.contains(part), "{part}: {error}");
        }
    }
}
