//! The workload's memory as other processes map it: the files behind its regions, and which pages of them a read names.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use super::spans::{Backed, Span, file_at};
use super::written::{Seen, data_in};
use crate::area::Area;
use crate::dirty::DirtyBitmap;
use crate::error::{HelperError, Result};
use crate::memory::Memory;

const HUGETLBFS_MAGIC: i64 = 0x9584_58f6;

struct Behind {
    backed: Backed,
    /// A description of its own, whose position may be moved; `None` where there can be none.
    file: Option<File>,
    huge: bool,
}

/// Sorted by IOVA, as the memory is.
pub struct Regions(Vec<Behind>);

impl Regions {
    /// # Errors
    /// `tracker/start-failed` when the memory's own mappings cannot be found.
    pub fn of(memory: &Memory) -> Result<Self> {
        let behind = memory.regions().iter().map(|region| {
            let file = file_at(Path::new("/proc/self/maps"), region.host_address()).map_err(|error| {
                let operation = format!("look for region {} in /proc/self/maps", region.name());
                HelperError::os("tracker/start-failed", operation, &error, "")
            })?;
            let fd = region.descriptor();
            let huge = fd.is_some_and(|fd| rustix::fs::fstatfs(fd).is_ok_and(|found| found.f_type == HUGETLBFS_MAGIC));
            let own = fd.and_then(|fd| File::open(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok());
            Ok(Behind { backed: Backed { file, area: region.area() }, file: own, huge })
        });
        behind.collect::<Result<_>>().map(Self)
    }

    pub fn backed(&self) -> Vec<Backed> {
        self.0.iter().map(|behind| behind.backed.clone()).collect()
    }

    pub fn areas(&self) -> Vec<Area> {
        self.0.iter().map(|behind| behind.backed.area).collect()
    }

    fn at(&self, span: &Span) -> Option<&Behind> {
        self.0.iter().find(|behind| behind.backed.area.iova <= span.iova && span.iova < behind.backed.area.end())
    }

    pub fn is_huge(&self, span: &Span) -> bool {
        self.at(span).is_some_and(|behind| behind.huge)
    }

    /// What a read of the span says: the written pages, and of those absent all that the file holds.
    pub fn mark(&self, seen: &mut DirtyBitmap, span: &Span, found: &Seen) {
        for run in &found.written {
            mark_run(seen, span, run.start, run.end);
        }
        let file = self.at(span).and_then(|behind| Some((behind.backed.area.iova, behind.file.as_ref()?)));
        for run in &found.absent {
            let Some((base, file)) = file else {
                mark_run(seen, span, run.start, run.end);
                continue;
            };
            let offset = span.iova_of(run.start) - base;
            for data in data_in(file.as_fd(), offset, run.end - run.start) {
                mark_run(seen, span, run.start + (data.start - offset), run.start + (data.end - offset));
            }
        }
    }
}

/// All of it, whatever its bits say.
pub fn mark_all(seen: &mut DirtyBitmap, spans: &[Span]) {
    for span in spans {
        let area = span.area();
        seen.set_range(area.iova, area.bytes);
    }
}

fn mark_run(seen: &mut DirtyBitmap, span: &Span, start: u64, end: u64) {
    let (start, end) = (start.max(span.start), end.min(span.end));
    if start < end {
        seen.set_range(span.iova_of(start), end - start);
    }
}
