//! Whether another user may shorten the file behind a region, or put another in its place.

use std::fs::{File, Metadata};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::error::{HelperError, Result};

const WRITABLE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// # Errors
/// `memory/open-to-others` naming who may; `memory/open` when it cannot be asked.
pub fn must_be_ours(region: &str, path: &str, file: BorrowedFd<'_>) -> Result<()> {
    let asked = |of: std::io::Result<Metadata>| {
        of.map_err(|error| HelperError::os("memory/open", format!("stat {path}"), &error, ""))
    };
    let found = asked(file.try_clone_to_owned().and_then(|file| File::from(file).metadata()))?;
    // A device node cannot be shortened.
    if !found.is_file() {
        return Ok(());
    }
    let folder = Path::new(path).parent().unwrap_or(Path::new("/"));
    let above = asked(folder.metadata())?;
    let own = rustix::process::geteuid().as_raw();
    let why = if let Some(why) = open_to(&found, own, WRITABLE) {
        format!("{path} {why}")
    } else if let Some(why) = open_to(&above, own, if above.mode() & STICKY == 0 { WRITABLE } else { 0 }) {
        format!("its folder {} {why}", folder.display())
    } else {
        return Ok(());
    };
    let message = format!("region {region}: another user may truncate or replace its file: {why}");
    Err(HelperError::new("memory/open-to-others", message)
        .suggest("chown and chmod what is named, or say `othersMayTruncate: true` for the region"))
}

fn open_to(found: &Metadata, own: u32, writable: u32) -> Option<String> {
    let mode = found.permissions().mode();
    if found.uid() != 0 && found.uid() != own {
        Some(format!("belongs to user {}", found.uid()))
    } else if mode & writable != 0 {
        Some(format!("has mode {:o}", mode & 0o7777))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::fd::AsFd;
    use std::os::unix::fs::chown;

    use super::*;

    #[test]
    fn a_file_that_another_user_may_write_or_replace_is_refused() {
        let folder = std::env::temp_dir().join(format!("ferry-truncatable-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("folder");
        let path = folder.join("memory");
        fs::write(&path, [0; 4096]).expect("file");
        let of = |folder_mode: u32, mode: u32| {
            fs::set_permissions(&folder, Permissions::from_mode(folder_mode)).expect("chmod");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("chmod");
            let file = File::open(&path).expect("open");
            must_be_ours("m", path.to_str().expect("path"), file.as_fd()).map_err(|error| error.code)
        };
        let refused = Err("memory/open-to-others");
        assert_eq!([of(0o755, 0o644), of(0o1777, 0o600)], [Ok(()), Ok(())]);
        assert_eq!([of(0o755, 0o664), of(0o755, 0o646), of(0o777, 0o600), of(0o775, 0o600)], [refused; 4]);
        if rustix::process::geteuid().is_root() {
            chown(&path, Some(4242), None).expect("chown");
            assert_eq!(of(0o755, 0o600), refused);
            chown(&path, Some(0), None).and_then(|()| chown(&folder, Some(4242), None)).expect("chown");
            assert_eq!(of(0o755, 0o600), refused);
        }
        fs::remove_dir_all(&folder).expect("gone");
        let null = File::open("/dev/null").expect("a device");
        assert!(must_be_ours("m", "/dev/null", null.as_fd()).is_ok());
    }
}
