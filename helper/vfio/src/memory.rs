//! The workload's memory as this process sees it: memfds or files mapped shared, at IOVAs that stay the same on both
//! sides. Devices write to it while we read, so it is only ever touched through vm-memory's volatile slices.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{Advice, madvise};
use vm_memory::volatile_memory::VolatileMemory;
use vm_memory::{FileOffset, MmapRegion, VolatileSlice};

use crate::area::Area;
use crate::content::Content;
use crate::error::{HelperError, Result};
use crate::memory_fault::Watch;

/// Populated between two looks at a cancel, in bytes: about 40 ms.
const POPULATED_AT_ONCE: usize = 128 << 20;

/// Where a region's memory comes from.
#[derive(Debug, Clone)]
pub enum Backing {
    /// New anonymous memory; with huge pages of this size when given.
    Memfd { huge_page_bytes: Option<u64> },
    /// An existing file: shared memory of a running VMM, hugetlbfs, or a plain file. Never created or resized.
    File { path: String },
}

pub struct Region {
    name: String,
    iova: u64,
    /// Before the map: it ends first.
    watch: Watch,
    map: MmapRegion,
    content: Content,
}

impl Region {
    /// Opens and maps the memory of one region, shared and writable.
    ///
    /// # Errors
    /// `memory/open`, `memory/too-small` (the file is shorter than the region), `memory/map`.
    pub fn open(name: &str, area: Area, backing: &Backing) -> Result<Self> {
        let file = match backing {
            Backing::Memfd { huge_page_bytes } => create_memfd(name, area.bytes, *huge_page_bytes)?,
            Backing::File { path } => open_file(name, path, area.bytes)?,
        };
        let size = usize::try_from(area.bytes)
            .map_err(|_| HelperError::new("memory/map", format!("region {name}: too large for this process")))?;
        let map = MmapRegion::from_file(FileOffset::new(file, 0), size).map_err(|error| {
            HelperError::new("memory/map", format!("region {name}: cannot map {} bytes: {error}", area.bytes))
                .operation("mmap")
        })?;
        let file = map.file_offset().map(|offset| offset.file().as_fd());
        let content = Content::new(file, area.bytes, matches!(backing, Backing::Memfd { .. }));
        let watch = Watch::on(map.as_ptr() as usize, map.size())
            .ok_or_else(|| HelperError::new("memory/map", format!("region {name}: too many regions are mapped")))?;
        Ok(Self { name: name.to_owned(), iova: area.iova, watch, map, content })
    }

    /// No access found a page of it gone.
    ///
    /// # Errors
    /// `memory/gone`.
    pub fn must_be_untouched(&self) -> Result<()> {
        if self.watch.is_gone() {
            return Err(self.gone("a page of it was gone when it was read or written"));
        }
        Ok(())
    }

    /// As [`Self::must_be_untouched`], and its file has not become shorter since.
    ///
    /// # Errors
    /// `memory/gone`; `memory/open` when the file cannot be asked.
    pub fn must_be_whole(&self) -> Result<()> {
        self.must_be_untouched()?;
        let Some(offset) = self.map.file_offset() else { return Ok(()) };
        let found = offset
            .file()
            .metadata()
            .map_err(|error| HelperError::os("memory/open", format!("stat of region {}", self.name), &error, ""))?;
        // A device node has no length.
        if found.is_file() && found.len() < self.area().bytes {
            return Err(self.gone(&format!("its file was cut to {} bytes", found.len())));
        }
        Ok(())
    }

    fn gone(&self, how: &str) -> HelperError {
        HelperError::new("memory/gone", format!("region {}: {how}", self.name))
            .suggest("see which process truncates the file, or whether the host ran out of huge pages")
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn area(&self) -> Area {
        Area { iova: self.iova, bytes: self.map.size() as u64 }
    }

    /// Address of the region in this process: what IOMMU backends map.
    pub fn host_address(&self) -> u64 {
        self.map.as_ptr() as u64
    }

    /// The file behind it.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.map.file_offset().map(|offset| offset.file().as_fd())
    }

    /// `iova .. iova + bytes` of this region; `None` when it does not lie wholly inside.
    pub fn slice(&self, iova: u64, bytes: u64) -> Option<VolatileSlice<'_>> {
        let offset = iova.checked_sub(self.iova)?;
        self.map.get_slice(usize::try_from(offset).ok()?, usize::try_from(bytes).ok()?).ok()
    }

    /// From now on somebody else may write to it, or has: only what is stored here is known.
    pub fn forget_content(&self) {
        self.content.forget();
    }

    /// Before `iova .. iova + bytes` is stored.
    pub fn note_stored(&self, iova: u64, bytes: u64) {
        self.content.note(iova - self.iova, bytes);
    }

    /// The first IOVA from `iova` on, at most `end`, that may hold something but zeros, as far as the one who stores
    /// knows without reading.
    pub fn next_stored(&self, iova: u64, end: u64) -> u64 {
        self.iova + self.content.next_stored(self.descriptor(), iova - self.iova, end - self.iova)
    }

    /// The same for one who only reads: the holes of the file, whoever writes.
    pub fn next_data(&self, iova: u64, end: u64) -> u64 {
        self.iova + self.content.next_data(self.descriptor(), iova - self.iova, end - self.iova)
    }

    fn is_sparse(&self) -> bool {
        self.content.is_sparse(self.descriptor(), self.area().bytes)
    }

    /// Touches every page for writing, so that no first touch (about 0.3 s a GiB) is left for the transfer.
    /// `go_on` is asked between pieces.
    ///
    /// # Errors
    /// `memory/populate`; that of `go_on`.
    pub fn populate(&self, go_on: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let size = self.map.size();
        for offset in (0..size).step_by(POPULATED_AT_ONCE) {
            go_on()?;
            let bytes = POPULATED_AT_ONCE.min(size - offset);
            // SAFETY: the piece lies in this mapping, which lives as long as `self`; populating changes no content.
            let done = unsafe { madvise(self.map.as_ptr().add(offset).cast(), bytes, Advice::LinuxPopulateWrite) };
            done.map_err(|errno| {
                HelperError::os(
                    "memory/populate",
                    "madvise(MADV_POPULATE_WRITE)",
                    &errno.into(),
                    format!("region {}: not enough free memory or huge pages behind it", self.name),
                )
            })?;
        }
        Ok(())
    }
}

fn create_memfd(name: &str, bytes: u64, huge_page_bytes: Option<u64>) -> Result<File> {
    let mut flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match huge_page_bytes {
        None => {}
        Some(0x20_0000) => flags |= MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB,
        Some(0x4000_0000) => flags |= MemfdFlags::HUGETLB | MemfdFlags::HUGE_1GB,
        Some(other) => {
            return Err(HelperError::new("memory/open", format!("region {name}: no huge pages of {other} bytes"))
                .suggest("use 2 MiB or 1 GiB"));
        }
    }
    let fail = |operation: &str, errno: rustix::io::Errno| {
        HelperError::os("memory/open", operation, &errno.into(), format!("region {name}: no memory of this kind"))
    };
    let fd = memfd_create(format!("ferry-{name}"), flags).map_err(|errno| fail("memfd_create", errno))?;
    ftruncate(&fd, bytes).map_err(|errno| fail("ftruncate", errno))?;
    // It may be handed to an unprivileged user, whose ftruncate would kill this process at its next read (SIGBUS), and
    // with it every device.
    fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
        .map_err(|errno| fail("fcntl(F_ADD_SEALS)", errno))?;
    Ok(File::from(fd))
}

fn open_file(name: &str, path: &str, bytes: u64) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|error| {
        HelperError::os("memory/open", format!("open {path}"), &error, format!("backing file of region {name}"))
    })?;
    let found =
        file.metadata().map_err(|error| HelperError::os("memory/open", format!("stat {path}"), &error, ""))?.len();
    // A device node (devdax) has length 0 and is judged by mmap itself.
    if found != 0 && found < bytes {
        return Err(HelperError::new(
            "memory/too-small",
            format!("{path} has {found} bytes, region {name} needs {bytes}"),
        ));
    }
    if found == 0 && file.read_at(&mut [0], 0).is_ok_and(|read| read == 0) {
        return Err(HelperError::new(
            "memory/too-small",
            format!("{path} is empty, region {name} needs {bytes} bytes"),
        ));
    }
    Ok(file)
}

/// All regions of the workload, sorted by IOVA.
pub struct Memory {
    page_size: u64,
    regions: Vec<Region>,
}

impl Memory {
    /// # Errors
    /// `memory/layout` when regions overlap, are not aligned to `page_size`, are empty, or reach 2^64; names all.
    pub fn new(page_size: u64, mut regions: Vec<Region>) -> Result<Self> {
        if !page_size.is_power_of_two() || page_size < 4096 {
            let message = format!("page size {page_size} is not a power of two of at least 4096");
            return Err(HelperError::new("memory/layout", message));
        }
        regions.sort_by_key(|region| region.iova);
        let mut wrong = Vec::new();
        for (index, region) in regions.iter().enumerate() {
            let area = region.area();
            if area.bytes == 0 || area.iova % page_size != 0 || area.bytes % page_size != 0 {
                wrong.push(format!("region {} is empty or not aligned to {page_size} bytes", region.name));
            }
            match area.iova.checked_add(area.bytes) {
                None => wrong.push(format!("region {} reaches the end of the address space", region.name)),
                Some(end) => {
                    if let Some(next) = regions.get(index + 1).filter(|next| next.iova < end) {
                        wrong.push(format!("regions {} and {} overlap", region.name, next.name));
                    }
                }
            }
        }
        if wrong.is_empty() {
            Ok(Self { page_size, regions })
        } else {
            Err(HelperError::new("memory/layout", wrong.join("; ")))
        }
    }

    pub fn page_size(&self) -> u64 {
        self.page_size
    }

    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    pub fn areas(&self) -> Vec<Area> {
        self.regions.iter().map(Region::area).collect()
    }

    pub fn bytes(&self) -> u64 {
        self.regions.iter().map(|region| region.area().bytes).sum()
    }

    /// Whether there are holes: pages that were never written, and that reading would give memory.
    pub fn is_sparse(&self) -> bool {
        self.regions.iter().any(Region::is_sparse)
    }

    /// See [`Region::forget_content`].
    pub fn forget_content(&self) {
        self.regions.iter().for_each(Region::forget_content);
    }

    pub fn region_at(&self, iova: u64) -> Option<&Region> {
        let after = self.regions.partition_point(|region| region.iova <= iova);
        let region = self.regions.get(after.checked_sub(1)?)?;
        (iova < region.area().end()).then_some(region)
    }

    /// No access found a page of any region gone. Cheap: for every frame.
    ///
    /// # Errors
    /// `memory/gone` naming the region.
    pub fn must_be_untouched(&self) -> Result<()> {
        self.regions.iter().try_for_each(Region::must_be_untouched)
    }

    /// All of it is still there: what was read from it was its content, and what was stored is in it. Asked before anything
    /// is decided by it.
    ///
    /// # Errors
    /// `memory/gone` naming the region; `memory/open`.
    pub fn must_be_whole(&self) -> Result<()> {
        self.regions.iter().try_for_each(Region::must_be_whole)
    }

    /// `iova .. iova + bytes`, which must lie in one region.
    pub fn slice(&self, iova: u64, bytes: u64) -> Option<VolatileSlice<'_>> {
        self.region_at(iova)?.slice(iova, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_something_is_told_without_reading() {
        let region = memfd("a", 0x10_0000, 1 << 40);
        let (from, end) = (0x10_0000, 0x10_0000 + (1 << 40));
        assert_eq!((region.next_stored(from, end), region.next_data(from, end)), (end, end));
        let far = from + (1 << 39);
        region.note_stored(far, 0x2000);
        assert_eq!(region.next_stored(from, end), far);
        assert_eq!(region.next_stored(far + 0x1800, end), far + 0x1800);
        assert_eq!(region.next_stored(far + 0x2000, end), end);
        // Somebody else writes: only holes are known to be zero.
        region.slice(from + 0x9_0000, 1).expect("inside").copy_from(&[1u8]);
        assert_eq!(region.next_stored(from, end), far);
        region.forget_content();
        for next in [Region::next_stored, Region::next_data] {
            assert_eq!((next(&region, from, end), next(&region, from + 0x9_1000, end)), (from + 0x9_0000, end));
        }
        assert!(region.is_sparse());
    }

    #[test]
    fn of_a_file_only_its_holes_are_known() {
        let path = std::env::temp_dir().join(format!("ferry-content-{}", std::process::id()));
        std::fs::write(&path, [7; 8192]).expect("write");
        let backing = Backing::File { path: path.display().to_string() };
        let region = Region::open("r", Area { iova: 0, bytes: 8192 }, &backing).expect("opens");
        assert_eq!((region.next_stored(0, 8192), region.next_stored(4096, 8192)), (0, 4096));
        std::fs::remove_file(&path).expect("clean up");
    }

    fn memfd(name: &str, iova: u64, bytes: u64) -> Region {
        Region::open(name, Area { iova, bytes }, &Backing::Memfd { huge_page_bytes: None }).expect("memfd")
    }

    #[test]
    fn finds_the_region_of_an_iova_and_nothing_in_holes() {
        let memory = Memory::new(4096, vec![memfd("b", 0x10_0000, 0x2000), memfd("a", 0, 0x1000)]).expect("layout");
        assert_eq!(memory.region_at(0xfff).map(Region::name), Some("a"));
        assert!(memory.region_at(0x1000).is_none());
        assert_eq!(memory.region_at(0x10_1fff).map(Region::name), Some("b"));
        assert!(memory.slice(0x10_1000, 0x1001).is_none());
        let slice = memory.slice(0x10_1000, 0x1000).expect("inside");
        slice.copy_from(&[7u8; 16]);
        memory.region_at(0x10_0000).expect("b").populate(&mut || Ok(())).expect("populate keeps content");
        let mut read = [0u8; 16];
        memory.slice(0x10_1000, 16).expect("inside").copy_to(&mut read);
        assert_eq!(read, [7; 16]);
    }

    #[test]
    fn populating_ends_where_it_is_told_to() {
        let region = memfd("a", 0, 3 * POPULATED_AT_ONCE as u64);
        let mut asked = 0;
        let told = region.populate(&mut || {
            asked += 1;
            if asked == 2 { Err(HelperError::new("test/enough", "")) } else { Ok(()) }
        });
        assert_eq!(told.err().map(|error| error.code), Some("test/enough"));
        let first = POPULATED_AT_ONCE as u64;
        assert_eq!((region.next_data(0, first), region.next_data(first, 3 * first)), (0, 3 * first));
    }

    #[test]
    fn a_memfd_cannot_be_shrunk_through_a_duplicate() {
        let region = memfd("a", 0, 0x2000);
        for bytes in [0, 0x1000, 0x4000] {
            let cut = ftruncate(region.descriptor().expect("memfd"), bytes);
            assert_eq!(cut, Err(rustix::io::Errno::PERM), "{bytes}");
        }
        region.slice(0x1fff, 1).expect("still there").copy_from(&[1u8]);
    }

    #[test]
    fn an_odd_page_size_is_refused_before_anything_is_divided_by_it() {
        for page_size in [0, 1, 2048, 4097, 12_288] {
            let error = Memory::new(page_size, vec![memfd("a", 0, 0x1000)]).err().expect("refused");
            assert_eq!(error.code, "memory/layout", "{page_size}");
        }
    }

    #[test]
    fn names_every_fault_of_a_layout() {
        let error =
            Memory::new(4096, vec![memfd("a", 0, 0x2000), memfd("b", 0x1000, 0x1000), memfd("c", 0x800_0001, 0x1000)])
                .err()
                .expect("refused");
        assert!(error.message.contains("a and b overlap") && error.message.contains("region c"), "{error}");
    }

    #[test]
    fn a_short_backing_file_is_refused_and_left_alone() {
        let path = std::env::temp_dir().join(format!("ferry-short-{}", std::process::id()));
        std::fs::write(&path, [0; 100]).expect("write");
        let backing = Backing::File { path: path.display().to_string() };
        let error = Region::open("r", Area { iova: 0, bytes: 8192 }, &backing).err().expect("refused");
        assert_eq!(error.code, "memory/too-small");
        assert_eq!(std::fs::metadata(&path).expect("still there").len(), 100);
        std::fs::remove_file(&path).expect("clean up");
    }

    #[test]
    fn a_file_cut_under_us_is_an_error_that_names_the_region() {
        let path = std::env::temp_dir().join(format!("ferry-cut-{}", std::process::id()));
        std::fs::write(&path, [7; 0x4000]).expect("write");
        let backing = Backing::File { path: path.display().to_string() };
        let whole = memfd("whole", 0, 0x1000);
        let cut = Region::open("cut", Area { iova: 0x1_0000, bytes: 0x4000 }, &backing).expect("open");
        let memory = Memory::new(4096, vec![whole, cut]).expect("layout");
        memory.must_be_whole().expect("whole");
        OpenOptions::new().write(true).open(&path).expect("open").set_len(0x1000).expect("truncate");
        memory.must_be_untouched().expect("nobody looked yet");
        let error = memory.must_be_whole().expect_err("shorter");
        assert!(error.code == "memory/gone" && error.message.contains("region cut"), "{error}");
        // Another thread, and back to the full length: what was read is still not what was there.
        let mut read = [9u8; 0x4000];
        std::thread::scope(|scope| {
            scope.spawn(|| memory.slice(0x1_0000, 0x4000).expect("inside").copy_to(&mut read));
        });
        assert!(read[..0x1000] == [7; 0x1000] && read[0x1000..] == [0; 0x3000]);
        memory.slice(0x1_3000, 4).expect("inside").copy_from(&[1u8; 4]);
        OpenOptions::new().write(true).open(&path).expect("open").set_len(0x4000).expect("grow");
        for checked in [memory.must_be_untouched(), memory.must_be_whole()] {
            let error = checked.expect_err("a page was gone");
            assert!(error.code == "memory/gone" && error.message.contains("region cut"), "{error}");
        }
        std::fs::remove_file(&path).expect("clean up");
    }
}
