//! An IOMMU group as sysfs shows it: its kind, its members, and whether VFIO can have it.

use std::fs;
use std::path::Path;

use crate::iommu::node::{DeviceNode, link_name};
use crate::message::{GroupFacts, IommuKind, MemberFacts};

/// The group of `node`; `None` without one.
pub fn facts(root: &Path, node: &DeviceNode) -> Option<GroupFacts> {
    let number = node.group?;
    let directory = root.join(format!("sys/kernel/iommu_groups/{number}"));
    // A noiommu group's node is called otherwise, and is of no use here.
    let node_name = if node.noiommu { format!("noiommu-{number}") } else { number.to_string() };
    let dev_node = Path::new("/dev/vfio").join(node_name);
    let iommu = kind(node);
    let members = members(&directory);
    let viable = match (&members, iommu) {
        (_, IommuKind::Emulated) => Some(true),
        (None, _) => None,
        (Some(members), _) => Some(members.iter().all(|member| !member.blocks_group)),
    };
    Some(GroupFacts {
        id: number.to_string(),
        node: root
            .join(dev_node.strip_prefix("/").unwrap_or(&dev_node))
            .exists()
            .then(|| dev_node.display().to_string()),
        domain: read_trimmed(&directory.join("type")),
        iommu,
        members: members.unwrap_or_default(),
        viable,
    })
}

/// The group's name is no guide: mdevs and noiommu devices both get `vfio-noiommu`.
fn kind(node: &DeviceNode) -> IommuKind {
    if node.noiommu {
        IommuKind::Noiommu
    } else if node.emulated {
        IommuKind::Emulated
    } else {
        IommuKind::Physical
    }
}

fn members(directory: &Path) -> Option<Vec<MemberFacts>> {
    let mut members: Vec<MemberFacts> = fs::read_dir(directory.join("devices"))
        .ok()?
        .flatten()
        .map(|entry| {
            let driver = link_name(&entry.path(), "driver");
            let mdev = link_name(&entry.path(), "subsystem").as_deref() == Some("mdev");
            let blocks_group = !mdev
                && !is_vfio_device(&entry.path())
                && driver.as_deref().is_some_and(|driver| !leaves_dma_to_vfio(driver));
            MemberFacts { id: entry.file_name().to_string_lossy().into_owned(), driver, blocks_group }
        })
        .collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    Some(members)
}

/// Drivers that do no DMA through the host's domain (`driver_managed_dma`): VFIO's own, pci-stub and the port driver.
/// The flag itself is not visible; VFIO's drivers are known by name, and where they are called otherwise by what they
/// registered ([`is_vfio_device`]). A member without driver is fine too.
pub fn leaves_dma_to_vfio(driver: &str) -> bool {
    is_vfio_driver(driver) || matches!(driver, "pci-stub" | "pcieport" | "shpchp")
}

pub fn is_vfio_driver(driver: &str) -> bool {
    driver.split(['-', '_']).any(|word| word == "vfio")
}

/// Whether the driver of the device in this directory registered it with VFIO: the core makes `vfio-dev/vfioN` then,
/// whatever the driver is called and whether or not there are character devices (since Linux 6.1).
pub fn is_vfio_device(device: &Path) -> bool {
    fs::read_dir(device.join("vfio-dev")).is_ok_and(|mut entries| entries.next().is_some())
}

pub fn read_trimmed(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vfio_drivers_are_known_by_name_and_host_drivers_block() {
        for driver in
            ["vfio-pci", "mlx5_vfio_pci", "hisi-acc-vfio-pci", "qat_vfio_pci", "virtio_vfio_pci", "igb-vfio-pci"]
        {
            assert!(is_vfio_driver(driver), "{driver}");
        }
        assert!(leaves_dma_to_vfio("pcieport") && leaves_dma_to_vfio("pci-stub"));
        for driver in ["mlx5_core", "e1000e", "nvme", "vfiox"] {
            assert!(!leaves_dma_to_vfio(driver), "{driver}");
        }
    }
}
