//! What this process says on stderr.

use std::io::{self, Write};

/// A line on stderr, for whoever reads it. That nobody does is no reason to fail.
pub fn say(message: &str) {
    let _ = writeln!(io::stderr(), "ferry-helper: {message}");
}
