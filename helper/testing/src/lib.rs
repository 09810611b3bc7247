//! What the tests of several crates make up.

mod mutate;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub use mutate::mutate;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A made-up /sys, /dev and /proc for tests, laid out as the kernel lays them out; gone when it is dropped.
pub struct Tree(PathBuf);

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Default for Tree {
    fn default() -> Self {
        let name = format!("ferry-sys-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = std::env::temp_dir().join(name);
        for directory in ["sys/bus/pci/devices", "sys/bus/mdev/devices", "sys/class/vfio", "sys/class/iommu", "proc"] {
            fs::create_dir_all(root.join(directory)).expect("tree");
        }
        Self(root.canonicalize().expect("tree"))
    }
}

impl Tree {
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("tree");
        fs::write(path, text).expect("tree");
    }

    /// `link` in `directory` points to `target`, an absolute path of the tree.
    pub fn link(&self, directory: &Path, link: &str, target: &str) {
        let target = self.0.join(target);
        fs::create_dir_all(&target).expect("tree");
        fs::create_dir_all(directory).expect("tree");
        symlink(target, directory.join(link)).expect("link");
    }

    fn join_group(&self, device: &Path, id: &str, group: u32, domain: &str) {
        self.link(device, "iommu_group", &format!("sys/kernel/iommu_groups/{group}"));
        self.write(&format!("sys/kernel/iommu_groups/{group}/type"), &format!("{domain}\n"));
        let members = self.0.join(format!("sys/kernel/iommu_groups/{group}/devices"));
        fs::create_dir_all(&members).expect("tree");
        symlink(device, members.join(id)).expect("member");
    }

    /// An mdev of mtty with cdev vfio0 and both nodes; returns its directory.
    pub fn mdev(&self, uuid: &str, group: u32, mdev_type: &str) -> PathBuf {
        let device = self.0.join(format!("sys/devices/virtual/mtty/mtty/{uuid}"));
        self.link(&device, "subsystem", "sys/bus/mdev");
        self.link(&device, "driver", "sys/bus/mdev/drivers/mtty");
        self.link(&device, "mdev_type", &format!("sys/devices/virtual/mtty/mtty/mdev_supported_types/{mdev_type}"));
        self.write(&format!("sys/devices/virtual/mtty/mtty/{uuid}/vfio-dev/vfio0/dev"), "511:0\n");
        self.join_group(&device, uuid, group, "unknown");
        self.write(&format!("sys/kernel/iommu_groups/{group}/name"), "vfio-noiommu\n");
        self.write(&format!("dev/vfio/{group}"), "");
        self.write("dev/vfio/devices/vfio0", "");
        symlink(&device, self.0.join("sys/bus/mdev/devices").join(uuid)).expect("bus");
        device
    }

    /// A PCI function without cdev; returns its directory.
    pub fn function(&self, bdf: &str, driver: Option<&str>, group: Option<u32>) -> PathBuf {
        let device = self.0.join(format!("sys/devices/pci0000:00/{bdf}"));
        self.link(&device, "subsystem", "sys/bus/pci");
        if let Some(driver) = driver {
            self.link(&device, "driver", &format!("sys/bus/pci/drivers/{driver}"));
        }
        if let Some(group) = group {
            self.join_group(&device, bdf, group, "DMA");
            self.write(&format!("dev/vfio/{group}"), "");
        }
        for (name, text) in [("vendor", "0x15b3\n"), ("device", "0x101e\n"), ("class", "0x020000\n")] {
            fs::write(device.join(name), text).expect("tree");
        }
        symlink(&device, self.0.join("sys/bus/pci/devices").join(bdf)).expect("bus");
        device
    }

    pub fn process(&self, pid: u32, command: &str, fds: &[(i32, &str)]) {
        self.write(&format!("proc/{pid}/comm"), &format!("{command}\n"));
        let directory = self.0.join(format!("proc/{pid}/fd"));
        fs::create_dir_all(&directory).expect("tree");
        for (fd, to) in fds {
            symlink(to, directory.join(fd.to_string())).expect("fd");
        }
    }
}
