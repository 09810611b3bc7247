//! The one source of pseudo-random words of stamps, programs and simulated state: splitmix64. Chosen because it is a pure function of an
//! index (any byte of a filler can be produced without those before it), fast without vector units, and a few lines
//! in any language, kernel C included.

/// The increment of splitmix64: 2^64 divided by the golden ratio.
pub(crate) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of splitmix64: a bijection whose output bits all depend on all input bits.
#[inline]
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Word `index` of the filler called `seed`.
#[inline]
pub(crate) fn word(seed: u64, index: u64) -> u64 {
    mix(seed.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN)))
}

/// Bytes `offset ..` of the filler called `seed`: its words in little-endian order, end to end.
pub(crate) fn fill(seed: u64, offset: u64, out: &mut [u8]) {
    let skip = (offset % 8) as usize;
    let mut index = offset / 8;
    let mut rest = out;
    if skip != 0 {
        let take = (8 - skip).min(rest.len());
        let (head, tail) = rest.split_at_mut(take);
        head.copy_from_slice(&word(seed, index).to_le_bytes()[skip..skip + take]);
        index += 1;
        rest = tail;
    }
    let mut chunks = rest.chunks_exact_mut(8);
    for chunk in &mut chunks {
        chunk.copy_from_slice(&word(seed, index).to_le_bytes());
        index += 1;
    }
    let tail = chunks.into_remainder();
    let length = tail.len();
    tail.copy_from_slice(&word(seed, index).to_le_bytes()[..length]);
}

/// A number below `limit`, evenly, from 64 random bits.
#[inline]
pub(crate) fn below(random: u64, limit: u64) -> u64 {
    ((u128::from(random) * u128::from(limit)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn agrees_with_the_published_splitmix64() {
        // First outputs for seed 0 of the reference implementation (prng.di.unimi.it/splitmix64.c).
        assert_eq!(word(0, 0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(word(0, 1), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(word(0, 2), 0x06c4_5d18_8009_454f);
    }

    proptest! {
        #[test]
        fn any_piece_of_a_filler_is_the_same_bytes(seed in any::<u64>(), offset in 0usize..70, length in 0usize..70) {
            let mut whole = [0; 160];
            fill(seed, 0, &mut whole);
            let mut piece = vec![0; length];
            fill(seed, offset as u64, &mut piece);
            prop_assert_eq!(&piece[..], &whole[offset..offset + length]);
        }
    }
}
