//! Layout of a simulated device's state stream; its length is exactly the spec's `stateBytes`.
//!
//! ```text
//! 0 .. 128               header: what the device is and its program
//! 128 .. total - 128     filler: any byte is a function of the header's filler seed and its offset
//! total - 128 .. total   final block: what is known only once the device has stopped, and a checksum over it all
//! ```
//!
//! All numbers are little-endian. Header: magic 0, version 8 (u32), model 12 (u32), total 16, precopy bytes 24,
//! seed 32, window IOVA 40, window bytes 48, rate 56, pattern 64 (u32), slot 68 (u32), filler seed 72, programmed 80
//! (u32), zeros, xxh3-64 of bytes 0..120 at 120. Final block: magic 0, position 8, 16 registers of u32 16..80, zeros,
//! xxh3-64 of all bytes before it in the stream at 120.

use xxhash_rust::xxh3::xxh3_64;

use crate::area::Area;
use crate::message::SimModel;
use crate::stamps::{PAGE_BYTES, Pattern, Program, SLOTS};

pub(super) const HEADER_BYTES: u64 = 128;
/// Length of the final block.
pub const FINAL_BYTES: u64 = 128;
/// Shortest state a simulated device can have.
pub const MIN_STATE_BYTES: u64 = HEADER_BYTES + FINAL_BYTES;
/// Offset of the checksum within either block.
pub(super) const SUM_AT: usize = 120;

const HEADER_MAGIC: u64 = u64::from_le_bytes(*b"FRYSTATE");
const FINAL_MAGIC: u64 = u64::from_le_bytes(*b"FRYFINAL");
const VERSION: u32 = 1;

/// Registers of a device, for what a guest would set: part of its state.
pub type Registers = [u32; 16];
pub(super) type Block = [u8; 128];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub model: SimModel,
    pub total: u64,
    pub precopy: u64,
    pub filler_seed: u64,
    /// `None`: the engine is off.
    pub program: Option<Program>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FinalBlock {
    pub position: u64,
    pub registers: Registers,
}

impl Header {
    pub(super) fn encode(&self) -> Block {
        let mut block = [0; 128];
        put64(&mut block, 0, HEADER_MAGIC);
        put32(&mut block, 8, VERSION);
        put32(&mut block, 12, model_number(self.model));
        put64(&mut block, 16, self.total);
        put64(&mut block, 24, self.precopy);
        put64(&mut block, 72, self.filler_seed);
        if let Some(program) = self.program {
            put64(&mut block, 32, program.seed);
            put64(&mut block, 40, program.window.iova);
            put64(&mut block, 48, program.window.bytes);
            put64(&mut block, 56, program.bytes_per_second);
            put32(&mut block, 64, pattern_number(program.pattern));
            put32(&mut block, 68, u32::from(program.slot));
            put32(&mut block, 80, 1);
        }
        let sum = xxh3_64(&block[..SUM_AT]);
        put64(&mut block, SUM_AT, sum);
        block
    }

    /// `None` unless the header is whole, of this version, and describes a program a device can run.
    pub(super) fn decode(block: &Block) -> Option<Self> {
        if get64(block, 0) != HEADER_MAGIC || get32(block, 8) != VERSION {
            return None;
        }
        if get64(block, SUM_AT) != xxh3_64(&block[..SUM_AT]) {
            return None;
        }
        let program = match get32(block, 80) {
            0 => None,
            1 => Some(decode_program(block)?),
            _ => return None,
        };
        Some(Self {
            model: [SimModel::Mdev, SimModel::Function]
                .into_iter()
                .find(|model| model_number(*model) == get32(block, 12))?,
            total: get64(block, 16),
            precopy: get64(block, 24),
            filler_seed: get64(block, 72),
            program,
        })
    }
}

fn decode_program(block: &Block) -> Option<Program> {
    let window = Area { iova: get64(block, 40), bytes: get64(block, 48) };
    let pattern = get32(block, 64);
    let program = Program {
        seed: get64(block, 32),
        slot: u8::try_from(get32(block, 68)).ok().filter(|slot| *slot < SLOTS)?,
        window,
        pattern: [Pattern::Uniform, Pattern::Hot, Pattern::Sequential]
            .into_iter()
            .find(|known| pattern_number(*known) == pattern)?,
        bytes_per_second: get64(block, 56),
    };
    let aligned = window.iova % PAGE_BYTES == 0 && window.bytes % PAGE_BYTES == 0 && window.bytes > 0;
    window.iova.checked_add(window.bytes)?;
    aligned.then_some(program)
}

impl FinalBlock {
    /// Without the checksum, which the stream adds when everything before it has been read.
    pub(super) fn encode(&self) -> Block {
        let mut block = [0; 128];
        put64(&mut block, 0, FINAL_MAGIC);
        put64(&mut block, 8, self.position);
        for (index, register) in self.registers.iter().enumerate() {
            put32(&mut block, 16 + index * 4, *register);
        }
        block
    }

    pub(super) fn decode(block: &Block) -> Option<Self> {
        let mut registers = [0; 16];
        for (index, register) in registers.iter_mut().enumerate() {
            *register = get32(block, 16 + index * 4);
        }
        (get64(block, 0) == FINAL_MAGIC).then_some(Self { position: get64(block, 8), registers })
    }
}

fn model_number(model: SimModel) -> u32 {
    match model {
        SimModel::Mdev => 1,
        SimModel::Function => 2,
    }
}

fn pattern_number(pattern: Pattern) -> u32 {
    match pattern {
        Pattern::Uniform => 1,
        Pattern::Hot => 2,
        Pattern::Sequential => 3,
    }
}

pub(super) fn put64(block: &mut Block, at: usize, value: u64) {
    block[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn put32(block: &mut Block, at: usize, value: u32) {
    block[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn get64(block: &Block, at: usize) -> u64 {
    u64::from(get32(block, at)) | u64::from(get32(block, at + 4)) << 32
}

fn get32(block: &Block, at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn headers_and_final_blocks_come_back_and_damage_is_seen(
            numbers: [u64; 6],
            slot in 0u8..16,
            window in (0u64..1 << 40, 1u64..1 << 20),
            choice in 0usize..3,
            programmed: bool,
            registers: [u32; 16],
            flip in 0usize..1024,
        ) {
            let program = Program {
                seed: numbers[0],
                slot,
                window: Area { iova: window.0 * 4096, bytes: window.1 * 4096 },
                pattern: [Pattern::Uniform, Pattern::Hot, Pattern::Sequential][choice],
                bytes_per_second: numbers[1],
            };
            let header = Header {
                model: if choice == 0 { SimModel::Mdev } else { SimModel::Function },
                total: numbers[2],
                precopy: numbers[3],
                filler_seed: numbers[4],
                program: programmed.then_some(program),
            };
            let mut block = header.encode();
            prop_assert_eq!(Header::decode(&block), Some(header));
            block[flip / 8] ^= 1 << (flip % 8);
            prop_assert_eq!(Header::decode(&block), None);
            let last = FinalBlock { position: numbers[5], registers };
            prop_assert_eq!(FinalBlock::decode(&last.encode()), Some(last));
        }
    }
}
