//! Holds memory in files against what devices must have written to it: the checker of the simulator, for the lab's
//! kernel devices.
//!
//! Reads one JSON object on stdin. Numbers may be strings, decimal or 0x hexadecimal; a device may be what
//! `dma-regs get` printed, whose other registers are not looked at.
//!
//! ```json
//! {"memory": [{"name": "ram", "iova": "0x100000", "bytes": "1048576", "path": "/dev/shm/ram",
//!              "initial": {"seed": 1, "zeroPercent": 30}}],
//!  "devices": [{"name": "a", "slot": 0, "seed": "7", "window": "0x100000", "bytes": "65536", "pattern": "uniform",
//!               "position": "1000", "from": 1}]}
//! ```
//!
//! `initial` is what the region held before anybody wrote; with none (absent or null), bytes no one wrote are not
//! looked at. One beside `memory` holds for all regions that do not have the key. With `from`, the report counts the
//! distinct pages of the writes from that one to `position`.
//!
//! Prints a report and ends with 0 when nothing is lost, 1 when something is; 2: bad input, and no report.

use std::io::Read;
use std::process::ExitCode;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use ferry_helper::area::Area;
use ferry_helper::memory::{Backing, Memory, Region};
use ferry_helper::message::num::{Bytes, Iova};
use ferry_helper::sim::stamps::{CheckReport, Fill, Mismatch, PAGE_BYTES, Pattern, Program, Writer, check};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Replaying more writes than this would take a good part of an hour: such a position is no honest one.
const MAX_POSITION: u64 = 1 << 36;
/// Counting distinct pages takes memory by the window.
const MAX_WINDOW_BYTES: u64 = 1 << 44;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    memory: Vec<RegionInput>,
    devices: Vec<DeviceInput>,
    #[serde(default)]
    initial: Option<Initial>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionInput {
    name: String,
    iova: Iova,
    bytes: Bytes,
    path: String,
    /// Outer `None`: the key is not there.
    #[serde(default, deserialize_with = "given")]
    initial: Option<Option<Initial>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Initial {
    seed: Bytes,
    zero_percent: u8,
}

/// Other fields are the rest of what a device is told, which does not change what it writes where.
#[derive(Deserialize)]
struct DeviceInput {
    name: String,
    slot: Bytes,
    seed: Bytes,
    window: Iova,
    bytes: Bytes,
    pattern: Pattern,
    position: Bytes,
    from: Option<Bytes>,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Option<Initial>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn memory(regions: &[RegionInput]) -> Result<Memory> {
    let open = |region: &RegionInput| {
        let area = Area { iova: region.iova.0, bytes: region.bytes.0 };
        Region::open(&region.name, area, &Backing::File { path: region.path.clone() })
    };
    let opened = regions.iter().map(open).collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Memory::new(PAGE_BYTES, opened)?)
}

fn writer(device: &DeviceInput) -> Result<Writer> {
    let slot =
        u8::try_from(device.slot.0).map_err(|_| format!("{}: no page has a slot {}", device.name, device.slot.0))?;
    let refuse = |wrong: String| Err(format!("{}: {wrong}", device.name).into());
    if device.position.0 > MAX_POSITION {
        return refuse(format!("position {} is beyond what can be replayed", device.position.0));
    }
    if device.bytes.0 > MAX_WINDOW_BYTES {
        return refuse(format!("a window of {} bytes is more than {MAX_WINDOW_BYTES}", device.bytes.0));
    }
    if device.from.is_some_and(|from| from.0 == 0) {
        return refuse("from 0: the first write is number 1".to_owned());
    }
    let window = Area { iova: device.window.0, bytes: device.bytes.0 };
    let program = Program { seed: device.seed.0, slot, window, pattern: device.pattern, bytes_per_second: 0 };
    Ok(Writer { name: device.name.clone(), program, position: device.position.0 })
}

fn mismatch(kind: Mismatch) -> &'static str {
    match kind {
        Mismatch::Stale => "stale",
        Mismatch::Newer => "newer",
        Mismatch::Torn => "torn",
        Mismatch::Misplaced => "misplaced",
        Mismatch::Foreign => "foreign",
    }
}

fn print(report: &CheckReport, input: &Input, writers: &[Writer]) {
    let lost = report.lost.iter().map(|page| {
        json!({
            "iova": Iova(page.iova),
            "device": page.device,
            "expected": Bytes(page.expected),
            "found": Bytes(page.found),
            "mismatch": mismatch(page.mismatch),
        })
    });
    let mut seen = json!({
        "pages": report.pages,
        "writes": Bytes(report.writes),
        "lostPages": report.lost_pages,
        "lost": lost.collect::<Vec<Value>>(),
    });
    for (device, writer) in input.devices.iter().zip(writers) {
        if let Some(from) = device.from {
            seen["distinct"][&device.name] = writer.program.distinct_pages(from.0..=writer.position).into();
        }
    }
    println!("{seen}");
}

fn run() -> Result<bool> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let input: Input = serde_json::from_str(&text)?;
    let memory = memory(&input.memory)?;
    let writers = input.devices.iter().map(writer).collect::<Result<Vec<_>>>()?;
    let initial = |name: &str| {
        let region = input.memory.iter().find(|region| region.name == name)?;
        let initial = region.initial.unwrap_or(input.initial)?;
        Some(Fill { seed: initial.seed.0, zero_percent: initial.zero_percent })
    };
    let report = check(&writers, &memory, &initial)?;
    print(&report, &input, &writers);
    Ok(report.lost_pages == 0)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("dma-check: {error}");
            ExitCode::from(2)
        }
    }
}
