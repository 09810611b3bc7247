//! What a process maps of the workload's memory, and what changed in it between two reads.

use std::io;
use std::path::Path;

use crate::area::Area;

/// One file behind the memory, as `/proc/PID/maps` names it, and the region that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backed {
    /// `maj:min inode`, the notation of maps: `st_dev` of fstat is another one on some file systems.
    pub file: String,
    pub area: Area,
}

/// Addresses of one process that are one piece of a region. Mappings that adjoin in both are one span, so that a
/// mprotect in the middle changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: u64,
    pub end: u64,
    pub iova: u64,
}

impl Span {
    pub const fn bytes(&self) -> u64 {
        self.end - self.start
    }

    pub const fn area(&self) -> Area {
        Area { iova: self.iova, bytes: self.bytes() }
    }

    pub const fn iova_of(&self, address: u64) -> u64 {
        self.iova + (address - self.start)
    }

    /// The same piece of memory at the same place: only then do the bits of one read speak of the other.
    const fn same_place(&self, other: &Self) -> bool {
        self.start.wrapping_sub(self.iova) == other.start.wrapping_sub(other.iova)
    }
}

/// One line of maps.
struct Line<'a> {
    start: u64,
    end: u64,
    shared: bool,
    offset: u64,
    file: &'a str,
}

impl<'a> Line<'a> {
    /// `start-end rwxs offset maj:min inode   path`
    fn parse(line: &'a str) -> Option<Self> {
        let (addresses, rest) = line.split_once(' ')?;
        let (start, end) = addresses.split_once('-')?;
        let (permissions, rest) = rest.split_once(' ')?;
        let (offset, rest) = rest.split_once(' ')?;
        let device = rest.find(' ')?;
        let inode = rest.get(device + 1..)?.find(' ').map_or(rest.len(), |at| device + 1 + at);
        let hex = |text| u64::from_str_radix(text, 16).ok();
        Some(Self {
            start: hex(start)?,
            end: hex(end)?,
            shared: permissions.ends_with('s'),
            offset: hex(offset)?,
            file: rest.get(..inode)?,
        })
    }
}

/// The spans in the text of a maps file. A private mapping is none: what is written there never reaches the memory.
pub fn spans_in(maps: &str, backed: &[Backed]) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    for line in maps.lines().filter_map(Line::parse).filter(|line| line.shared) {
        for region in backed.iter().filter(|region| region.file == line.file) {
            let bytes = (line.end - line.start).min(region.area.bytes.saturating_sub(line.offset));
            if bytes == 0 {
                continue;
            }
            let span = Span { start: line.start, end: line.start + bytes, iova: region.area.iova + line.offset };
            match found.iter_mut().find(|last| last.end == span.start && last.same_place(&span)) {
                Some(last) => last.end = span.end,
                None => found.push(span),
            }
        }
    }
    found
}

/// The file of this process's own mapping at `address`, as maps writes it.
///
/// # Errors
/// Those of reading `/proc/self/maps`; not found when nothing is mapped there.
pub fn file_at(maps: &Path, address: u64) -> io::Result<String> {
    let text = std::fs::read_to_string(maps)?;
    let line = text.lines().filter_map(Line::parse).find(|line| line.start <= address && address < line.end);
    line.map(|line| line.file.to_owned()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

/// The parts of `these` that are at no place of `those`.
pub fn parts_without(these: &[Span], those: &[Span]) -> Vec<Span> {
    let mut left = Vec::new();
    for span in these {
        let mut pieces = vec![*span];
        for other in those.iter().filter(|other| other.same_place(span)) {
            pieces = pieces.iter().flat_map(|piece| cut(*piece, other)).collect();
        }
        left.append(&mut pieces);
    }
    left
}

/// `piece` without what `other` covers.
fn cut(piece: Span, other: &Span) -> impl Iterator<Item = Span> {
    let before = Span { end: piece.end.min(other.start), ..piece };
    let start = piece.start.max(other.end);
    let behind = Span { start, iova: piece.iova.wrapping_add(start.wrapping_sub(piece.start)), end: piece.end };
    [before, behind].into_iter().filter(|left| left.start < left.end)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const PAGE: u64 = 4096;

    fn backed() -> Vec<Backed> {
        vec![
            Backed { file: "00:01 1033".into(), area: Area { iova: 0x10_0000, bytes: 8 * PAGE } },
            Backed { file: "00:1b 77".into(), area: Area { iova: 0x80_0000, bytes: 4 * PAGE } },
        ]
    }

    #[test]
    fn finds_what_is_mapped_shared_of_the_files_and_joins_what_adjoins() {
        let maps = "\
00400000-00401000 r-xp 00000000 fe:00 1033                               /usr/bin/qemu
7f0000000000-7f0000002000 rw-s 00001000 00:01 1033                       /memfd:ferry-ram (deleted)
7f0000002000-7f0000003000 r--s 00003000 00:01 1033                       /memfd:ferry-ram (deleted)
7f0000003000-7f0000004000 rw-p 00004000 00:01 1033                       /memfd:ferry-ram (deleted)
7f0000100000-7f0000110000 rw-s 00002000 00:1b 77                         /dev/shm/a file
7f0000200000-7f0000201000 rw-s 00000000 00:1b 78
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";
        let ram = Span { start: 0x7f00_0000_0000, end: 0x7f00_0000_3000, iova: 0x10_1000 };
        // The file is longer in the process than the region: what lies behind is nobody's.
        let file = Span { start: 0x7f00_0010_0000, end: 0x7f00_0010_2000, iova: 0x80_2000 };
        assert_eq!(spans_in(maps, &backed()), [ram, file]);
        assert_eq!(spans_in("garbage\n1-2\n-", &backed()), []);
    }

    #[test]
    fn a_mapping_of_this_process_is_found_by_its_address() {
        let local = 0u8;
        assert!(file_at(Path::new("/proc/self/maps"), std::ptr::from_ref(&local) as u64).is_ok());
        assert!(file_at(Path::new("/proc/self/maps"), 0).is_err());
    }

    /// (address page, iova page) of every page of the spans.
    fn pages(spans: &[Span]) -> BTreeSet<(u64, u64)> {
        spans
            .iter()
            .flat_map(|span| (0..span.bytes() / PAGE).map(|page| (span.start / PAGE + page, span.iova / PAGE + page)))
            .collect()
    }

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        // Few places, so that spans of two reads often meet.
        prop::collection::vec((0u64..12, 1u64..8, 0u64..3), 0..5).prop_map(|drawn| {
            let span = |(at, length, shift)| Span {
                start: (100 + at) * PAGE,
                end: (100 + at + length) * PAGE,
                iova: (at + shift) * PAGE,
            };
            drawn.into_iter().map(span).collect()
        })
    }

    proptest! {
        #[test]
        fn what_came_and_what_went_is_exactly_the_difference(before in spans(), now in spans()) {
            let difference = |these: &[Span], those: &[Span]| -> BTreeSet<_> {
                pages(these).difference(&pages(those)).copied().collect()
            };
            prop_assert_eq!(pages(&parts_without(&before, &now)), difference(&before, &now));
            prop_assert_eq!(pages(&parts_without(&now, &before)), difference(&now, &before));
        }
    }
}
