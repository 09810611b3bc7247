//! The state folders of one host of a test, and the requests that name them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::driver::Driver;

pub const PAGE: u64 = 4096;
pub const BYTES: u64 = 64 * PAGE;

pub struct Place {
    pub dir: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("fh-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).expect("mkdir");
        Self { dir }
    }

    pub fn at(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    pub fn socket(&self, run: &str) -> PathBuf {
        self.dir.join("sockets").join(format!("{run}.sock"))
    }

    pub fn holder(&self) -> PathBuf {
        self.dir.join("holders/w.sock")
    }

    pub fn claim(&self, role: &str, run: &str) -> Value {
        json!({
            "role": role, "lockDir": self.at("locks"), "recordDir": self.at("records"), "devices": ["dev-0"],
            "socket": self.socket(run),
        })
    }

    pub fn stay(&self, hand_out: Value) -> Value {
        json!({"workload": "w", "socket": self.holder(), "handOut": hand_out})
    }

    /// claim to map.
    pub fn set_up(&self, driver: &mut Driver, role: &str) {
        let run = driver.run.clone();
        driver.ok("claim", self.claim(role, &run));
        for (op, params) in set_up_requests() {
            driver.ok(op, params);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// memory to map, the same for every helper here.
pub fn set_up_requests() -> [(&'static str, Value); 4] {
    [
        ("memory", memory(BYTES)),
        ("container", container(false)),
        ("device", device(7)),
        ("map", json!({"container": "c"})),
    ]
}

pub fn memory(bytes: u64) -> Value {
    json!({"pageSize": PAGE, "regions": [{
        "region": "ram", "iova": "0x0", "bytes": bytes.to_string(), "backing": {"kind": "memfd"}, "populate": true,
        "fill": {"seed": 5, "zeroPercent": 10},
    }]})
}

pub fn container(dirty_tracking: bool) -> Value {
    json!({"container": "c", "backend": "sim", "dirtyTracking": dirty_tracking})
}

pub fn device(seed: u64) -> Value {
    json!({"device": "vgpu", "container": "c", "target": {"kind": "sim", "spec": {
        "model": "mdev", "flags": ["stop-copy", "p2p"], "trackers": ["pinned"], "stateBytes": "65536",
        "precopyBytes": "0", "seed": seed, "window": {"iova": "0x0", "bytes": BYTES.to_string()},
        "writeBytesPerSecond": "1000000", "pattern": "uniform",
    }}})
}

pub fn track() -> Value {
    json!({"trackers": [{"tracker": "pinned:c", "kind": "pinned", "container": "c"}]})
}

pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
