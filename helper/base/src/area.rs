//! A piece of the workload's memory, as devices address it.

/// One mapped area of the workload, in bytes; both a multiple of the bitmap's page size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    pub iova: u64,
    pub bytes: u64,
}

impl Area {
    /// First byte behind the area. Areas never end at 2^64 (the kernel's dirty queries cannot express that).
    pub fn end(&self) -> u64 {
        self.iova + self.bytes
    }
}
