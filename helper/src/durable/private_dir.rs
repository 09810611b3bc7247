//! Folders that no one else may write.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::error::{HelperError, Result};

/// Makes the folder (0700) when it is missing and refuses one that others may write, or that others could put another in
/// the place of: every folder above it, by its name and behind links, is root's or this user's, and others may write there
/// only where they may not rename what is not theirs (sticky).
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
    let real = dir.canonicalize().map_err(|error| fail("realpath", &error))?;
    let above: Vec<PathBuf> = dir.ancestors().chain(real.ancestors()).skip(1).map(Path::to_path_buf).collect();
    for folder in above.iter().filter(|folder| !folder.as_os_str().is_empty()) {
        let found = folder.symlink_metadata().map_err(|error| fail("stat the folders of", &error))?;
        let shared = !found.is_symlink() && found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0;
        if shared || (found.uid() != owner && found.uid() != 0) {
            return Err(HelperError::new(
                "claim/unsafe-dir",
                format!("{} is in {}, where others may replace it", dir.display(), folder.display()),
            )
            .suggest("choose another --state-dir, in folders that only this user and root may write"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_that_others_could_replace_is_refused() {
        let top = std::env::temp_dir().join(format!("ferry-above-{}", std::process::id()));
        let _ = fs::remove_dir_all(&top);
        fs::create_dir_all(top.join("shared")).expect("mkdir");
        fs::create_dir(top.join("own")).expect("mkdir");
        let mode = |mode| fs::set_permissions(top.join("shared"), Permissions::from_mode(mode)).expect("chmod");
        symlink(top.join("shared"), top.join("own/link")).expect("link");
        for (bits, refused) in [(0o755, false), (0o777, true), (0o775, true), (0o1777, false)] {
            mode(bits);
            for below in ["shared/a/state", "own/link/a/state"] {
                let code = private_dir(&top.join(below)).err().map(|error| error.code);
                assert_eq!(code, refused.then_some("claim/unsafe-dir"), "{bits:o} {below}");
            }
        }
        if rustix::process::geteuid().is_root() {
            mode(0o755);
            std::os::unix::fs::chown(top.join("shared"), Some(65534), None).expect("chown");
            let error = private_dir(&top.join("shared/a/state")).expect_err("another user's");
            assert_eq!(error.code, "claim/unsafe-dir");
        }
        fs::remove_dir_all(&top).expect("clean up");
    }
}
