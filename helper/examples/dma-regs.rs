//! Reads and writes the registers of the lab's DMA devices (test/lab/modules/ferry_lab.h), so that a test can tell a
//! device what to write, let Ferry move it, and see how far it has come.
//!
//! A device keeps its program when it is closed in RUNNING, and writes only while it is open and its memory can be
//! reached: with nothing mapped here, it rests as long as this program has it.

mod vfio;

use std::process::ExitCode;

use serde_json::{Value, json};

use vfio::{Device, Region, Result, hold, number, take_flag};

const USAGE: &str = "\
Usage: dma-regs [--iommufd] DEVICE_SYSFS_PATH get
       dma-regs [--iommufd] DEVICE_SYSFS_PATH set NAME=VALUE...
       dma-regs [--iommufd] DEVICE_SYSFS_PATH hold

Opens the device by its group and a type1 container, or with --iommufd by its cdev. Several of these may follow each
other, with -- between them; all are read before the first is done.
  NAME    slot, seed, window, bytes, pattern, rate, mode, state, position, limit, control
  VALUE   decimal or 0x hexadecimal; a pattern may be uniform, hot or sequential, a mode pin-keep, rw or pin-each
  get     prints a line of JSON
  set     writes the registers in that order, control last, and reads them back; all but control and the last two
          turn the engine off
  hold    keeps the device open; when all else is done, prints `held` and waits until stdin ends";

const MAGIC: [u8; 8] = *b"FERRYDMA";
const KINDS: [&str; 4] = ["", "mdev", "edu", "dirty"];
const PATTERNS: [&str; 3] = ["uniform", "hot", "sequential"];
const MODES: [&str; 3] = ["pin-keep", "rw", "pin-each"];

/// How a register is printed.
enum Form {
    /// It stays far below 2^53.
    Small,
    /// A decimal string.
    Large,
    /// A string that begins with 0x.
    Iova,
    Named(&'static [&'static str]),
}

struct Register {
    name: &'static str,
    at: u64,
    form: Form,
    access: Access,
}

#[derive(PartialEq)]
enum Access {
    Read,
    /// Keeps what is written to it.
    Write,
    /// Goes its own way once it is written.
    Lives,
}

const fn register(name: &'static str, at: u64, form: Form, access: Access) -> Register {
    Register { name, at, form, access }
}

/// In the order they are written: the device's, but control, which turns the engine on, comes last.
static REGISTERS: [Register; 12] = [
    register("kind", 0x08, Form::Named(&KINDS), Access::Read),
    register("slot", 0x10, Form::Small, Access::Write),
    register("seed", 0x18, Form::Large, Access::Write),
    register("window", 0x20, Form::Iova, Access::Write),
    register("bytes", 0x28, Form::Large, Access::Write),
    register("pattern", 0x30, Form::Named(&PATTERNS), Access::Write),
    register("rate", 0x38, Form::Large, Access::Write),
    register("mode", 0x40, Form::Named(&MODES), Access::Write),
    register("state", 0x48, Form::Large, Access::Write),
    register("position", 0x58, Form::Large, Access::Lives),
    register("limit", 0x60, Form::Large, Access::Write),
    register("control", 0x50, Form::Small, Access::Lives),
];

impl Register {
    fn parse(&self, text: &str) -> Result<u64> {
        if let Form::Named(names) = self.form {
            if let Some(value) = names.iter().position(|name| *name == text) {
                return Ok(value as u64);
            }
            if !text.starts_with(|first: char| first.is_ascii_digit()) {
                return Err(format!("{}={text}: not one of {}", self.name, names.join(", ")).into());
            }
        }
        number(text).map_err(|error| format!("{}: {error}", self.name).into())
    }

    fn json(&self, value: u64) -> Value {
        match self.form {
            Form::Small => json!(value),
            Form::Large => json!(value.to_string()),
            Form::Iova => json!(format!("{value:#x}")),
            Form::Named(names) => match usize::try_from(value).ok().and_then(|index| names.get(index)) {
                Some(name) if !name.is_empty() => json!(name),
                _ => json!(value.to_string()),
            },
        }
    }
}

enum Verb {
    Get,
    Set(Vec<(&'static Register, u64)>),
    Hold,
}

struct Task {
    path: String,
    iommufd: bool,
    verb: Verb,
}

fn parse_set(words: &[String]) -> Result<Vec<(&'static Register, u64)>> {
    let mut values = Vec::new();
    for word in words {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word}: not NAME=VALUE"))?;
        let order = REGISTERS.iter().position(|register| register.name == name);
        let order = order.ok_or_else(|| format!("{name}: no such register"))?;
        let register = &REGISTERS[order];
        if register.access == Access::Read {
            return Err(format!("{name} can only be read").into());
        }
        if values.iter().any(|(other, _, _)| *other == order) {
            return Err(format!("{name} is given twice").into());
        }
        values.push((order, register, register.parse(value)?));
    }
    values.sort_by_key(|(order, _, _)| *order);
    Ok(values.into_iter().map(|(_, register, value)| (register, value)).collect())
}

fn parse(mut words: Vec<String>) -> Result<Task> {
    let iommufd = take_flag(&mut words, "--iommufd");
    let [path, verb, rest @ ..] = words.as_slice() else { return Err(USAGE.into()) };
    let verb = match (verb.as_str(), rest) {
        ("get", []) => Verb::Get,
        ("hold", []) => Verb::Hold,
        ("set", [_, ..]) => Verb::Set(parse_set(rest)?),
        _ => return Err(USAGE.into()),
    };
    Ok(Task { path: path.clone(), iommufd, verb })
}

fn bar(device: &Device) -> Result<Region<'_>> {
    let bar = device.region(0)?;
    let found: [u8; 8] = bar.read(0)?;
    if found != MAGIC {
        let hex: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
        return Err(format!("not a DMA device of the lab: BAR 0 begins with {hex}, not with \"FERRYDMA\"").into());
    }
    Ok(bar)
}

fn read(bar: &Region, register: &Register) -> Result<u64> {
    Ok(u64::from_le_bytes(bar.read(register.at).map_err(|error| format!("{}: {error}", register.name))?))
}

fn get(bar: &Region, path: &str) -> Result<Value> {
    let name = std::fs::canonicalize(path)?.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut seen = json!({ "name": name });
    for register in &REGISTERS {
        seen[register.name] = register.json(read(bar, register)?);
    }
    Ok(seen)
}

fn set(bar: &Region, values: &[(&Register, u64)]) -> Result<()> {
    for (register, value) in values {
        let written = bar.write(register.at, value.to_le_bytes());
        written.map_err(|error| format!("{}: {error}", register.name))?;
        let kept = read(bar, register)?;
        if register.access == Access::Write && kept != *value {
            return Err(format!("{}: the device keeps {kept} and does not take {value}", register.name).into());
        }
    }
    Ok(())
}

/// The device, if it is to stay open.
fn carry_out(task: &Task) -> Result<Option<Device>> {
    let device = Device::open(&task.path, task.iommufd)?;
    let done = bar(&device).and_then(|bar| match &task.verb {
        Verb::Get => get(&bar, &task.path).map(|seen| println!("{seen}")),
        Verb::Set(values) => set(&bar, values),
        Verb::Hold => Ok(()),
    });
    done.map_err(|error| format!("{}: {error}", task.path))?;
    Ok(matches!(task.verb, Verb::Hold).then_some(device))
}

fn run(args: &[String]) -> Result<()> {
    let tasks = args.split(|arg| arg == "--").map(|words| parse(words.to_vec())).collect::<Result<Vec<_>>>()?;
    let mut held = Vec::new();
    for task in &tasks {
        held.extend(carry_out(task)?);
    }
    if held.is_empty() { Ok(()) } else { hold(held) }
}

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dma-regs: {error}");
            ExitCode::FAILURE
        }
    }
}
