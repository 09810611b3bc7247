//! The IOMMU tracker against the kernel's own mock IOMMU (CONFIG_IOMMUFD_TEST), whose page tables keep dirty bits
//! that a test can set; no IOMMU the lab can emulate has any. Runs in the lab's guest only, from
//! test/helper/kernel.lab.ts, and with intel_iommu=off: 6.12 gives a mock device to the first IOMMU driver it finds.

use std::os::fd::AsRawFd;

use ferry_helper::area::Area;
use ferry_helper::dirty::areas::MappedAreas;
use ferry_helper::dirty::hwpt::{HwptTracker, PageTableBits};
use ferry_helper::dirty::{DirtyBitmap, Tracker};
use ferry_helper::iommu::iommufd::Iommufd;
use ferry_helper::memory::{Backing, Region};

const PAGE: u64 = 4096;
/// The mock maps in half pages.
const MOCK_PAGE: u64 = PAGE / 2;
/// `_IO(IOMMUFD_TYPE, IOMMUFD_CMD_BASE + 32)`.
const IOMMU_TEST_CMD: libc::c_ulong = 0x3ba0;
const OP_MOCK_DOMAIN_REPLACE: u32 = 10;
const OP_MOCK_DOMAIN_FLAGS: u32 = 12;
const OP_DIRTY: u32 = 13;

/// `struct iommu_test_cmd` of drivers/iommu/iommufd/iommufd_test.h; the union as words.
#[repr(C)]
struct TestCommand {
    size: u32,
    op: u32,
    id: u32,
    reserved: u32,
    payload: [u64; 6],
    last: u32,
}

fn command(iommufd: &Iommufd, op: u32, id: u32, payload: [u64; 6]) -> [u64; 6] {
    let mut command = TestCommand { size: size_of::<TestCommand>() as u32, op, id, reserved: 0, payload, last: 0 };
    // SAFETY: the structure of the request with its size; the one address in it (dirty) is a live slice's.
    let done = unsafe { libc::ioctl(iommufd.as_raw_fd(), IOMMU_TEST_CMD, &mut command) };
    assert_eq!(done, 0, "test command {op}: {}", std::io::Error::last_os_error());
    command.payload
}

/// A mock device on the address space; its standard id (low word of device) and its device id.
fn mock_device(iommufd: &Iommufd, ioas: u32) -> (u32, u32) {
    let answer = command(iommufd, OP_MOCK_DOMAIN_FLAGS, ioas, [0; 6]);
    (answer[0] as u32, answer[1] as u32)
}

/// As if the device had written the page at `iova`.
fn write_page(iommufd: &Iommufd, hwpt: u32, iova: u64) {
    let bits = [1u64];
    let answer = command(iommufd, OP_DIRTY, hwpt, [0, iova, MOCK_PAGE, MOCK_PAGE, bits.as_ptr() as u64, 0]);
    assert_eq!(answer[5], 1, "the page is mapped");
}

#[test]
#[ignore = "needs the lab's guest"]
fn every_write_is_read_across_holes_and_page_tables() {
    let iommufd = Iommufd::open().expect("iommufd");
    let ioas = iommufd.alloc_ioas().expect("ioas");
    iommufd.no_huge_pages(ioas).expect("before any map");
    let hwpts: Vec<u32> = (0..2)
        .map(|_| {
            let (standard, device) = mock_device(&iommufd, ioas);
            assert!(iommufd.tracks(device).expect("hardware info"));
            let hwpt = iommufd.alloc_tracking_hwpt(device, ioas).expect("hwpt");
            command(&iommufd, OP_MOCK_DOMAIN_REPLACE, standard, [u64::from(hwpt), 0, 0, 0, 0, 0]);
            hwpt
        })
        .collect();
    // The mock's aperture begins at 16 MiB.
    let areas = [Area { iova: 1 << 24, bytes: 70 * PAGE }, Area { iova: (1 << 24) + 100 * PAGE, bytes: 200 * PAGE }];
    let ranges = iommufd.iova_ranges(ioas).expect("ranges");
    println!("mappable: {ranges:x?}");
    assert_eq!((ranges[0].first, ranges[0].last), (1 << 24, (1 << 31) - 1));
    let regions: Vec<Region> = areas
        .iter()
        .map(|area| Region::open("ram", *area, &Backing::Memfd { huge_page_bytes: None }).expect("memfd"))
        .collect();
    for region in &regions {
        // SAFETY: a mock never writes by itself: it does so on command only, and this test gives its commands while
        // `regions` lives.
        unsafe { iommufd.map(ioas, region.host_address(), region.area()) }.expect("map");
    }
    let mapped = MappedAreas::from(areas.to_vec());
    let mut tracker = HwptTracker::new("iommu", iommufd.clone(), hwpts.clone(), PAGE, mapped);
    let mut bitmap = DirtyBitmap::new(PAGE, &areas);
    assert_eq!(tracker.read(&mut bitmap).expect_err("not started").code, "tracker/log-lost");
    tracker.start().expect("start");
    assert_eq!(tracker.read(&mut bitmap).expect("read"), 0);

    let first = [areas[0].iova, areas[0].end() - PAGE, areas[1].iova + 64 * PAGE];
    let second = [areas[1].iova, areas[1].end() - PAGE];
    for iova in first {
        write_page(&iommufd, hwpts[0], iova);
    }
    for iova in second {
        // The second half of the page: still the same bit.
        write_page(&iommufd, hwpts[1], iova + MOCK_PAGE);
    }
    // The trap the tracker avoids: one query over everything stops at the hole and says nothing of it.
    let whole = Area { iova: areas[0].iova, bytes: areas[1].end() - areas[0].iova };
    let mut words = vec![0; 5];
    let answered = iommufd.clone().read_and_clear(hwpts[1], whole, PAGE, &mut words);
    println!("one query over the hole: {answered:?}, bits {words:x?}");
    assert!(answered.is_ok() && words.iter().all(|word| *word == 0), "lost behind the hole, without an error");

    let pages = tracker.read(&mut bitmap).expect("read");
    println!("hwpt: {pages} pages dirty");
    assert_eq!(pages, 5);
    for iova in first.into_iter().chain(second) {
        assert!(bitmap.get(iova), "{iova:#x}");
    }
    assert_eq!(tracker.read(&mut bitmap).expect("read"), 0, "read clears");
    assert_eq!(bitmap.count(), 5, "and the master bitmap keeps");
    tracker.stop().expect("stop");
    for region in &regions {
        assert_eq!(iommufd.unmap(ioas, region.area()).expect("unmap"), region.area().bytes);
    }
}
