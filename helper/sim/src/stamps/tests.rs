//! The checker against writers that are plain loops: what was written whole passes, and each way to lose a write is
//! named.

use proptest::prelude::*;

use super::testing::memory;
use super::{Fill, Lost, Mismatch, PAGE_BYTES, Pattern, Program, SLOT_BYTES, Stamp, Writer, check, fill};
use crate::area::Area;
use crate::memory::Memory;

/// Two regions with a hole between them, where the windows of most writers below reach into.
const REGIONS: [(u64, u64); 2] = [(0x10_0000, 40), (0x10_0000 + 60 * PAGE_BYTES, 30)];
const SPAN: u64 = 90;
const FILL: Fill = Fill { seed: 4, zero_percent: 40 };

fn filled() -> std::sync::Arc<Memory> {
    let memory = memory(&REGIONS);
    memory.regions().iter().for_each(|region| fill(region, FILL.seed, FILL.zero_percent));
    memory
}

/// Does write `sequence` of `writer`, where there is memory.
fn write(memory: &Memory, writer: &Writer, sequence: u64) {
    let (iova, slot) = writer.program.write(sequence);
    if let Some(slice) = memory.slice(iova, SLOT_BYTES as u64) {
        slice.copy_from(&slot);
    }
}

fn write_all(memory: &Memory, writers: &[Writer]) {
    writers.iter().for_each(|writer| (1..=writer.position).for_each(|sequence| write(memory, writer, sequence)));
}

fn put(memory: &Memory, iova: u64, bytes: &[u8]) {
    memory.slice(iova, bytes.len() as u64).expect("inside").copy_from(bytes);
}

fn writer(slot: u8, first: u64, pages: u64, pattern: Pattern, position: u64) -> Writer {
    let window = Area { iova: REGIONS[0].0 + first * PAGE_BYTES, bytes: pages * PAGE_BYTES };
    let program = Program { seed: 100 + u64::from(slot), slot, window, pattern, bytes_per_second: 0 };
    Writer { name: format!("d{slot}"), program, position }
}

fn lost(iova: u64, device: &str, expected: u64, found: u64, mismatch: Mismatch) -> Lost {
    Lost { iova, device: device.to_owned(), expected, found, mismatch }
}

fn writers() -> impl Strategy<Value = Vec<Writer>> {
    let pattern = prop::sample::select(vec![Pattern::Uniform, Pattern::Hot, Pattern::Sequential]);
    let one = (0..SPAN, 1..=SPAN, pattern, 0u64..400);
    prop::collection::vec(one, 1..6).prop_map(|programs| {
        let each = programs.into_iter().enumerate();
        each.map(|(slot, (first, pages, pattern, position))| writer(slot as u8, first, pages, pattern, position))
            .collect()
    })
}

/// The last write of `writer` to the page at `iova`, and the one before it (0: none).
fn last_two(writer: &Writer, iova: u64) -> (u64, u64) {
    let to_page = |sequence: &u64| writer.program.write(*sequence).0 & !(PAGE_BYTES - 1) == iova;
    let mut there = (1..=writer.position).rev().filter(to_page);
    (there.next().unwrap_or(0), there.next().unwrap_or(0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn overlapping_writers_around_a_hole_pass(writers in writers(), known: bool) {
        let memory = filled();
        write_all(&memory, &writers);
        let report = check(&writers, &memory, &|_| known.then_some(FILL)).expect("check");
        prop_assert_eq!((report.lost_pages, report.lost), (0, vec![]));
        prop_assert_eq!(report.writes, writers.iter().map(|writer| writer.position).sum::<u64>());
        let written = memory.areas().iter().flat_map(|area| (area.iova..area.end()).step_by(PAGE_BYTES as usize))
            .filter(|iova| known || writers.iter().any(|writer| last_two(writer, *iova).0 != 0))
            .count();
        prop_assert_eq!(report.pages, written as u64);
    }

    #[test]
    fn a_lost_write_is_named_wherever_it_was(writers in writers(), pick: prop::sample::Index, known: bool) {
        let memory = filled();
        // Every page of every writer whose last write could have been lost.
        let mut written = Vec::new();
        for writer in &writers {
            for sequence in 1..=writer.position {
                let iova = writer.program.write(sequence).0;
                let page = iova & !(PAGE_BYTES - 1);
                if memory.slice(page, PAGE_BYTES).is_some() && last_two(writer, page).0 == sequence {
                    written.push((writer.clone(), page));
                }
            }
        }
        prop_assume!(!written.is_empty());
        let (loser, page) = &written[pick.index(written.len())];
        let (last, before) = last_two(loser, *page);
        for writer in &writers {
            for sequence in 1..=writer.position {
                if writer.name != loser.name || sequence != last {
                    write(&memory, writer, sequence);
                }
            }
        }
        let report = check(&writers, &memory, &|_| known.then_some(FILL)).expect("check");
        prop_assert_eq!(report.lost_pages, 1);
        prop_assert_eq!(report.lost, vec![lost(*page, &loser.name, last, before, Mismatch::Stale)]);
    }

    #[test]
    fn any_other_byte_is_seen(writers in writers(), offset in 0..70 * PAGE_BYTES, bit in 0u32..8) {
        let memory = filled();
        write_all(&memory, &writers);
        let hole = if offset < 40 * PAGE_BYTES { 0 } else { 20 * PAGE_BYTES };
        let iova = REGIONS[0].0 + offset + hole;
        let mut byte = [0];
        memory.slice(iova, 1).expect("inside").copy_to(&mut byte);
        put(&memory, iova, &[byte[0] ^ (1 << bit)]);
        let report = check(&writers, &memory, &|_| Some(FILL)).expect("check");
        prop_assert_eq!(report.lost_pages, 1);
        prop_assert_eq!(report.lost[0].iova, iova & !(PAGE_BYTES - 1));
    }

    #[test]
    fn distinct_pages_are_the_pages_touched(writers in writers(), from in 1u64..400) {
        for writer in writers {
            let range = from..=writer.position;
            let pages: std::collections::BTreeSet<u64> =
                range.clone().map(|sequence| writer.program.page_index(sequence)).collect();
            prop_assert_eq!(writer.program.distinct_pages(range), pages.len() as u64);
        }
    }
}

#[test]
fn each_mismatch_has_its_name() {
    let memory = filled();
    let writers = [writer(0, 0, 10, Pattern::Sequential, 25), writer(1, 0, 5, Pattern::Sequential, 5)];
    write_all(&memory, &writers);
    let page = |index: u64| REGIONS[0].0 + index * PAGE_BYTES;
    let number = |index: u64| page(index) / PAGE_BYTES;
    let seed = writers[0].program.seed;
    // 21..=25 are the last writes to pages 0..=4, 16..=20 those to 5..=9.
    put(&memory, page(0), &Stamp { seed, page: number(0), sequence: 11 }.encode());
    put(&memory, page(1), &Stamp { seed, page: number(1), sequence: 32 }.encode());
    put(&memory, page(2) + 100, &[0; 8]);
    put(&memory, page(3), &Stamp { seed, page: number(4), sequence: 24 }.encode());
    put(&memory, page(5), &Stamp { seed: 9, page: number(5), sequence: 3 }.encode());
    put(&memory, page(6), &[0; SLOT_BYTES]);
    // The second writer has never been here, and yet there is a stamp of it.
    put(&memory, page(7) + 256, &Stamp { seed: writers[1].program.seed, page: number(7), sequence: 8 }.encode());
    let report = check(&writers, &memory, &|_| Some(FILL)).expect("check");
    assert_eq!(report.lost_pages, 7);
    assert_eq!(
        report.lost,
        [
            lost(page(0), "d0", 21, 11, Mismatch::Stale),
            lost(page(1), "d0", 22, 32, Mismatch::Newer),
            lost(page(2), "d0", 23, 23, Mismatch::Torn),
            lost(page(3), "d0", 24, 0, Mismatch::Misplaced),
            lost(page(5), "d0", 16, 3, Mismatch::Foreign),
            lost(page(6), "d0", 17, 0, Mismatch::Stale),
            lost(page(7), "d1", 0, 8, Mismatch::Newer),
        ]
    );
}

#[test]
fn the_end_of_the_address_space_is_memory_like_any_other() {
    // The last page of all cannot be said.
    let memory = memory(&[(0, 4), (u64::MAX - 700 * PAGE_BYTES + 1, 699)]);
    memory.regions().iter().for_each(|region| fill(region, FILL.seed, FILL.zero_percent));
    let mut writer = writer(3, 0, 699, Pattern::Uniform, 3000);
    writer.program.window.iova = memory.areas()[1].iova;
    let writers = [writer];
    write_all(&memory, &writers);
    let report = check(&writers, &memory, &|_| Some(FILL)).expect("check");
    assert_eq!((report.pages, report.lost), (703, vec![]));
    let last = memory.areas()[1].end() - PAGE_BYTES;
    put(&memory, last, &[1; 16]);
    assert_eq!(check(&writers, &memory, &|_| Some(FILL)).expect("check").lost[0].iova, last);
}

#[test]
fn initial_content_is_looked_at_only_where_it_is_known() {
    let memory = filled();
    for (iova, _) in REGIONS {
        put(&memory, iova + 3 * PAGE_BYTES, b"from somewhere else");
    }
    let report = check(&[], &memory, &|name| (name == "r1").then_some(FILL)).expect("check");
    assert_eq!((report.pages, report.lost_pages), (30, 1));
    assert_eq!(report.lost, [lost(REGIONS[1].0 + 3 * PAGE_BYTES, "initial content", 0, 0, Mismatch::Stale)]);
}

#[test]
fn at_most_eight_pages_are_named_and_all_counted() {
    let memory = filled();
    let report = check(&[writer(2, 0, 40, Pattern::Sequential, 40)], &memory, &|_| None).expect("check");
    assert_eq!((report.pages, report.lost_pages, report.lost.len()), (40, 40, 8));
}

#[test]
fn a_program_nobody_could_follow_is_refused() {
    let good = writer(0, 0, 10, Pattern::Uniform, 5);
    let refused = |change: &dyn Fn(&mut Writer)| {
        let mut bad = writer(1, 0, 10, Pattern::Uniform, 5);
        change(&mut bad);
        let error = check(&[good.clone(), bad], &filled(), &|_| None).expect_err("refused");
        assert_eq!(error.device.as_deref(), Some("d1"));
        error.code
    };
    assert_eq!(refused(&|bad| bad.program.slot = 0), "check/slot");
    assert_eq!(refused(&|bad| bad.program.slot = 16), "check/program");
    assert_eq!(refused(&|bad| bad.program.window.bytes = 0), "check/program");
    assert_eq!(refused(&|bad| bad.program.window.bytes += 1), "check/program");
    assert_eq!(refused(&|bad| bad.program.window.iova += 256), "check/program");
    assert_eq!(refused(&|bad| bad.program.window.iova = u64::MAX - 4095), "check/program");
}
