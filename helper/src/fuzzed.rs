//! What ferry, or whoever has its connection, can write, and what a disk can hold, as bodies for `helper/fuzz` and for
//! tests.

use std::io::BufReader;

use serde_json::Value;

use crate::control::lines::{Line, read_line};
use crate::control::value::{json, params};
use crate::durable::record::Recorded;
use crate::error::Result;
use crate::message::{
    ClaimParams, ConnectParams, ContainerParams, ContinueParams, CutoverParams, DeviceParams, ExecParams, HelloParams,
    InventoryParams, ListenParams, MapParams, MemoryParams, PrecopyParams, RecordParams, ReleaseParams, Request,
    RollbackParams, RouteParams, StayParams, TrackParams, TuneParams,
};

const LIMIT: usize = 4096;

/// Lines are bounded, and every request of every line reads as its parameters or is refused.
pub fn control(bytes: &[u8]) {
    let mut input = BufReader::with_capacity(61, bytes);
    let mut read = 0;
    while let Ok(line) = read_line(&mut input, LIMIT) {
        match line {
            Line::Eof => break,
            Line::TooLong => {}
            Line::Text(line) => {
                assert!(line.len() <= LIMIT);
                if let Ok(request) = serde_json::from_slice::<Request>(&line) {
                    let refused = as_params(&request.op, request.params).err();
                    assert!(refused.is_none_or(|error| error.code == "request/bad-params"));
                }
            }
        }
        read += 1;
        assert!(read <= bytes.len(), "more lines than bytes");
    }
}

fn as_params(op: &str, given: Value) -> Result<()> {
    match op {
        "hello" => params::<HelloParams>(given).map(drop),
        "inventory" => params::<InventoryParams>(given).map(drop),
        "claim" => params::<ClaimParams>(given).map(drop),
        "memory" => params::<MemoryParams>(given).map(drop),
        "container" => params::<ContainerParams>(given).map(drop),
        "device" => params::<DeviceParams>(given).map(drop),
        "map" | "unmap" => params::<MapParams>(given).map(drop),
        "track" => params::<TrackParams>(given).map(drop),
        "listen" | "expect-probe" => params::<ListenParams>(given).map(drop),
        "connect" | "probe" => params::<ConnectParams>(given).map(drop),
        "precopy" => params::<PrecopyParams>(given).map(drop),
        "cutover" => params::<CutoverParams>(given).map(drop),
        "rollback" => params::<RollbackParams>(given).map(drop),
        "release" => params::<ReleaseParams>(given).map(drop),
        "route" => params::<RouteParams>(given).map(drop),
        "tune" => params::<TuneParams>(given).map(drop),
        "continue" => params::<ContinueParams>(given).map(drop),
        "stay" => params::<StayParams>(given).map(drop),
        "exec" => params::<ExecParams>(given).map(drop),
        "record" => params::<RecordParams>(given).map(drop),
        _ => json(&given).map(drop),
    }
}

/// A record on a disk is one that was written, or none.
pub fn record(bytes: &[u8]) {
    let Ok(read) = serde_json::from_slice::<Recorded>(bytes) else { return };
    let again = serde_json::to_vec(&read).ok().and_then(|written| serde_json::from_slice::<Recorded>(&written).ok());
    assert_eq!(again.map(|again| format!("{again:?}")), Some(format!("{read:?}")));
}

#[cfg(test)]
mod tests {
    use ferry_testing::mutate;

    #[test]
    fn bad_bytes_on_a_line_and_on_a_disk() {
        mutate("control", 20_000, super::control);
        mutate("record", 20_000, super::record);
    }
}
