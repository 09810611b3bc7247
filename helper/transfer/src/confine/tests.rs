//! What confined threads are refused, and with which errno. Each is tried in a thread of its own.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::thread::capabilities;

use super::*;

type Errno = Option<i32>;
const REFUSED: Errno = Some(libc::EPERM);
/// Landlock's.
const NO_ACCESS: Errno = Some(libc::EACCES);

fn errno<T>(result: io::Result<T>) -> Errno {
    result.err().and_then(|error| error.raw_os_error())
}

/// With arguments that no call takes: one that gets through does nothing.
fn call(number: libc::c_long) -> Errno {
    // SAFETY: as pointers these are no memory of anyone, as descriptors and ids nothing; the kernel refuses them.
    let answer = unsafe { libc::syscall(number, -1, -1, -1, -1, -1, -1) };
    if answer < 0 { errno::<()>(Err(io::Error::last_os_error())) } else { None }
}

fn ioctl(of: &impl AsRawFd, request: libc::c_ulong) -> Errno {
    let mut answer = [0u8; 64];
    // SAFETY: the requests used here write no more than an int.
    let asked = unsafe { libc::ioctl(of.as_raw_fd(), request as _, answer.as_mut_ptr()) };
    if asked < 0 { errno::<()>(Err(io::Error::last_os_error())) } else { None }
}

fn map_code() -> Errno {
    let (prot, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new anonymous mapping takes nothing from anyone.
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), 4096, prot, flags, -1, 0) };
    if mapped == libc::MAP_FAILED { errno::<()>(Err(io::Error::last_os_error())) } else { None }
}

fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(work).join().expect("thread")
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ferry-confine-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_confined_thread_opens_starts_and_connects_nothing() {
    calls::of_open_sockets().expect("it compiles");
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let (refused, asks_nothing) = in_thread(move || {
        confine().expect("always allowed");
        let held = capabilities(None);
        let refused = [
            errno(File::open("/etc/hostname")),
            errno(Command::new("/bin/true").spawn()),
            errno(TcpStream::connect(address)),
            ioctl(&listener, libc::FIONREAD),
            map_code(),
        ];
        // Its own work goes on.
        listener.set_nonblocking(true).expect("FIONBIO");
        (refused, held.is_err())
    });
    assert_eq!(refused, [REFUSED; 5]);
    assert!(asks_nothing);
}

#[test]
fn only_the_thread_itself_is_confined() {
    in_thread(|| confine().expect("always allowed"));
    File::open("/proc/self/status").expect("still allowed here");
}

/// With these arguments an open kernel has other words for most of them.
#[test]
fn the_rest_of_the_helper_makes_none_of_the_calls_it_never_makes() {
    assert!(calls::NEVER.len() >= 60, "{}", calls::NEVER.len());
    let open = in_thread(|| [libc::SYS_execve, libc::SYS_ptrace, libc::SYS_setns, libc::SYS_mount].map(call));
    assert!(!open.contains(&REFUSED), "{open:?}");
    for confined in [take_unused_calls, || confine().expect("allowed"), || confine_run(&every()).expect("allowed")] {
        let let_through = in_thread(move || {
            confined();
            let through = calls::NEVER.iter().filter(|number| call(**number) != REFUSED);
            through.copied().collect::<Vec<_>>()
        });
        assert!(let_through.is_empty(), "{let_through:?}");
    }
    let (program, file) = in_thread(|| {
        take_unused_calls();
        (errno(Command::new("/bin/true").spawn()), errno(File::open("/proc/self/status")))
    });
    assert_eq!((program, file), (REFUSED, None));
}

/// The widest a run gets.
fn every() -> Duty {
    Duty { connects: true, writers: true, folder: None }
}

#[test]
fn a_thread_of_a_run_makes_threads_but_no_process_and_asks_vfio_alone() {
    let [narrow, wide] = [Duty::default(), every()].map(|duty| {
        in_thread(move || {
            confine_run(&duty).expect("always allowed");
            let null = File::open("/dev/null").expect("no folder is named, so that files stay");
            let threads = thread::Builder::new().spawn(|| ()).is_ok();
            // SAFETY: nothing is forked, or the child ends at once.
            let forked = unsafe {
                let child = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
                if child == 0 {
                    libc::_exit(0);
                }
                child
            };
            let forked = if forked < 0 { errno::<()>(Err(io::Error::last_os_error())) } else { None };
            // VFIO_GET_API_VERSION, of which /dev/null knows nothing; and a request of a terminal.
            let asked = [ioctl(&null, 0x3B64), ioctl(&null, libc::TCGETS)];
            (threads, forked, call(libc::SYS_clone3), asked, map_code(), errno(TcpListener::bind("127.0.0.1:0")))
        })
    });
    let asked = [Some(libc::ENOTTY), REFUSED];
    assert_eq!(narrow, (true, REFUSED, Some(libc::ENOSYS), asked, REFUSED, REFUSED));
    // listen(2) is no source's.
    assert_eq!(wide, narrow);
    let stops = |duty: Duty| {
        in_thread(move || {
            confine_run(&duty).expect("always allowed");
            [call(libc::SYS_pidfd_open), call(libc::SYS_pidfd_send_signal), call(libc::SYS_socket)]
        })
    };
    assert_eq!(stops(Duty::default()), [REFUSED; 3]);
    assert!(!stops(every()).contains(&REFUSED));
}

#[test]
fn landlock_leaves_a_run_its_own_folder_and_what_the_kernel_tells() {
    if files::version() == 0 {
        println!("skipped: this kernel has no Landlock");
        return;
    }
    let (own, other) = (Folder::new("own"), Folder::new("other"));
    let (ours, theirs) = (own.0.clone(), other.0.clone());
    fs::write(theirs.join("there"), "x").expect("write");
    let duty = Duty { folder: Some(ours.clone()), ..Duty::default() };
    let (refused, moved, allowed) = in_thread(move || {
        confine_run(&duty).expect("always allowed");
        let write = |path: &Path| OpenOptions::new().write(true).open(path);
        let allowed = [
            errno(fs::write(ours.join("record"), "COMMIT")),
            errno(fs::rename(ours.join("record"), ours.join("placed"))),
            errno(fs::read(ours.join("placed"))),
            errno(fs::remove_file(ours.join("placed"))),
            errno(fs::read("/proc/self/status")),
            errno(fs::read_dir("/sys").map(drop)),
            errno(fs::write(ours.join("kept"), "x")),
        ];
        let refused = [
            errno(File::open("/etc/passwd")),
            errno(fs::read_dir("/etc").map(drop)),
            errno(File::open(theirs.join("there"))),
            errno(File::create(theirs.join("new"))),
            errno(fs::remove_file(theirs.join("there"))),
            errno(write("/proc/self/comm".as_ref())),
            errno(write("/dev/null".as_ref())),
            errno(fs::create_dir("/sys/fs/new")),
        ];
        (refused, errno(fs::rename(ours.join("kept"), theirs.join("kept"))), allowed)
    });
    assert_eq!((refused, allowed), ([NO_ACCESS; 8], [None; 7]));
    // The first version has this word for it.
    assert!([NO_ACCESS, Some(libc::EXDEV)].contains(&moved), "{moved:?}");
    assert!(other.0.join("there").exists() && own.0.join("kept").exists());
}

#[test]
fn without_its_folder_or_with_writers_to_stop_a_run_has_no_landlock_and_seccomp_all_the_same() {
    let gone = Duty { folder: Some("/nonexistent/records".into()), ..Duty::default() };
    let own = Folder::new("writers");
    let writers = Duty { writers: true, folder: Some(own.0.clone()), ..Duty::default() };
    for duty in [gone, writers] {
        let found = in_thread(move || {
            confine_run(&duty).expect("always allowed");
            (errno(File::open("/etc/passwd")), errno(Command::new("/bin/true").spawn()), in_force().seccomp)
        });
        assert_eq!(found, (None, REFUSED, true));
    }
}

#[test]
fn only_a_run_with_writers_keeps_rights_and_those_alone() {
    let held = |duty: Duty| {
        in_thread(move || {
            confine_run(&duty).expect("always allowed");
            let held = capabilities(None).expect("capget");
            held.permitted | held.effective | held.inheritable
        })
    };
    assert_eq!(held(Duty { connects: true, ..Duty::default() }), CapabilitySet::empty());
    let writers =
        CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH | CapabilitySet::KILL | CapabilitySet::SYS_PTRACE;
    assert!(writers.contains(held(every())));
}
