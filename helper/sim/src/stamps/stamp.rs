//! What one write leaves in memory. The lab's kernel modules write the same stamps as the simulator, so the layout is
//! fixed here byte by byte.
//!
//! A page is 4096 bytes, always, whatever the page size of the host or of the plan: 16 slots of 256 bytes. Slot `s`
//! (bytes `256 s .. 256 s + 256` of the page) belongs to the device with ordinal `s`, so several devices can write to
//! the same pages and still be checked exactly. All numbers are little-endian.
//!
//! | bytes    | content |
//! | -------- | ------- |
//! | 0..8     | magic, the ASCII bytes `FRYSTAMP` |
//! | 8..16    | seed of the device |
//! | 16..24   | page number: IOVA of the page divided by 4096 |
//! | 24..32   | sequence: the device's n-th write, from 1 |
//! | 32..40   | checksum: `mix(mix(mix(mix(magic) ^ seed) ^ page) ^ sequence)` with `mix` the splitmix64 finalizer |
//! | 40..256  | filler: word i (0..27) is `mix(checksum + (i + 1) * 0x9e3779b97f4a7c15)`, modulo 2^64 |

use super::mix::{GOLDEN, mix};

/// Page size of the stamps, in bytes.
pub const PAGE_BYTES: u64 = 4096;
/// Bytes of a page that belong to one device.
pub const SLOT_BYTES: usize = 256;
/// Devices that can share a page.
pub const SLOTS: u8 = 16;

const MAGIC: u64 = u64::from_le_bytes(*b"FRYSTAMP");
const FILLER_AT: usize = 40;

/// The identity of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub seed: u64,
    pub page: u64,
    pub sequence: u64,
}

impl Stamp {
    fn checksum(&self) -> u64 {
        mix(mix(mix(mix(MAGIC) ^ self.seed) ^ self.page) ^ self.sequence)
    }

    /// The slot's whole content after this write.
    pub fn encode(&self) -> [u8; SLOT_BYTES] {
        let checksum = self.checksum();
        let mut slot = [0; SLOT_BYTES];
        for (at, value) in [MAGIC, self.seed, self.page, self.sequence, checksum].into_iter().enumerate() {
            slot[at * 8..at * 8 + 8].copy_from_slice(&value.to_le_bytes());
        }
        let mut state = checksum;
        for word in slot[FILLER_AT..].chunks_exact_mut(8) {
            state = state.wrapping_add(GOLDEN);
            word.copy_from_slice(&mix(state).to_le_bytes());
        }
        slot
    }

    /// Who wrote this slot last; `None` when its head is no stamp. The filler is not looked at: compare with
    /// [`Stamp::encode`].
    pub fn decode(slot: &[u8]) -> Option<Self> {
        let word = |index: usize| -> Option<u64> {
            Some(u64::from_le_bytes(slot.get(index * 8..index * 8 + 8)?.try_into().ok()?))
        };
        let stamp = Self { seed: word(1)?, page: word(2)?, sequence: word(3)? };
        (word(0)? == MAGIC && word(4)? == stamp.checksum()).then_some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_is_the_documented_one() {
        let slot = Stamp { seed: 1, page: 2, sequence: 3 }.encode();
        assert_eq!(&slot[..8], b"FRYSTAMP");
        assert_eq!(&slot[8..32], [1u64, 2, 3].map(u64::to_le_bytes).as_flattened());
        // Computed with an independent implementation of the documented formula.
        assert_eq!(u64::from_le_bytes(slot[32..40].try_into().expect("8")), 0xd8e7_84b3_f210_4769);
        assert_eq!(u64::from_le_bytes(slot[248..].try_into().expect("8")), 0x6604_2422_c54b_dcd4);
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_seen(seed: u64, page: u64, sequence: u64, bit in 0usize..SLOT_BYTES * 8) {
            let stamp = Stamp { seed, page, sequence };
            let mut slot = stamp.encode();
            prop_assert_eq!(Stamp::decode(&slot), Some(stamp));
            slot[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(slot, stamp.encode());
            if bit < FILLER_AT * 8 {
                prop_assert_eq!(Stamp::decode(&slot), None);
            }
        }
    }
}
