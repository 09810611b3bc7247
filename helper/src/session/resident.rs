//! How much memory this process holds and has locked, from /proc/self/status.

use std::fs;

/// Resident bytes without shared memory: the workload's own pages are mapped here too and are not ours.
pub fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    field(&status, "RssAnon:") + field(&status, "RssFile:")
}

/// Bytes the kernel counts as locked or pinned for this process (`VmLck`: type1 and memlock by mm; `VmPin`).
pub fn locked_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    field(&status, "VmLck:") + field(&status, "VmPin:")
}

/// RLIMIT_MEMLOCK in bytes; `None` when unlimited or when CAP_IPC_LOCK lifts it.
pub fn memlock_limit() -> Option<u64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current?;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    const CAP_IPC_LOCK: u64 = 1 << 14;
    (effective & CAP_IPC_LOCK == 0).then_some(limit)
}

/// `MemAvailable`, in bytes.
pub fn memory_available() -> u64 {
    field(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemAvailable:")
}

/// A `Name:   123 kB` line, in bytes; 0 when the kernel does not print it.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_kib_fields() {
        let text = "VmLck:\t     128 kB\nRssAnon:\t 4 kB\nVmX: none\n";
        assert_eq!(field(text, "VmLck:"), 128 * 1024);
        assert_eq!(field(text, "VmX:"), 0);
        assert_eq!(field(text, "VmPin:"), 0);
        assert!(resident_bytes() > 0 && memory_available() > 0);
    }
}
