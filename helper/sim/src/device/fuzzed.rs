//! A simulated device's state, as a body for `helper/fuzz` and for tests.

use xxhash_rust::xxh3::xxh3_64;

use super::wire::{Block, FinalBlock, Header, SUM_AT, put64};

/// What decodes is encoded and decoded the same; also where whoever made it knows how to make the checksum.
pub fn state(bytes: &[u8]) {
    let mut block: Block = [0; 128];
    for (into, byte) in block.iter_mut().zip(bytes) {
        *into = *byte;
    }
    for summed in [false, true] {
        if summed {
            let sum = xxh3_64(&block[..SUM_AT]);
            put64(&mut block, SUM_AT, sum);
        }
        if let Some(header) = Header::decode(&block) {
            assert_eq!(Header::decode(&header.encode()), Some(header));
        }
        if let Some(last) = FinalBlock::decode(&block) {
            assert_eq!(FinalBlock::decode(&last.encode()), Some(last));
        }
    }
}

#[cfg(test)]
mod tests {
    use ferry_testing::mutate;

    #[test]
    fn bad_bytes_of_a_state_stream() {
        mutate("state", 50_000, super::state);
    }
}
