//! Memory that is mostly zero, and large: a living destination is not taken for a dead one, and no page gets memory
//! that had none.

use std::time::{Duration, Instant};

use ferry_vfio::memory::Memory;
use rustix::fs::fstat;

use crate::proxy::{Meddler, Meddling, Way};
use crate::rig::{PAGE, Ran, Rig};

const GIB: u64 = 1 << 30;

/// 64 GiB and 128 GiB, of which pre-copy and cutover find a few pages written. Nothing waits for longer than 300 ms.
fn sparse(streams: u16, encrypt: bool) -> Rig {
    let mut rig = Rig {
        streams,
        encrypt,
        blank: true,
        areas: vec![(0, 64 * GIB), (1 << 44, 128 * GIB)],
        rounds: vec![vec![0, 40 * GIB, (1 << 44) + 100 * GIB], vec![PAGE, 63 * GIB], vec![], vec![30 * GIB]],
        keepalive_ms: 300,
        ..Rig::new()
    };
    rig.precopy.verify = false;
    rig.cutover.verify = false;
    rig
}

fn megabytes(memory: &Memory) -> u64 {
    let blocks = |region: &ferry_vfio::memory::Region| {
        u64::try_from(fstat(region.descriptor().expect("memfd")).expect("fstat").st_blocks).expect("no debt")
    };
    memory.regions().iter().map(blocks).sum::<u64>() * 512 / (1 << 20)
}

fn first_bytes(memory: &Memory, iova: u64) -> [u8; 64] {
    let mut bytes = [0; 64];
    memory.slice(iova, 64).expect("inside").copy_to(&mut bytes);
    bytes
}

fn moved(ran: &Ran, written: &[u64]) {
    assert_eq!(ran.cause(), "none", "{:?}", ran.cutover.as_ref().map(|reply| &reply.cause));
    for iova in written {
        let here = first_bytes(&ran.here, *iova);
        assert!(here != [0; 64] && here == first_bytes(&ran.there, *iova), "{iova:#x}");
    }
    assert_eq!(first_bytes(&ran.there, 50 * GIB), [0; 64]);
    assert!(
        megabytes(&ran.here) < 64 && megabytes(&ran.there) < 64,
        "{} {}",
        megabytes(&ran.here),
        megabytes(&ran.there)
    );
}

#[test]
fn two_hundred_gibibytes_of_holes_move_as_what_is_in_them() {
    for (streams, encrypt) in [(1, false), (3, true)] {
        let began = Instant::now();
        let ran = sparse(streams, encrypt).run();
        moved(&ran, &[0, 40 * GIB, (1 << 44) + 100 * GIB, PAGE, 63 * GIB, 30 * GIB]);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(30), "{took:?}");
    }
}

/// Zeros take no room on the way: without its word the source could be minutes ahead of a destination that must look at
/// every page.
#[test]
fn zeros_are_not_sent_far_ahead_of_the_destination() {
    let answers = |bytes| {
        let mut rig = Rig { blank: true, areas: vec![(0, bytes)], ..Rig::new() };
        rig.rounds = vec![vec![0], vec![], vec![]];
        rig.precopy.verify = false;
        rig.cutover.verify = false;
        rig.meddler = Some(Meddler { way: Way::ToSource, at: 0, meddling: Meddling::Nothing });
        let ran = rig.run();
        assert_eq!(ran.cause(), "none");
        ran.frames[1]
    };
    assert!(answers(5 * GIB + PAGE) >= answers(PAGE) + 4);
}
