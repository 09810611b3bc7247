//! ferry-helper: requests in on stdin, replies and events out on stdout.

use std::io::{BufReader, Write, stdin, stdout};
use std::process::ExitCode;

use ferry_helper::control::message::PROTOCOL_VERSION;
use ferry_helper::control::output::Output;
use ferry_helper::control::server::serve;

const USAGE: &str = "\
Usage: ferry-helper --serve | --version | --help

Drives VFIO devices, their IOMMU mappings and dirty logs for ferry.

  --serve    answer ferry's requests on stdin and stdout until stdin ends
  --version  print version and control protocol
  --help     print this
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("--serve"), None) => {
            drop_privilege_growth();
            match serve(BufReader::new(stdin()), Output::new(stdout())) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("ferry-helper: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        (Some("--version"), None) => {
            println!("ferry-helper {} (protocol {PROTOCOL_VERSION})", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        (Some("--help"), None) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            // Nothing better can be done when stderr is closed.
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            ExitCode::from(2)
        }
    }
}

/// Nothing this process starts or maps may gain rights, and its files are nobody else's.
fn drop_privilege_growth() {
    // Best effort: an old kernel without it is no reason not to run.
    let _ = rustix::thread::set_no_new_privs(true);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}
