//! How much memory this process holds and has locked, from /proc/self/status.

use std::fs;
use std::sync::OnceLock;

/// Resident bytes that are ours: anonymous memory, and our own program. The workload's pages are mapped here too, and
/// those of a region backed by a plain file count as `RssFile` just as our code does; so of that no more is taken
/// than our code can be.
pub fn resident_bytes() -> u64 {
    static PROGRAM: OnceLock<u64> = OnceLock::new();
    let program = *PROGRAM.get_or_init(|| private_files(&fs::read_to_string("/proc/self/maps").unwrap_or_default()));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    field(&status, "RssAnon:") + field(&status, "RssFile:").min(program)
}

/// Size of all private mappings of files, in bytes: the program and its libraries. The workload's are shared.
fn private_files(maps: &str) -> u64 {
    let size = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let private = fields.next()?.ends_with('p');
        let inode = fields.nth(2)?;
        let bytes = u64::from_str_radix(end, 16).ok()?.checked_sub(u64::from_str_radix(start, 16).ok()?)?;
        (private && inode != "0").then_some(bytes)
    };
    maps.lines().filter_map(size).sum()
}

/// Bytes the kernel counts as locked or pinned for this process (`VmLck`: type1 and memlock by mm; `VmPin`).
pub fn locked_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    field(&status, "VmLck:") + field(&status, "VmPin:")
}

/// RLIMIT_MEMLOCK in bytes; `None` when unlimited or when CAP_IPC_LOCK lifts it. As it was when first asked: the thread
/// that the kernel shows for the process gives its capabilities up later, and those that map memory keep them.
pub fn memlock_limit() -> Option<u64> {
    static AT_FIRST: OnceLock<Option<u64>> = OnceLock::new();
    *AT_FIRST.get_or_init(limit_now)
}

fn limit_now() -> Option<u64> {
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

    #[test]
    fn a_mapped_file_of_the_workload_is_not_ours() {
        let maps = "55d0c0000000-55d0c0200000 r-xp 00000000 08:01 131 /usr/libexec/ferry-helper\n\
                    7f0000000000-7f0040000000 rw-s 00000000 08:01 132 /var/lib/guest/ram\n\
                    7f0050000000-7f0050021000 rw-p 00000000 00:00 0 [heap]\n\
                    7f0060000000-7f0060001000 r--p 00000000 08:01 133 /lib/libc.so.6\n";
        assert_eq!(private_files(maps), 0x20_0000 + 0x1000);
        let own = private_files(&std::fs::read_to_string("/proc/self/maps").expect("maps"));
        assert!(own > 0 && own < 1 << 30);
    }
}
