//! Folders that no one else may write.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use crate::error::{HelperError, Result};

/// Makes the folder (0700) when it is missing and refuses one that others may write.
pub fn private_dir(dir: &Path) -> Result<()> {
    let fail = |operation: &str, error: &std::io::Error| {
        HelperError::os("claim/dir", format!("{operation} {}", dir.display()), error, "the folder cannot be used")
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| fail("mkdir", &error))?;
    let metadata = dir.symlink_metadata().map_err(|error| fail("stat", &error))?;
    let owner = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || metadata.uid() != owner || metadata.mode() & 0o022 != 0 {
        return Err(HelperError::new(
            "claim/unsafe-dir",
            format!("{} is not a folder that only user {owner} may write", dir.display()),
        )
        .suggest("give it to that user with mode 0700, or choose another --state-dir"));
    }
    Ok(())
}
