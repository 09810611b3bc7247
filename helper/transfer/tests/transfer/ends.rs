//! What the two ends of a transfer begin with: memory, and parameters that fit each other.

use std::sync::Arc;

use ferry_base::area::Area;
use ferry_base::error::Result;
use ferry_base::message::{ConnectParams, ListenParams};
use ferry_vfio::dirty::Tracker;
use ferry_vfio::dirty::union::Union;
use ferry_vfio::memory::{Backing, Memory, Region};

pub const RUN: &str = "run-1";
pub const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub const PAGE: u64 = 4096;
/// 1 MiB at 0 and 256 KiB higher up.
pub const AREAS: [(u64, u64); 2] = [(0, 1 << 20), (0x1000_0000, 1 << 18)];

pub fn memory(areas: &[(u64, u64)]) -> Arc<Memory> {
    let backing = Backing::Memfd { huge_page_bytes: None };
    let open = |(iova, bytes): &(u64, u64)| Region::open("m", Area { iova: *iova, bytes: *bytes }, &backing);
    let regions: Result<Vec<_>> = areas.iter().map(open).collect();
    Arc::new(Memory::new(PAGE, regions.expect("memfd")).expect("layout"))
}

/// The trackers of `memory`: this one, started.
pub fn union_of(memory: &Memory, tracker: Box<dyn Tracker>) -> Union {
    let free = Arc::new(|_| Ok(())) as _;
    let mut union = Union::new(PAGE, memory.areas(), vec![tracker], &free).expect("a thread");
    union.start(&mut || Ok(())).expect("start");
    union
}

pub fn content(memory: &Memory) -> Vec<u8> {
    let mut all = Vec::new();
    for area in memory.areas() {
        let mut part = vec![0; area.bytes as usize];
        memory.slice(area.iova, area.bytes).expect("inside").copy_to(&mut part);
        all.extend(part);
    }
    all
}

/// Two thirds random pages, one third zero.
pub fn fill(memory: &Memory) {
    let mut word = 0x9e37_79b9_7f4a_7c15u64;
    let mut page = [0; PAGE as usize];
    for area in memory.areas() {
        for iova in (area.iova..area.end()).step_by(PAGE as usize).filter(|iova| iova / PAGE % 3 != 0) {
            for bytes in page.chunks_exact_mut(8) {
                word ^= word << 13;
                word ^= word >> 7;
                word ^= word << 17;
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            memory.slice(iova, PAGE).expect("inside").copy_from(&page);
        }
    }
}

pub fn listen_params(encrypt: bool, peer: &str) -> ListenParams {
    ListenParams {
        address: "127.0.0.1".into(),
        port: 0,
        encrypt,
        peer: peer.into(),
        secret: SECRET.into(),
        link_timeout_ms: 3000,
        keepalive_ms: 3000,
        interface: None,
        from: None,
        streams: 1,
    }
}

pub fn connect_params(port: u16, encrypt: bool, peer: &str) -> ConnectParams {
    let ListenParams { address, secret, link_timeout_ms, keepalive_ms, streams, .. } = listen_params(encrypt, peer);
    let peer = peer.into();
    ConnectParams { address, port, encrypt, peer, secret, link_timeout_ms, keepalive_ms, streams, r#use: 1, bind: None }
}
