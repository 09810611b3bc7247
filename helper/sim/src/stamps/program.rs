//! What a device has been told to write: the n-th write is a pure function of the program and n, so that a checker
//! can replay it.

use std::ops::RangeInclusive;

use super::mix::{below, word};
use super::stamp::{PAGE_BYTES, SLOT_BYTES, SLOTS, Stamp};
use crate::area::Area;
use crate::error::{HelperError, Result};
pub use crate::message::Pattern;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    pub seed: u64,
    /// Ordinal of the device among those of its workload: which 256 bytes of each page are its own.
    pub slot: u8,
    pub window: Area,
    pub pattern: Pattern,
    /// In bytes of pages dirtied: each write counts as 4096.
    pub bytes_per_second: u64,
}

impl Program {
    /// # Errors
    /// `check/program`: no device could follow it, so nothing can replay it.
    pub fn validate(&self) -> Result<()> {
        let Area { iova, bytes } = self.window;
        let wrong = if self.slot >= SLOTS {
            format!("slot {} of a page that has {SLOTS}", self.slot)
        } else if bytes == 0 || iova % PAGE_BYTES != 0 || bytes % PAGE_BYTES != 0 {
            format!("a window of {bytes} bytes at {iova:#x}, which is not one or more pages of {PAGE_BYTES}")
        } else if iova.checked_add(bytes).is_none() {
            format!("a window of {bytes} bytes at {iova:#x}, which reaches the end of the address space")
        } else {
            return Ok(());
        };
        Err(HelperError::new("check/program", wrong))
    }

    pub fn pages(&self) -> u64 {
        self.window.bytes / PAGE_BYTES
    }

    /// Index within the window of the page that write `sequence` (from 1) goes to.
    #[inline]
    pub fn page_index(&self, sequence: u64) -> u64 {
        let pages = self.pages();
        let random = word(self.seed, sequence.wrapping_mul(2));
        match self.pattern {
            Pattern::Sequential => sequence.wrapping_sub(1) % pages,
            Pattern::Uniform => below(random, pages),
            Pattern::Hot => {
                let within = if below(word(self.seed, sequence.wrapping_mul(2) + 1), 10) < 9 {
                    pages.div_ceil(10)
                } else {
                    pages
                };
                below(random, within)
            }
        }
    }

    /// Where write `sequence` begins and what it leaves there.
    #[inline]
    pub fn write(&self, sequence: u64) -> (u64, [u8; SLOT_BYTES]) {
        let page = self.window.iova + self.page_index(sequence) * PAGE_BYTES;
        let stamp = Stamp { seed: self.seed, page: page / PAGE_BYTES, sequence };
        (page + self.slot_offset(), stamp.encode())
    }

    /// Pages that the writes of `sequences` went to, each counted once. A tracker that is exact reports as many.
    pub fn distinct_pages(&self, sequences: RangeInclusive<u64>) -> u64 {
        let mut seen = vec![0u64; self.pages().div_ceil(64) as usize];
        for sequence in sequences {
            let page = self.page_index(sequence);
            if let Some(word) = seen.get_mut((page / 64) as usize) {
                *word |= 1 << (page % 64);
            }
        }
        seen.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Offset of this device's bytes within each page.
    pub fn slot_offset(&self) -> u64 {
        u64::from(self.slot) * SLOT_BYTES as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(pattern: Pattern) -> Program {
        let window = Area { iova: 0x10_0000, bytes: 1000 * PAGE_BYTES };
        Program { seed: 5, slot: 3, window, pattern, bytes_per_second: 0 }
    }

    fn counts(pattern: Pattern) -> Vec<u32> {
        let program = program(pattern);
        let mut counts = vec![0; 1000];
        for sequence in 1..=100_000 {
            counts[program.page_index(sequence) as usize] += 1;
        }
        counts
    }

    #[test]
    fn patterns_are_what_they_are_called() {
        assert!(counts(Pattern::Uniform).iter().all(|count| (40..200).contains(count)));
        let hot = counts(Pattern::Hot);
        let first: u32 = hot[..100].iter().sum();
        assert!((90_000..92_500).contains(&first), "{first}");
        assert!(hot[100..].iter().all(|count| *count < 60));
        assert!(counts(Pattern::Sequential).iter().all(|count| *count == 100));
        assert_eq!(program(Pattern::Sequential).page_index(1), 0);
    }

    #[test]
    fn a_write_lands_in_its_own_slot() {
        let (iova, slot) = program(Pattern::Sequential).write(2);
        assert_eq!(iova, 0x10_1000 + 3 * 256);
        assert_eq!(Stamp::decode(&slot), Some(Stamp { seed: 5, page: 0x101, sequence: 2 }));
    }
}
