//! A process that writes a workload's memory by CPU: this test program once more, as another process.

use std::fs::{self, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::driver::wait_for;
use crate::place::PAGE;

const FILE: &str = "FERRY_TEST_WRITER_FILE";
const HOW: &str = "FERRY_TEST_WRITER_HOW";

pub struct Writer {
    process: Child,
}

impl Writer {
    /// `how`: `protected` by a userfaultfd of its own, `forks` as well on SIGUSR1, or `bare`. Writes when this returns.
    pub fn start(file: &Path, how: &str) -> Self {
        let process = Command::new(std::env::current_exe().expect("this program"))
            .args(["writer::writes_until_it_is_killed", "--exact", "--ignored", "--nocapture"])
            .env(FILE, file)
            .env(HOW, how)
            .stdout(Stdio::null())
            .spawn()
            .expect("start");
        let before = fs::read(file).expect("read");
        wait_for("a write", || (fs::read(file).expect("read") != before).then_some(()));
        Self { process }
    }

    pub fn pid(&self) -> i32 {
        self.process.id() as i32
    }

    /// The process that it becomes two with, once there is one.
    pub fn child(&self) -> i32 {
        self.signal(libc::SIGUSR1);
        let parent = self.pid().to_string();
        wait_for("a child", || {
            fs::read_dir("/proc").expect("proc").flatten().find_map(|entry| {
                let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
                let is_child = stat.rsplit_once(") ")?.1.split(' ').nth(1)? == parent;
                is_child.then(|| entry.file_name().to_str()?.parse().ok()).flatten()
            })
        })
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: signals a child of ours that was not waited for yet.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    /// Whether its one thread that writes, and any other, stands.
    pub fn stands(&self) -> bool {
        stands(self.pid())
    }
}

/// Whether all threads of a process do.
pub fn stands(pid: i32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("alive");
    tasks.flatten().all(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
    })
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The pages the process writes that differ in two files. The device of the destination runs on, and writes the others.
pub fn differing(one: &Path, other: &Path) -> usize {
    let (one, other) = (fs::read(one).expect("read"), fs::read(other).expect("read"));
    assert_eq!(one.len(), other.len());
    let written = one.len() / 2;
    let pages = one[..written].chunks(PAGE as usize).zip(other[..written].chunks(PAGE as usize));
    pages.filter(|(one, other)| one != other).count()
}

#[repr(C)]
struct Api {
    api: u64,
    features: u64,
    ioctls: u64,
}

#[repr(C)]
struct Register {
    start: u64,
    bytes: u64,
    mode: u64,
    ioctls: u64,
}

/// Puts the range under asynchronous write protection, as an owner does that wants its writes tracked.
fn protect(start: u64, bytes: u64) -> OwnedFd {
    // SAFETY: makes a descriptor, nothing else.
    let fd = unsafe { rustix::mm::userfaultfd(rustix::mm::UserfaultfdFlags::CLOEXEC) }.expect("userfaultfd");
    // PAGEFAULT_FLAG_WP is implied; WP_HUGETLBFS_SHMEM, WP_UNPOPULATED, WP_ASYNC.
    let mut api = Api { api: 0xaa, features: 1 << 12 | 1 << 13 | 1 << 15, ioctls: 0 };
    // SAFETY: UFFDIO_API with its own argument.
    let opened = unsafe { libc::ioctl(fd.as_raw_fd(), 0xc018_aa3f, &raw mut api) };
    assert_eq!(opened, 0, "UFFDIO_API: {}", std::io::Error::last_os_error());
    let mut register = Register { start, bytes, mode: 1 << 1, ioctls: 0 };
    // SAFETY: UFFDIO_REGISTER, for write protection, of a mapping of ours.
    let registered = unsafe { libc::ioctl(fd.as_raw_fd(), 0xc020_aa00, &raw mut register) };
    assert_eq!(registered, 0, "UFFDIO_REGISTER: {}", std::io::Error::last_os_error());
    fd
}

static FORKS: AtomicBool = AtomicBool::new(false);

extern "C" fn told_to_fork(_signal: libc::c_int) {
    FORKS.store(true, Ordering::SeqCst);
}

/// No test: the process that [`Writer::start`] starts.
#[test]
#[ignore = "a program for other tests"]
fn writes_until_it_is_killed() {
    let Ok(path) = std::env::var(FILE) else { return };
    // SAFETY: a system call without memory. Whatever becomes of the test, this process ends with it.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let file = OpenOptions::new().read(true).write(true).open(path).expect("open");
    let bytes = file.metadata().expect("stat").len();
    let (access, shared) = (rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE, rustix::mm::MapFlags::SHARED);
    // SAFETY: a new mapping, of a file that no one shrinks.
    let memory =
        unsafe { rustix::mm::mmap(std::ptr::null_mut(), bytes as usize, access, shared, &file, 0) }.expect("map");
    let how = std::env::var(HOW).unwrap_or_default();
    let handler = told_to_fork as extern "C" fn(libc::c_int);
    // SAFETY: the handler only stores.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    let protection = (how != "bare").then(|| protect(memory as u64, bytes));
    // The lower half in turn; the upper belongs to the device.
    let pages = bytes / PAGE / 2;
    for count in 1u64.. {
        // SAFETY: a page of the mapping, which lives as long as this process.
        unsafe { memory.cast::<u8>().add((count % pages * PAGE) as usize).cast::<u64>().write_volatile(count) };
        std::thread::sleep(Duration::from_micros(200));
        if how == "forks" && FORKS.swap(false, Ordering::SeqCst) {
            // SAFETY: what follows in the child writes to the mapping and sleeps, which needs no lock of another thread.
            if unsafe { libc::fork() } == 0 {
                // SAFETY: as above; the child ends with this thread.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            }
        }
    }
    drop(protection);
}
