//! What a process writes by CPU to memory in huge pages of hugetlbfs.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::driver::Driver;
use crate::place::{PAGE, Place, container, device};
use crate::writer::Writer;

const HUGE: u64 = 2 << 20;
const RESERVED: &str = "/proc/sys/vm/nr_hugepages";

/// Two huge pages, reserved for the time of the test.
struct HugeMemory {
    memory: OwnedFd,
    reserved_before: u64,
}

impl HugeMemory {
    /// `None` where none can be had: no root, or memory too fragmented.
    fn new() -> Option<Self> {
        let reserved_before: u64 = fs::read_to_string(RESERVED).ok()?.trim().parse().ok()?;
        fs::write(RESERVED, (reserved_before + 2).to_string()).ok()?;
        let flags = rustix::fs::MemfdFlags::HUGETLB | rustix::fs::MemfdFlags::HUGE_2MB;
        let memory = rustix::fs::memfd_create("ferry-test", flags).expect("memfd");
        let made = Self { memory, reserved_before };
        rustix::fs::ftruncate(&made.memory, 2 * HUGE).ok()?;
        rustix::fs::fallocate(&made.memory, rustix::fs::FallocateFlags::empty(), 0, 2 * HUGE).ok()?;
        Some(made)
    }

    fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.memory.as_raw_fd()).into()
    }
}

impl Drop for HugeMemory {
    fn drop(&mut self) {
        // Those that are in use still are given back with the memory.
        let _ = fs::write(RESERVED, self.reserved_before.to_string());
    }
}

fn set_up(place: &Place, driver: &mut Driver, memory: &HugeMemory) {
    driver.ok("claim", place.claim("source", "r1"));
    driver.ok(
        "memory",
        json!({"pageSize": PAGE, "regions": [{
            "region": "ram", "iova": "0x0", "bytes": (2 * HUGE).to_string(), "populate": true,
            "backing": {"kind": "file", "path": memory.path()}, "othersMayTruncate": true,
        }]}),
    );
    driver.ok("container", container(false));
    driver.ok("device", device(7));
    driver.ok("map", json!({"container": "c"}));
}

fn process() -> Value {
    json!({"trackers": [
        {"tracker": "all", "kind": "all"},
        {"tracker": "process", "kind": "process", "process": {"method": "auto", "freeze": "signal"}},
    ]})
}

fn read(driver: &mut Driver) -> u64 {
    let read = driver.ok("dirty", json!({}));
    let rounds = read["trackers"].as_array().expect("trackers");
    rounds.iter().find(|round| round["tracker"] == "process").expect("it")["pages"].as_u64().expect("pages")
}

#[test]
fn one_write_to_a_huge_page_counts_as_all_of_it_and_only_a_userfaultfd_tells() {
    let Some(memory) = HugeMemory::new() else { return };
    let (here, mut driver) = (Place::new(), Driver::serve());
    let writer = Writer::start(&memory.path(), "protected");
    set_up(&here, &mut driver, &memory);
    driver.ok("track", process());
    sleep(Duration::from_millis(20));
    // It writes the first of the two.
    let whole = HUGE / PAGE;
    let written = read(&mut driver);
    writer.signal(libc::SIGSTOP);
    read(&mut driver);
    let still = read(&mut driver);
    // The other one is in the file and not in the writer's page table, which a kernel may count as written.
    assert!(still == 0 || still == whole, "{still}");
    assert_eq!(written, still + whole);
    drop(writer);

    let _bare = Writer::start(&memory.path(), "bare");
    let error = driver.ask("dirty", json!({})).expect_err("soft-dirty bits there are none");
    assert_eq!(error["code"], "tracker/process-unsupported");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("huge pages")), "{error}");
}
