//! What a kernel can answer, as bodies for `helper/fuzz` and for tests.

use crate::iommu::type1::ContainerInfo;

/// Ranges are whole, and a chain of capabilities ends, whatever is in it.
pub fn container_info(bytes: &[u8]) {
    let info = ContainerInfo::parse(bytes);
    let ranges = info.iova_ranges.unwrap_or_default();
    assert!(ranges.len() * 16 <= bytes.len(), "{} ranges in {} bytes", ranges.len(), bytes.len());
}

#[cfg(test)]
mod tests {
    use ferry_testing::mutate;

    #[test]
    fn bad_bytes_of_a_kernel() {
        mutate("container-info", 50_000, super::container_info);
    }
}
