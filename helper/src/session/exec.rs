//! `exec`: the workload's command takes the devices over, by systemd's LISTEN_FDS convention (sd_listen_fds(3)).
//!
//! It gets the descriptors from 3 on, their names in LISTEN_FDNAMES, a session of its own, the usual signals, umask 022,
//! the folder `/`, and /dev/null for stdin, stdout and stderr: ours belong to the process that started us. It inherits what
//! capabilities this helper kept and may gain none (no_new_privs).
//!
//! What is mapped for the devices stays mapped, and an mdev's driver pins its pages through the process that mapped
//! them. So this process keeps the memory, and nothing else, until the command ends.

use std::ffi::{CString, OsString};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::descriptors::Descriptor;
use super::{Session, out_of_order};
use crate::device::DeviceState;
use crate::error::{HelperError, Result};
use crate::memory::Memory;
use crate::message::{ExecParams, ExecReply, Phase, Role};

/// SD_LISTEN_FDS_START.
const FIRST: RawFd = 3;
/// Where a command without a slash is looked for when there is no PATH, as after `sudo` in its usual set-up.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The command, and the memory it needs mapped here.
pub struct Child {
    pid: Pid,
    program: String,
    _memory: Arc<Memory>,
}

impl Child {
    /// Waits for its end and says what it was.
    pub fn wait(self) -> String {
        loop {
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(Some((_, status))) => {
                    let how = match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => format!("exit code {code}"),
                        (_, Some(signal)) => format!("signal {signal}"),
                        _ => continue,
                    };
                    return format!("{} ended with {how}", self.program);
                }
                Ok(None) | Err(_) => return format!("{} ended", self.program),
            }
        }
    }
}

impl Session {
    /// Starts the command with duplicates of every descriptor. What is ours is to be given back after it.
    ///
    /// # Errors
    /// `request/out-of-order` unless this is a destination whose devices run; `exec/failed` when the command could not
    /// be started: nothing was given away.
    pub fn exec(&mut self, params: &ExecParams) -> Result<(ExecReply, Child)> {
        if self.claimed()?.role != Role::Destination || self.shared.phase() != Phase::Running {
            return Err(out_of_order("receive, until the workload runs here"));
        }
        let stopped = self.states()?.into_iter().find(|at| at.state != DeviceState::Running);
        if let Some(at) = stopped {
            return Err(HelperError::new("request/out-of-order", "a device does not run")
                .device(at.device)
                .state(at.state));
        }
        let memory = self.memory()?;
        self.untrack()?;
        let given = self.descriptors()?;
        let names: Vec<String> = given.iter().map(|descriptor| descriptor.name.replace(':', "_")).collect();
        let pid = start(&params.command, &given, &names)?;
        self.hand_over();
        self.note_settled();
        let program = params.command.first().cloned().unwrap_or_default();
        let reply = ExecReply { pid: pid.as_raw_nonzero().get().unsigned_abs(), names };
        Ok((reply, Child { pid, program, _memory: memory }))
    }
}

fn failed(operation: &str, error: &io::Error) -> HelperError {
    let meaning = match error.raw_os_error().unwrap_or(0) {
        libc::ENOENT => "there is no such program, or its interpreter is missing",
        libc::EACCES => "the helper's user may not run it",
        libc::ENOEXEC => "it is not a program for this machine",
        _ => "",
    };
    HelperError::os("exec/failed", operation, error, meaning).suggest("mend the command; the devices still run here")
}

/// Everything the child needs, made before the fork: after it only async-signal-safe calls are allowed.
struct Prepared {
    program: CString,
    argv: Vec<CString>,
    envp: Vec<CString>,
    /// `LISTEN_PID=`, with room for the child's own number.
    listen_pid: [u8; 32],
    /// Above every number the child will use.
    fds: Vec<OwnedFd>,
    null: OwnedFd,
}

const LISTEN_PID: &[u8] = b"LISTEN_PID=";

fn start(command: &[String], given: &[Descriptor], names: &[String]) -> Result<Pid> {
    let mut prepared = prepare(command, given, names)?;
    let pipe = |error: io::Error| failed("pipe", &error);
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| pipe(errno.into()))?;
    let report = fcntl_dupfd_cloexec(&write, above(given)).map_err(|errno| pipe(errno.into()))?;
    drop(write);
    let pointers =
        |strings: &[CString]| -> Vec<*const libc::c_char> { strings.iter().map(|text| text.as_ptr()).collect() };
    let mut argv = pointers(&prepared.argv);
    argv.push(std::ptr::null());
    let mut envp = pointers(&prepared.envp);
    envp.push(prepared.listen_pid.as_ptr().cast());
    envp.push(std::ptr::null());
    // SAFETY: the child only makes async-signal-safe calls on values made before, and then becomes the command or ends.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: as above; argv and envp are arrays of NUL-terminated strings that end with a null.
        unsafe { become_command(&mut prepared, &argv, &envp, report.as_raw_fd()) }
    }
    let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) else {
        return Err(failed("fork", &io::Error::last_os_error()));
    };
    drop(report);
    let mut errno = Vec::new();
    // The pipe ends, empty, when the command begins.
    let told = std::fs::File::from(read).read_to_end(&mut errno);
    if told.is_ok() && errno.is_empty() {
        return Ok(pid);
    }
    let _ = waitpid(Some(pid), WaitOptions::empty());
    let errno = errno.try_into().map_or(libc::EIO, i32::from_ne_bytes);
    Err(failed(&format!("exec {}", prepared.program.to_string_lossy()), &io::Error::from_raw_os_error(errno)))
}

fn above(given: &[Descriptor]) -> RawFd {
    FIRST + i32::try_from(given.len()).unwrap_or(i32::MAX / 2)
}

fn prepare(command: &[String], given: &[Descriptor], names: &[String]) -> Result<Prepared> {
    let text = |bytes: Vec<u8>| {
        CString::new(bytes).map_err(|_| HelperError::new("request/bad-params", "a command cannot hold a NUL byte"))
    };
    let Some(first) = command.first().filter(|first| !first.is_empty()) else {
        return Err(HelperError::new("request/bad-params", "the command is empty"));
    };
    let program = find(first).ok_or_else(|| failed(first, &io::Error::from_raw_os_error(libc::ENOENT)))?;
    let argv = command.iter().map(|word| text(word.clone().into_bytes())).collect::<Result<_>>()?;
    let line = |name: &str, value: OsString| [name.as_bytes(), b"=", &value.into_vec()].concat();
    let inherited = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("LISTEN_"));
    let mut envp: Vec<Vec<u8>> =
        inherited.map(|(name, value)| [name.into_vec(), value.into_vec()].join(&b'=')).collect();
    envp.push(line("LISTEN_FDS", given.len().to_string().into()));
    envp.push(line("LISTEN_FDNAMES", names.join(":").into()));
    let duplicate = |descriptor: &Descriptor| {
        fcntl_dupfd_cloexec(descriptor.fd.as_fd(), above(given) + 1).map_err(|errno| failed("dup", &errno.into()))
    };
    let null = std::fs::File::options().read(true).write(true).open("/dev/null");
    let null = null.map_err(|error| failed("open /dev/null", &error))?;
    Ok(Prepared {
        program: text(program.into_os_string().into_vec())?,
        argv,
        envp: envp.into_iter().map(text).collect::<Result<_>>()?,
        listen_pid: [0; 32],
        fds: given.iter().map(duplicate).collect::<Result<_>>()?,
        null: fcntl_dupfd_cloexec(null, above(given) + 1).map_err(|errno| failed("dup", &errno.into()))?,
    })
}

/// As execvp(3) finds it.
fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| PATH.into());
    let runs =
        |path: &PathBuf| path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(runs)
}

/// The child, from fork to exec.
///
/// # Safety
/// Only for a process just forked; `argv` and `envp` are null-terminated arrays of NUL-terminated strings, the pointer
/// before `envp`'s null is that of `prepared.listen_pid`.
unsafe fn become_command(
    prepared: &mut Prepared,
    argv: &[*const libc::c_char],
    envp: &[*const libc::c_char],
    report: RawFd,
) -> ! {
    // SAFETY: plain system calls on our own values; every descriptor that is kept lies above those that are replaced.
    unsafe {
        write_pid(&mut prepared.listen_pid, libc::getpid());
        libc::setsid();
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::umask(0o022);
        let mut done = libc::chdir(c"/".as_ptr());
        for number in 0..FIRST {
            done = done.min(libc::dup2(prepared.null.as_raw_fd(), number));
        }
        for (number, fd) in (FIRST..).zip(&prepared.fds) {
            done = done.min(libc::dup2(fd.as_raw_fd(), number));
        }
        // What the process that started us left open is none of the command's; kernels before 5.11 cannot tell.
        let others = FIRST as libc::c_uint + prepared.fds.len() as libc::c_uint;
        libc::syscall(libc::SYS_close_range, others, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
        if done >= 0 {
            libc::execve(prepared.program.as_ptr(), argv.as_ptr(), envp.as_ptr());
        }
        let errno = (*libc::__errno_location()).to_ne_bytes();
        libc::write(report, errno.as_ptr().cast(), errno.len());
        libc::_exit(127)
    }
}

/// `LISTEN_PID=<pid>` and a NUL, without allocating. sd_listen_fds takes a leading zero for octal.
fn write_pid(into: &mut [u8; 32], pid: i32) {
    let mut digits = [0u8; 10];
    let (mut rest, mut count) = (pid.unsigned_abs(), 0);
    for digit in &mut digits {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    let text = LISTEN_PID.iter().chain(digits.iter().take(count).rev()).chain(&[0]);
    for (to, from) in into.iter_mut().zip(text) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_is_written_as_a_person_would() {
        for pid in [1, 7, 10, 907, 4_194_304, i32::MAX] {
            let mut text = [0xff; 32];
            write_pid(&mut text, pid);
            let end = text.iter().position(|byte| *byte == 0).expect("NUL");
            assert_eq!(text[..end], *format!("LISTEN_PID={pid}").as_bytes());
        }
    }

    #[test]
    fn a_command_that_is_not_there_is_named_and_leaves_nothing() {
        for (command, errno) in
            [("/nowhere/vmm", libc::ENOENT), ("ferry-no-such-vmm", libc::ENOENT), ("/", libc::EACCES)]
        {
            let error = start(&[command.to_owned()], &[], &[]).expect_err("refused");
            assert_eq!((error.code, error.errno), ("exec/failed", Some(errno)), "{error}");
            assert!(error.message.contains(command.trim_start_matches('/')), "{error}");
        }
        assert_eq!(start(&[], &[], &[]).err().map(|error| error.code), Some("request/bad-params"));
    }
}
