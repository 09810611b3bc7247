//! The two ways to ask the kernel which pages of another process were written.
//!
//! PAGEMAP_SCAN (Linux 6.7) takes the written pages and protects them again in one step, while the process runs. It
//! works where the process registered the range with a userfaultfd of its own (UFFD_FEATURE_WP_ASYNC).
//!
//! Soft-dirty bits need nothing of the process, but are read and cleared in two steps, so that it must not run between.
//!
//! Both live in the page table of the process. Shared memory may leave it at any time (reclaim, a huge page that is
//! split, MADV_DONTNEED), and its bits with it. So a page that is not in the page table counts as written, unless the
//! file has a hole there.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::spans::Span;

/// The kernel's size of a page, which an entry of pagemap stands for.
pub fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

/// A piece of a span, in addresses of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub start: u64,
    pub end: u64,
}

/// What one read says of a span.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub written: Vec<Run>,
    /// Not in the page table.
    pub absent: Vec<Run>,
}

const WP_MATCHING: u64 = 1;
const CHECK_WP_ASYNC: u64 = 1 << 1;
const IS_WRITTEN: u64 = 1 << 1;
const IS_PRESENT: u64 = 1 << 3;
const IS_SWAPPED: u64 = 1 << 4;

/// `struct pm_scan_arg` of linux/fs.h.
#[repr(C)]
#[derive(Default)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region` of linux/fs.h.
#[repr(C)]
#[derive(Default, Clone, Copy)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::c_ulong = (3 << 30) | ((size_of::<ScanArgument>() as libc::c_ulong) << 16) | (0x66 << 8) | 16;

/// Takes what was written in the span since it was last asked, and protects it again. Pages that are absent are asked
/// for after those: one that leaves the page table in between is one of them.
///
/// # Errors
/// EPERM where no userfaultfd of the process protects the range; ENOTTY on a kernel without it.
pub fn take_protected(pagemap: &File, span: &Span) -> io::Result<Seen> {
    let absent = IS_PRESENT | IS_SWAPPED;
    Ok(Seen { written: scan(pagemap, span, 0, IS_WRITTEN)?, absent: scan(pagemap, span, absent, absent)? })
}

fn scan(pagemap: &File, span: &Span, inverted: u64, mask: u64) -> io::Result<Vec<Run>> {
    let mut found = Vec::new();
    let mut regions = [PageRegion::default(); 512];
    let mut argument = ScanArgument {
        size: size_of::<ScanArgument>() as u64,
        flags: WP_MATCHING | CHECK_WP_ASYNC,
        start: span.start,
        end: span.end,
        vec: regions.as_mut_ptr() as u64,
        vec_len: regions.len() as u64,
        category_inverted: inverted,
        category_mask: mask,
        return_mask: IS_WRITTEN | IS_PRESENT | IS_SWAPPED,
        ..ScanArgument::default()
    };
    while argument.start < span.end {
        // SAFETY: the argument and the array it names outlive the call, and `vec_len` is the array's length.
        let count = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut argument) };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        let regions = regions.get(..count as usize).unwrap_or_default();
        found.extend(regions.iter().map(|region| Run { start: region.start, end: region.end }));
        if argument.walk_end <= argument.start {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        argument.start = argument.walk_end;
    }
    Ok(found)
}

const PAGEMAP_PRESENT: u64 = 1 << 63;
const PAGEMAP_SWAPPED: u64 = 1 << 62;
const PAGEMAP_SOFT_DIRTY: u64 = 1 << 55;

/// Reads the soft-dirty bits of the span. The process must not run from here to [`clear_soft_dirty`].
///
/// # Errors
/// Those of reading; unexpected end when the process is gone.
pub fn read_soft_dirty(pagemap: &File, span: &Span) -> io::Result<Seen> {
    let page = page_bytes();
    let mut seen = Seen::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut at = span.start;
    while at < span.end {
        let pages = ((span.end - at) / page).min(buffer.len() as u64 / 8).max(1);
        let bytes = buffer.get_mut(..pages as usize * 8).unwrap_or_default();
        pagemap.read_exact_at(bytes, at / page * 8)?;
        for entry in bytes.chunks_exact(8) {
            let entry = entry.try_into().map_or(0, u64::from_ne_bytes);
            let run = Run { start: at, end: at + page };
            if entry & PAGEMAP_SOFT_DIRTY != 0 {
                push(&mut seen.written, run);
            } else if entry & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED) == 0 {
                push(&mut seen.absent, run);
            }
            at += page;
        }
    }
    Ok(seen)
}

fn push(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if last.end == run.start => last.end = run.end,
        _ => runs.push(run),
    }
}

/// Clears the soft-dirty bits of all its memory: the kernel knows no smaller piece.
pub fn clear_soft_dirty(clear_refs: &Path) -> io::Result<()> {
    std::fs::write(clear_refs, "4")
}

/// Whether this kernel has soft-dirty bits (CONFIG_MEM_SOFT_DIRTY; x86-64, s390 and others, not aarch64): a page just
/// written shows its bit. Nothing is cleared for that.
pub fn has_soft_dirty() -> io::Result<bool> {
    let page = page_bytes();
    // As large as two pages, so that one lies in it whole; written, so that it is there.
    let block = vec![1u8; 2 * page as usize];
    let start = (block.as_ptr() as u64).next_multiple_of(page);
    let seen = read_soft_dirty(&File::open("/proc/self/pagemap")?, &Span { start, end: start + page, iova: 0 })?;
    Ok(!seen.written.is_empty())
}

/// The part of `offset .. offset + bytes` that a file of tmpfs (a memfd) holds: elsewhere nothing was ever written. Other
/// file systems have other ideas of a hole, so there it is all. Moves the descriptor's position.
pub fn data_in(file: BorrowedFd<'_>, offset: u64, bytes: u64) -> Vec<Run> {
    let whole = vec![Run { start: offset, end: offset + bytes }];
    let tmpfs = rustix::fs::fstatfs(file).is_ok_and(|found| found.f_type == libc::TMPFS_MAGIC);
    if tmpfs { data_runs(file, offset, offset + bytes).unwrap_or(whole) } else { whole }
}

/// By SEEK_DATA and SEEK_HOLE; `None` when they fail.
fn data_runs(file: BorrowedFd<'_>, mut at: u64, end: u64) -> Option<Vec<Run>> {
    let mut found = Vec::new();
    while at < end {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(data) => data.min(end),
            Err(Errno::NXIO) => break,
            Err(_) => return None,
        };
        if start == end {
            break;
        }
        let stop = seek(file, SeekFrom::Hole(start)).ok().filter(|stop| *stop > start)?.min(end);
        found.push(Run { start, end: stop });
        at = stop;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    use super::*;

    #[test]
    fn a_sparse_memfd_holds_only_what_was_written() {
        let page = page_bytes();
        let file = File::from(memfd_create("sparse", MemfdFlags::CLOEXEC).expect("memfd"));
        ftruncate(&file, 64 * page).expect("grow");
        assert_eq!(data_in(file.as_fd(), 0, 64 * page), []);
        for at in [3, 4, 40] {
            file.write_all_at(&[1], at * page).expect("write");
        }
        let run = |start, end| Run { start: start * page, end: end * page };
        assert_eq!(data_in(file.as_fd(), 0, 64 * page), [run(3, 5), run(40, 41)]);
        assert_eq!(data_in(file.as_fd(), 4 * page, 20 * page), [run(4, 5)]);
        assert_eq!(data_in(file.as_fd(), 5 * page, 35 * page), []);
        let disk = File::open("/proc/self/maps").expect("no tmpfs");
        assert_eq!(data_in(disk.as_fd(), 0, page), [run(0, 1)]);
    }

    #[test]
    fn a_page_without_a_protection_cannot_be_taken() {
        let pagemap = File::open("/proc/self/pagemap").expect("ours");
        let block = vec![1u8; 2 * page_bytes() as usize];
        let start = (block.as_ptr() as u64).next_multiple_of(page_bytes());
        let error = take_protected(&pagemap, &Span { start, end: start + page_bytes(), iova: 0 });
        let errno = error.err().and_then(|error| error.raw_os_error());
        assert!(matches!(errno, Some(libc::EPERM | libc::ENOTTY)), "{errno:?}");
    }

    #[test]
    fn the_probe_answers_and_clears_nothing() {
        let has = has_soft_dirty().expect("pagemap");
        assert_eq!(has_soft_dirty().expect("again"), has);
    }
}
