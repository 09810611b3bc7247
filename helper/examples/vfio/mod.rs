//! What the register tools share: a VFIO device, opened as any user of it would, and its regions.

use std::error::Error;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use vfio_bindings::bindings::vfio::{
    VFIO_BASE, VFIO_TYPE, VFIO_TYPE1v2_IOMMU, vfio_device_bind_iommufd, vfio_region_info,
};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// An open device, with all that has to stay open beside it.
pub struct Device {
    file: File,
    _held: Vec<File>,
}

/// One region (BAR) of an open device.
pub struct Region<'a> {
    file: &'a File,
    start: u64,
}

impl Device {
    /// By its group and a type1 container, or with `iommufd` by its cdev.
    pub fn open(path: &str, iommufd: bool) -> Result<Self> {
        // The group knows a device by its own name, so a link to it will not do.
        let sysfs = fs::canonicalize(path).map_err(|e| format!("{path}: {e}"))?;
        let opened = if iommufd { open_by_cdev(&sysfs) } else { open_by_group(&sysfs) };
        opened.map_err(|e| format!("{path}: {e}").into())
    }

    pub fn region(&self, index: u32) -> Result<Region<'_>> {
        let argsz = size_of::<vfio_region_info>() as u32;
        let mut info = vfio_region_info { argsz, index, ..Default::default() };
        vfio_ioctl(&self.file, 8, "VFIO_DEVICE_GET_REGION_INFO", (&raw mut info) as libc::c_ulong)?;
        if info.size == 0 {
            return Err(format!("the device has no region {index}").into());
        }
        Ok(Region { file: &self.file, start: info.offset })
    }
}

impl Region<'_> {
    pub fn read<const N: usize>(&self, at: u64) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file
            .read_exact_at(&mut bytes, self.start + at)
            .map_err(|e| format!("read of {N} bytes at {at:#x}: {e}"))?;
        Ok(bytes)
    }

    pub fn write<const N: usize>(&self, at: u64, bytes: [u8; N]) -> Result<()> {
        let written = self.file.write_all_at(&bytes, self.start + at);
        written.map_err(|e| format!("write of {N} bytes at {at:#x}: {e}").into())
    }
}

/// Prints `held`, and keeps `devices` open until stdin ends.
pub fn hold(devices: Vec<Device>) -> Result<()> {
    println!("held");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    drop(devices);
    Ok(())
}

/// Takes `flag` out of `args`, however often it is there.
pub fn take_flag(args: &mut Vec<String>, flag: &str) -> bool {
    let before = args.len();
    args.retain(|arg| arg != flag);
    args.len() != before
}

/// Decimal, or hexadecimal after 0x.
pub fn number(text: &str) -> Result<u64> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|e| format!("{text}: {e}").into())
}

fn open(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    OpenOptions::new().read(true).write(true).open(path).map_err(|e| format!("{}: {e}", path.display()).into())
}

/// Issues VFIO ioctl number `n`, whose argument is what its name says.
fn vfio_ioctl(file: &File, n: u32, name: &str, argument: libc::c_ulong) -> Result<i32> {
    let request = (u64::from(VFIO_TYPE) << 8) | u64::from(VFIO_BASE + n);
    // SAFETY: `argument` is a number, or a pointer to a live object of the type this ioctl wants, as each call in
    // this file provides.
    let returned = unsafe { libc::ioctl(file.as_raw_fd(), request, argument) };
    if returned < 0 {
        return Err(format!("{name}: {}", std::io::Error::last_os_error()).into());
    }
    Ok(returned)
}

fn open_by_group(sysfs: &Path) -> Result<Device> {
    let link = fs::read_link(sysfs.join("iommu_group")).map_err(|e| format!("no IOMMU group: {e}"))?;
    let group = open(Path::new("/dev/vfio").join(link.file_name().ok_or("the device has no IOMMU group")?))?;
    let container = open("/dev/vfio/vfio")?;
    let fd = container.as_raw_fd();
    vfio_ioctl(&group, 4, "VFIO_GROUP_SET_CONTAINER", (&raw const fd) as libc::c_ulong)?;
    vfio_ioctl(&container, 2, "VFIO_SET_IOMMU", libc::c_ulong::from(VFIO_TYPE1v2_IOMMU))?;
    let name = sysfs.file_name().and_then(|n| n.to_str()).ok_or("the device's path has no name")?;
    let name = CString::new(name)?;
    let fd = vfio_ioctl(&group, 6, "VFIO_GROUP_GET_DEVICE_FD", name.as_ptr() as libc::c_ulong)?;
    // SAFETY: the ioctl returned a new descriptor that no one else owns.
    let file = unsafe { File::from_raw_fd(fd) };
    Ok(Device { file, _held: vec![group, container] })
}

fn open_by_cdev(sysfs: &Path) -> Result<Device> {
    let mut cdevs = fs::read_dir(sysfs.join("vfio-dev")).map_err(|e| format!("no cdev: {e}"))?;
    let entry = cdevs.next().ok_or("the device has no cdev")??;
    let file = open(Path::new("/dev/vfio/devices").join(entry.file_name()))?;
    let iommufd = open("/dev/iommu")?;
    let mut bind = vfio_device_bind_iommufd { iommufd: iommufd.as_raw_fd(), ..Default::default() };
    // Up to `out_devid`: what lies behind it is newer than Linux 6.12.
    bind.argsz = 16;
    vfio_ioctl(&file, 18, "VFIO_DEVICE_BIND_IOMMUFD", (&raw mut bind) as libc::c_ulong)?;
    Ok(Device { file, _held: vec![iommufd] })
}
