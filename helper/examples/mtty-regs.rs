//! Reads and writes the registers of an mtty mdev, the kernel's sample serial card (samples/vfio-mdev/mtty.c), so
//! that a test can put a pattern into a device before a migration and look for it afterwards.
//!
//! A port is a 16550 behind BAR N, eight registers of one byte; wider accesses return junk. Three things about it
//! decide the order below:
//! - Setting DLAB (bit 7 of LCR) zeroes the divisor, and the divisor can be read only while DLAB is set. So `set`
//!   writes LCR after everything else and leaves DLAB set, and `get` reads the divisor before it clears DLAB.
//! - Register 0 is the FIFO only while DLAB is clear. Its ring holds 16 bytes but looks empty at 16, so 15 is the
//!   most; popping an empty one returns whatever was in the buffer, so `get` asks LSR before each byte.
//! - IER, too, is hidden behind the divisor while DLAB is set.
//!
//! `get` therefore destroys: it empties the FIFO, and clears DLAB for good, as setting it again would lose the
//! divisor. `get --peek` reads only what can be read without that.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;

use vfio_bindings::bindings::vfio::{VFIO_BASE, VFIO_TYPE, VFIO_TYPE1v2_IOMMU, vfio_device_bind_iommufd};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "\
Usage: mtty-regs [--iommufd] DEVICE_SYSFS_PATH get --port N [--peek]
       mtty-regs [--iommufd] DEVICE_SYSFS_PATH set --port N NAME=VALUE...
       mtty-regs [--iommufd] DEVICE_SYSFS_PATH hold

Opens the mdev by its group and a type1 container, or with --iommufd by its cdev.
  NAME    scr, mcr, lcr, ier (one byte), divisor (two), fifo (hex, up to 15 bytes)
  get     prints JSON; empties the FIFO and clears DLAB, unless --peek is given
  set     replaces what the FIFO holds; a divisor leaves DLAB set
  hold    prints `held`, and keeps the device open until stdin ends";

/// Registers of a 16550, by offset, and the bits used here.
const DATA: u64 = 0;
const IER: u64 = 1;
const FCR: u64 = 2;
const LCR: u64 = 3;
const MCR: u64 = 4;
const LSR: u64 = 5;
const SCR: u64 = 7;
const LCR_DLAB: u8 = 0x80;
const LSR_DATA_READY: u8 = 0x01;
const FCR_ENABLE_AND_CLEAR: u8 = 0x07;
const FIFO_MAX: usize = 15;

/// An open device, with all that has to stay open beside it.
struct Device {
    file: File,
    _held: Vec<File>,
}

struct Port<'a> {
    device: &'a Device,
    index: u64,
}

impl Port<'_> {
    /// A region's bytes start at its index, shifted by 40 (what mtty, like vfio-pci, reports in REGION_INFO).
    fn offset(&self, register: u64) -> u64 {
        (self.index << 40) + register
    }

    fn read(&self, register: u64) -> Result<u8> {
        let mut byte = [0];
        self.device.file.read_exact_at(&mut byte, self.offset(register))?;
        Ok(byte[0])
    }

    fn write(&self, register: u64, value: u8) -> Result<()> {
        Ok(self.device.file.write_all_at(&[value], self.offset(register))?)
    }
}

fn open(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    OpenOptions::new().read(true).write(true).open(path).map_err(|e| format!("{}: {e}", path.display()).into())
}

/// Issues VFIO ioctl number `n`, whose argument is what its name says.
fn vfio_ioctl(file: &File, n: u32, name: &str, argument: libc::c_ulong) -> Result<i32> {
    let request = (u64::from(VFIO_TYPE) << 8) | u64::from(VFIO_BASE + n);
    // SAFETY: `argument` is a number, or a pointer to a live object of the type this ioctl wants, as each call
    // below provides.
    let returned = unsafe { libc::ioctl(file.as_raw_fd(), request, argument) };
    if returned < 0 {
        return Err(format!("{name}: {}", std::io::Error::last_os_error()).into());
    }
    Ok(returned)
}

fn open_by_group(sysfs: &Path) -> Result<Device> {
    let link = fs::read_link(sysfs.join("iommu_group"))?;
    let group = open(Path::new("/dev/vfio").join(link.file_name().ok_or("the device has no IOMMU group")?))?;
    let container = open("/dev/vfio/vfio")?;
    let fd = container.as_raw_fd();
    vfio_ioctl(&group, 4, "VFIO_GROUP_SET_CONTAINER", (&raw const fd) as libc::c_ulong)?;
    vfio_ioctl(&container, 2, "VFIO_SET_IOMMU", libc::c_ulong::from(VFIO_TYPE1v2_IOMMU))?;
    let name = sysfs.file_name().and_then(|n| n.to_str()).ok_or("the device's path has no name")?;
    let name = std::ffi::CString::new(name)?;
    let fd = vfio_ioctl(&group, 6, "VFIO_GROUP_GET_DEVICE_FD", name.as_ptr() as libc::c_ulong)?;
    // SAFETY: the ioctl returned a new descriptor that nobody else owns.
    let file = unsafe { File::from_raw_fd(fd) };
    Ok(Device { file, _held: vec![group, container] })
}

fn open_by_cdev(sysfs: &Path) -> Result<Device> {
    let entry = fs::read_dir(sysfs.join("vfio-dev"))?.next().ok_or("the device has no cdev")??;
    let file = open(Path::new("/dev/vfio/devices").join(entry.file_name()))?;
    let iommufd = open("/dev/iommu")?;
    let mut bind = vfio_device_bind_iommufd { iommufd: iommufd.as_raw_fd(), ..Default::default() };
    // Up to `out_devid`: what lies behind it is newer than Linux 6.12.
    bind.argsz = 16;
    vfio_ioctl(&file, 18, "VFIO_DEVICE_BIND_IOMMUFD", (&raw mut bind) as libc::c_ulong)?;
    Ok(Device { file, _held: vec![iommufd] })
}

fn number(text: &str) -> Result<u16> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|e| format!("{text}: {e}").into())
}

fn byte(text: &str) -> Result<u8> {
    u8::try_from(number(text)?).map_err(|_| format!("{text}: more than a byte").into())
}

fn hex_bytes(text: &str) -> Result<Vec<u8>> {
    if text.len() % 2 != 0 || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return Err(format!("fifo={text}: not pairs of hex digits").into());
    }
    let bytes: std::result::Result<Vec<u8>, _> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16)).collect();
    let bytes = bytes?;
    if bytes.len() > FIFO_MAX {
        return Err(format!("fifo: {} bytes; {FIFO_MAX} is the most", bytes.len()).into());
    }
    Ok(bytes)
}

fn set(port: &Port, values: &[String]) -> Result<()> {
    // All is parsed before anything is written.
    let (mut plain, mut lcr, mut divisor, mut fifo) = (Vec::new(), None, None, None);
    for word in values {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word}: not NAME=VALUE"))?;
        match name {
            "scr" => plain.push((SCR, byte(value)?)),
            "mcr" => plain.push((MCR, byte(value)?)),
            "ier" => plain.push((IER, byte(value)?)),
            "lcr" => lcr = Some(byte(value)?),
            "divisor" => divisor = Some(number(value)?),
            "fifo" => fifo = Some(hex_bytes(value)?),
            _ => return Err(format!("{name}: no such register").into()),
        }
    }
    let before = port.read(LCR)?;
    // IER and the FIFO hide behind the divisor. Clearing DLAB keeps the divisor, but it cannot be set again without
    // losing it: a port that had one needs it anew.
    let hidden = fifo.is_some() || plain.iter().any(|(register, _)| *register == IER);
    if before & LCR_DLAB != 0 && hidden {
        port.write(LCR, before & !LCR_DLAB)?;
    }
    if let Some(bytes) = fifo {
        port.write(FCR, FCR_ENABLE_AND_CLEAR)?;
        for byte in bytes {
            port.write(DATA, byte)?;
        }
    }
    for (register, value) in plain {
        port.write(register, value)?;
    }
    match divisor {
        None => {
            if let Some(value) = lcr {
                port.write(LCR, value)?;
            }
        }
        Some(divisor) => {
            port.write(LCR, lcr.unwrap_or(before) | LCR_DLAB)?;
            let [low, high] = divisor.to_le_bytes();
            port.write(DATA, low)?;
            port.write(IER, high)?;
        }
    }
    Ok(())
}

fn get(port: &Port, peek: bool) -> Result<serde_json::Value> {
    let lcr = port.read(LCR)?;
    let dlab = lcr & LCR_DLAB != 0;
    let divisor = match dlab {
        true => Some(u16::from_le_bytes([port.read(DATA)?, port.read(IER)?])),
        false => None,
    };
    let mut seen = serde_json::json!({
        "scr": port.read(SCR)?,
        "mcr": port.read(MCR)?,
        "lcr": lcr,
        "divisor": divisor,
        "lsr": port.read(LSR)?,
    });
    if !peek && dlab {
        port.write(LCR, lcr & !LCR_DLAB)?;
    }
    if !peek || !dlab {
        seen["ier"] = port.read(IER)?.into();
    }
    if !peek {
        let mut fifo = String::new();
        while port.read(LSR)? & LSR_DATA_READY != 0 {
            fifo += &format!("{:02x}", port.read(DATA)?);
        }
        seen["fifo"] = fifo.into();
    }
    Ok(seen)
}

fn take_flag(args: &mut Vec<String>, flag: &str) -> bool {
    let before = args.len();
    args.retain(|arg| arg != flag);
    args.len() != before
}

fn open_device(path: &str, iommufd: bool) -> Result<Device> {
    // The group knows a device by its own name, so a link to it will not do.
    let sysfs = fs::canonicalize(path).map_err(|e| format!("{path}: {e}"))?;
    if iommufd { open_by_cdev(&sysfs) } else { open_by_group(&sysfs) }
}

fn hold(path: &str, iommufd: bool) -> Result<()> {
    let _device = open_device(path, iommufd)?;
    println!("held");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

fn run(mut args: Vec<String>) -> Result<()> {
    let (iommufd, peek) = (take_flag(&mut args, "--iommufd"), take_flag(&mut args, "--peek"));
    if let [path, verb] = args.as_slice() {
        return match verb.as_str() {
            "hold" if !peek => hold(path, iommufd),
            _ => Err(USAGE.into()),
        };
    }
    let [path, verb, flag, index, values @ ..] = args.as_slice() else {
        return Err(USAGE.into());
    };
    let index = match (flag.as_str(), index.parse()) {
        ("--port", Ok(index @ 0..=1)) => index,
        _ => return Err(USAGE.into()),
    };
    let device = open_device(path, iommufd)?;
    let port = Port { device: &device, index };
    match verb.as_str() {
        "get" if values.is_empty() => println!("{}", get(&port, peek)?),
        "set" if !peek && !values.is_empty() => set(&port, values)?,
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mtty-regs: {error}");
            ExitCode::FAILURE
        }
    }
}
