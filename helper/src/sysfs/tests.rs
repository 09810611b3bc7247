use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::dirty::TrackerKind;
use ferry_testing::Tree;

const UUID: &str = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

fn look(tree: &Tree, all: bool) -> InventoryReply {
    inventory(&InventoryParams { all, ..InventoryParams::default() }, tree.path()).expect("inventory")
}

fn tracker(device: &DeviceFacts, kind: TrackerKind) -> (Option<bool>, String) {
    let found = device.trackers.iter().find(|tracker| tracker.kind == kind).expect("every kind is judged");
    (found.available, found.reason.clone().unwrap_or_default())
}

#[test]
fn an_mdev_is_emulated_alone_and_viable_although_its_group_is_called_noiommu() {
    let tree = Tree::default();
    tree.mdev(UUID, 7, "mtty-2");
    let found = look(&tree, false);
    assert_eq!(found.devices.len(), 1);
    let device = &found.devices[0];
    assert_eq!((device.id.as_str(), device.kind), (UUID, DeviceKind::Mdev));
    assert_eq!(device.mdev_type.as_deref(), Some("mtty-2"));
    assert_eq!(device.mdev_parent.as_deref(), Some("mtty"));
    assert_eq!(device.sysfs_path.as_deref(), Some(format!("/sys/bus/mdev/devices/{UUID}").as_str()));
    let group = device.group.as_ref().expect("group");
    assert_eq!((group.iommu, group.viable), (IommuKind::Emulated, Some(true)));
    assert_eq!(group.node.as_deref(), Some("/dev/vfio/7"));
    assert_eq!(device.cdev.as_ref().and_then(|cdev| cdev.node.as_deref()), Some("/dev/vfio/devices/vfio0"));
    assert_eq!(device.probe.skipped, Some("not-asked"));
    assert_eq!(tracker(device, TrackerKind::Iommu).0, Some(false));
    assert_eq!(tracker(device, TrackerKind::Device).0, None);
    // The tree has no container node.
    assert_eq!(tracker(device, TrackerKind::Pinned), (Some(false), "this host has no type1 container".to_owned()));
    assert!(!found.host.iommu_present, "an mdev's group is no sign of an IOMMU");
}

#[test]
fn a_directory_without_dev_is_no_cdev_and_a_noiommu_group_is_known_by_its_node() {
    let tree = Tree::default();
    let device = tree.function("0000:41:00.2", Some("vfio-pci"), Some(9));
    fs::create_dir_all(device.join("vfio-dev/vfio3")).expect("tree");
    fs::create_dir_all(tree.path().join("sys/class/vfio/noiommu-9")).expect("tree");
    let device = look(&tree, false).devices.remove(0);
    assert_eq!(device.cdev, Some(CdevFacts { name: "vfio3".to_owned(), node: None }));
    let group = device.group.as_ref().expect("group");
    assert_eq!((group.iommu, group.node.as_deref()), (IommuKind::Noiommu, None));
    assert_eq!(tracker(&device, TrackerKind::Pinned).0, Some(false));
}

#[test]
fn one_host_driver_in_the_group_blocks_it_for_all() {
    let tree = Tree::default();
    let virtual_function = tree.function("0000:41:00.1", Some("mlx5_vfio_pci"), Some(12));
    symlink(tree.path().join("sys/devices/pci0000:00/0000:41:00.0"), virtual_function.join("physfn")).expect("link");
    let physical = tree.function("0000:41:00.0", Some("mlx5_core"), Some(12));
    fs::write(physical.join("sriov_numvfs"), "1\n").expect("tree");
    tree.function("0000:40:00.0", Some("pcieport"), Some(12));
    tree.function("0000:42:00.0", None, None);
    let bound = look(&tree, false);
    assert_eq!(bound.devices.len(), 1, "functions of host drivers only with `all`");
    assert!(bound.host.iommu_present);
    let device = &bound.devices[0];
    assert_eq!(device.physical_function.as_deref(), Some("0000:41:00.0"));
    assert_eq!(device.vendor.as_deref(), Some("0x15b3"));
    let group = device.group.as_ref().expect("group");
    assert_eq!((group.iommu, group.viable, group.members.len()), (IommuKind::Physical, Some(false), 3));
    let blocking: Vec<_> = group.members.iter().filter(|member| member.blocks_group).map(|m| m.id.as_str()).collect();
    assert_eq!(blocking, ["0000:41:00.0"]);

    let every = look(&tree, true);
    assert_eq!(every.devices.len(), 4);
    let of = |id: &str| every.devices.iter().find(|device| device.id == id).expect("listed");
    assert_eq!(of("0000:41:00.0").virtual_functions, 1);
    assert_eq!(of("0000:42:00.0").group, None);
    assert_eq!(tracker(of("0000:42:00.0"), TrackerKind::Iommu).0, Some(false));
}

#[test]
fn a_vfio_device_is_known_by_what_its_driver_registered_whatever_the_driver_and_the_pci_domain_are_called() {
    let tree = Tree::default();
    // Domains of five and more digits are those of VMD and of other bridges that make domains of their own.
    for (bdf, group) in [("10000:00:00.0", 20), ("0000:00:04.0", 21), ("abcdef01:3b:1f.7", 22)] {
        let device = tree.function(bdf, Some("some_edu"), Some(group));
        fs::create_dir_all(device.join("vfio-dev").join(format!("vfio{group}"))).expect("tree");
    }
    // Of one group with the first, bound to a driver that does DMA of its own.
    tree.function("10000:00:00.1", Some("some_host"), Some(20));
    let found = look(&tree, false);
    let ids: Vec<_> = found.devices.iter().map(|device| device.id.as_str()).collect();
    assert_eq!(ids, ["0000:00:04.0", "10000:00:00.0", "abcdef01:3b:1f.7"]);
    let blocking = |index: usize| {
        let group = found.devices[index].group.as_ref().expect("group");
        let names = group.members.iter().filter(|member| member.blocks_group).map(|member| member.id.as_str());
        (group.viable, names.collect::<Vec<_>>())
    };
    assert_eq!(blocking(0), (Some(true), vec![]));
    assert_eq!(blocking(1), (Some(false), vec!["10000:00:00.1"]));
    assert_eq!(found.devices[1].sysfs_path.as_deref(), Some("/sys/bus/pci/devices/10000:00:00.0"));
}

#[test]
fn a_device_in_use_is_not_opened() {
    let tree = Tree::default();
    tree.mdev(UUID, 7, "mtty-2");
    // Two device descriptors: which one is ours cannot be told.
    let fds = [(5, "/dev/vfio/7"), (6, "anon_inode:[vfio-device]"), (7, "anon_inode:[vfio-device]")];
    tree.process(4_000_000_000, "qemu-system-x86", &fds);
    let found =
        inventory(&InventoryParams { probe: true, ..InventoryParams::default() }, tree.path()).expect("inventory");
    let probe = &found.devices[0].probe;
    assert_eq!((probe.done, probe.skipped), (false, Some("busy")));
    assert_eq!(found.devices[0].migration, None);
}

#[test]
fn only_the_devices_asked_for_are_opened() {
    let tree = Tree::default();
    tree.mdev(UUID, 7, "mtty-2");
    let asked = |only: &[&str]| {
        let only = Some(only.iter().map(|id| (*id).to_owned()).collect());
        let found = inventory(&InventoryParams { probe: true, only, ..InventoryParams::default() }, tree.path())
            .expect("inventory");
        found.devices[0].probe.skipped
    };
    assert_eq!(asked(&[]), Some("not-asked"));
    assert_eq!(asked(&["0000:00:01.0"]), Some("not-asked"));
    assert_ne!(asked(&["0000:00:01.0", &UUID.to_uppercase()]), Some("not-asked"));
}

#[cfg(feature = "sim")]
#[test]
fn the_reply_has_the_names_of_the_control_line() {
    let tree = Tree::default();
    tree.mdev(UUID, 7, "mtty-2");
    let sim = r#"{"all":false,"probe":false,"sim":[{"name":"nic-0","spec":{"model":"function","flags":["stop-copy"],
        "trackers":["device"],"stateBytes":"65536","precopyBytes":"0","seed":1,
        "window":{"iova":"0x0","bytes":"2097152"},"writeBytesPerSecond":"0","pattern":"uniform"}}]}"#;
    let params: InventoryParams = serde_json::from_str(sim).expect("params");
    let reply = serde_json::to_value(inventory(&params, tree.path()).expect("inventory")).expect("json");
    for field in ["hostname", "kernel", "uid", "pageSize", "memlockBytes", "memoryAvailableBytes", "type1", "iommufd"] {
        assert!(reply["host"].get(field).is_some(), "{field}");
    }
    assert!(reply["host"]["memoryAvailableBytes"].is_string());
    let mdev = &reply["devices"][0];
    assert_eq!(mdev["group"]["type"], "unknown");
    assert_eq!(mdev["group"]["members"][0]["blocksGroup"], false);
    assert!(mdev["physicalFunction"].is_null() && mdev["migration"].is_null());
    let sim = &reply["devices"][1];
    assert_eq!((&sim["simulated"], &sim["probe"]["via"]), (&true.into(), &"sim".into()));
    assert_eq!(sim["migration"]["stateBytes"], "65536");
    assert_eq!(sim["trackers"][1], serde_json::json!({"kind": "device", "available": true}));
    assert_eq!(sim["trackers"][0]["available"], false);
}
