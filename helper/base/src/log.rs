//! What this process says on stderr.

use std::io::{self, Write};

/// A line on stderr, for a reader. Without one it does not fail.
pub fn say(message: &str) {
    let _ = writeln!(io::stderr(), "ferry-helper: {message}");
}
