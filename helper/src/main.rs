//! ferry-helper: requests in on stdin, replies and events out on stdout.

use std::io::{BufReader, Write, stdin, stdout};
use std::process::ExitCode;

use ferry_helper::control::message::PROTOCOL_VERSION;
use ferry_helper::control::output::Output;
use ferry_helper::control::server::serve;
use ferry_helper::privileges::drop_unneeded;

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
            if let Err(error) = drop_unneeded() {
                eprintln!("ferry-helper: cannot give up capabilities: {error}");
                return ExitCode::FAILURE;
            }
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
