//! Descriptors of a holder, in other hands.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use serde_json::{Value, json};

use crate::driver::{Driver, wait_for};
use crate::place::{BYTES, Place, exists};
use crate::taker::{as_user, take, take_at};

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn holding(place: &Place, hand_out: Value) -> Driver {
    let mut driver = Driver::serve();
    place.set_up(&mut driver, "source");
    driver.ok("stay", place.stay(hand_out));
    driver
}

fn file(fd: &OwnedFd) -> fs::File {
    fs::File::from(fd.try_clone().expect("dup"))
}

/// What the region holds, by a mapping of our own.
fn mapped(fd: &OwnedFd) -> Vec<u8> {
    let length = BYTES as usize;
    // SAFETY: a fresh mapping of a file that is that long, read as bytes while a simulated device may write some, and
    // unmapped before this returns. Torn reads are fine: only whether anything changed is asked.
    unsafe {
        let at = mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, fd, 0).expect("mmap");
        let mut bytes = vec![0u8; length];
        std::ptr::copy_nonoverlapping(at.cast::<u8>(), bytes.as_mut_ptr(), length);
        munmap(at, length).expect("munmap");
        bytes
    }
}

#[test]
fn what_is_handed_out_is_the_very_memory_the_device_writes() {
    let place = Place::new();
    let out = place.dir.join("out/w.sock");
    let mut holder = holding(&place, json!({"socket": out, "uid": own()}));
    let (line, fds) = take_at(&out);
    assert_eq!((&line["version"], &line["workload"]), (&json!(1), &json!("w")));
    let expected = json!([{
        "name": "memory-ram", "kind": "memory", "region": "ram", "iova": "0x0", "bytes": BYTES.to_string()
    }]);
    assert_eq!(line["descriptors"], expected, "a simulated device has no descriptor");
    assert_eq!(fds.len(), 1);
    let first = mapped(&fds[0]);
    assert!(first.iter().any(|byte| *byte != 0), "filled");
    wait_for("a write of the device", || (mapped(&fds[0]) != first).then_some(()));

    let (_, again) = take_at(&out);
    assert_eq!(file(&fds[0]).metadata().expect("stat").ino(), file(&again[0]).metadata().expect("stat").ino());
    holder.ok("release", json!({}));
    assert!(!exists(&out), "nothing is handed out any more");
    assert_eq!(file(&fds[0]).read_at(&mut [0; 8], BYTES - 8).expect("ours to keep"), 8);
}

#[test]
fn only_the_named_user_gets_them_and_not_during_a_run() {
    let place = Place::new();
    let root = rustix::process::geteuid().is_root();
    let uid = if root { 65534 } else { own() };
    let out = place.dir.join("out/w.sock");
    let mut holder = holding(&place, json!({"socket": out, "uid": uid}));
    let found = fs::symlink_metadata(&out).expect("there");
    assert_eq!((found.uid(), found.mode() & 0o777), (uid, 0o600));
    assert_eq!(fs::metadata(place.dir.join("out")).expect("folder").mode() & 0o777, 0o755);
    if root {
        let (line, fds) = take(&as_user(uid, || UnixStream::connect(&out)).expect("its own"));
        assert!(line["error"].is_null() && fds.len() == 1, "{line}");
        fs::set_permissions(&out, fs::Permissions::from_mode(0o666)).expect("chmod");
        let (line, fds) = take(&as_user(65533, || UnixStream::connect(&out)).expect("let in"));
        assert_eq!((&line["error"]["code"], fds.len()), (&json!("hand-out/user"), 0));
    }
    holder.run = "r2".into();
    holder.ok("claim", place.claim("source", "r2"));
    let (line, fds) = take_at(&out);
    assert_eq!((&line["error"]["code"], fds.len()), (&json!("hand-out/run"), 0));
    holder.ok("release", json!({"keep": true}));
    assert_eq!(take_at(&out).1.len(), 1);
}

#[test]
fn a_folder_others_may_write_is_refused_and_nothing_is_held() {
    let place = Place::new();
    let shared = place.dir.join("shared");
    fs::create_dir(&shared).expect("mkdir");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).expect("chmod");
    let mut driver = Driver::serve();
    place.set_up(&mut driver, "source");
    let stay = place.stay(json!({"socket": shared.join("w.sock"), "uid": own()}));
    assert_eq!(driver.refused("stay", stay), "hand-out/folder");
    assert!(!exists(&place.holder()));
    assert_eq!(driver.ok("status", json!({}))["run"], "r1", "the run goes on");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).expect("chmod");
    driver.ok("stay", place.stay(json!({"socket": shared.join("w.sock"), "uid": own()})));
}
