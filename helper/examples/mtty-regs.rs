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

mod vfio;

use std::process::ExitCode;

use vfio::{Device, Region, Result, hold, number, take_flag};

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

/// BAR N of the card is port N.
struct Port<'a>(Region<'a>);

impl Port<'_> {
    fn read(&self, register: u64) -> Result<u8> {
        let [byte] = self.0.read(register)?;
        Ok(byte)
    }

    fn write(&self, register: u64, value: u8) -> Result<()> {
        self.0.write(register, [value])
    }
}

fn divisor_value(text: &str) -> Result<u16> {
    u16::try_from(number(text)?).map_err(|_| format!("{text}: more than two bytes").into())
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
            "divisor" => divisor = Some(divisor_value(value)?),
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

fn run(mut args: Vec<String>) -> Result<()> {
    let (iommufd, peek) = (take_flag(&mut args, "--iommufd"), take_flag(&mut args, "--peek"));
    if let [path, verb] = args.as_slice() {
        return match verb.as_str() {
            "hold" if !peek => hold(vec![Device::open(path, iommufd)?]),
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
    let device = Device::open(path, iommufd)?;
    let port = Port(device.region(index)?);
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
