//! ferry-helper: requests in, replies and events out, on stdin and stdout or on a socket.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use ferry_helper::control::attach::attach;
use ferry_helper::control::host::build;
use ferry_helper::control::server::serve;
use ferry_helper::launcher::confine_but_for_launcher;
use ferry_helper::log::say;
use ferry_helper::message::PROTOCOL_VERSION;
use ferry_helper::privileges::drop_unneeded;
use ferry_helper::resident::memlock_limit;
use ferry_helper::session::exec::{TAKE_OVER, take_over};
use ferry_helper::transfer::confine::take_unused_calls;

const USAGE: &str = "\
Usage: ferry-helper --serve | --attach SOCKET | --version | --help

Drives VFIO devices, their IOMMU mappings and dirty logs for ferry.

  --serve          answer ferry's requests on stdin and stdout; stays after stdin's end only to hold a workload, or a
                   run that may not be undone
  --attach SOCKET  stdin and stdout are those of the helper that stays at SOCKET; exit code 3: it is not there
  --version        print version and control protocol
  --help           print this
";

fn main() -> ExitCode {
    // Only this program starts itself so.
    if std::env::args_os().nth(1).is_some_and(|first| first == TAKE_OVER) {
        return take_over(std::env::args_os().skip(2));
    }
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (Some("--serve"), None, None) => serve_unprivileged(),
        (Some("--attach"), Some(socket), None) => proxy(Path::new(&socket)),
        (Some("--version"), None, None) => {
            println!("ferry-helper {} (protocol {PROTOCOL_VERSION})", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        (Some("--help"), None, None) => {
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

/// No helper answers at the socket.
const NOBODY: u8 = 3;

fn serve_unprivileged() -> ExitCode {
    if let Err(error) = drop_unneeded().and_then(|()| confine_but_for_launcher()) {
        say(&format!("cannot be confined: {error}"));
        return ExitCode::FAILURE;
    }
    // Before the first thread gives up what it says, and the right to read the program of the user who logs in.
    memlock_limit();
    build();
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn proxy(socket: &Path) -> ExitCode {
    let attached = match drop_unneeded() {
        Ok(()) => {
            take_unused_calls();
            attach(socket)
        }
        Err(error) => Err(ferry_helper::error::HelperError::os("attach/failed", "capset", &error, "")),
    };
    match attached {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The first word is what a caller looks for.
            let _ = writeln!(std::io::stderr(), "attach: {error}");
            if error.code == "attach/nobody" { ExitCode::from(NOBODY) } else { ExitCode::FAILURE }
        }
    }
}
