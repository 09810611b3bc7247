//! `exec`: the workload's command takes the devices over, by systemd's LISTEN_FDS convention (sd_listen_fds(3)).
//!
//! It gets the descriptors from 3 on, their names in LISTEN_FDNAMES, a session of its own, the usual signals, umask 022,
//! the folder `/`, and /dev/null for stdin, stdout and stderr: ours belong to the process that started us. It inherits what
//! capabilities this helper kept and may gain none (no_new_privs).
//!
//! What is mapped for the devices stays mapped, and an mdev's driver pins its pages through the process that mapped
//! them. So this process keeps the memory, and nothing else, until the command ends.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{self, Command, ExitCode, Stdio};
use std::sync::Arc;

use command_fds::{CommandFdExt, FdMapping};
use rustix::fs::Mode;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{setsid, umask};

use super::descriptors::Descriptor;
use super::{Session, out_of_order};
use crate::device::DeviceState;
use crate::error::{HelperError, Result};
use crate::launcher::launch;
use crate::memory::Memory;
use crate::message::{ExecParams, ExecReply, Phase, Role};

/// First argument of this program when it is to become the command: [`take_over`] then has the rest.
pub const TAKE_OVER: &str = "--take-over";
/// SD_LISTEN_FDS_START.
const FIRST: RawFd = 3;
/// Where a command without a slash is looked for when there is no PATH, as after `sudo` in its usual set-up.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The command, and the memory it needs mapped here.
pub struct Child {
    process: process::Child,
    program: String,
    _memory: Arc<Memory>,
}

impl Child {
    /// Waits for its end and says what it was.
    pub fn wait(mut self) -> String {
        let how = match self.process.wait().map(|status| (status.code(), status.signal())) {
            Ok((Some(code), _)) => format!(" with exit code {code}"),
            Ok((_, Some(signal))) => format!(" with signal {signal}"),
            _ => String::new(),
        };
        format!("{} ended{how}", self.program)
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
        let process = start(&params.command, &given, &names)?;
        self.hand_over();
        self.note_settled();
        let program = params.command.first().cloned().unwrap_or_default();
        let reply = ExecReply { pid: process.id(), names };
        Ok((reply, Child { process, program, _memory: memory }))
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

/// By way of this very program, which knows its process id only once it runs, and LISTEN_PID must hold it: it makes itself
/// ready and becomes the command, or reports the errno on a pipe that an exec closes.
fn start(command: &[String], given: &[Descriptor], names: &[String]) -> Result<process::Child> {
    if command.iter().any(|word| word.contains('\0')) {
        return Err(HelperError::new("request/bad-params", "a command cannot hold a NUL byte"));
    }
    let Some(first) = command.first().filter(|first| !first.is_empty()) else {
        return Err(HelperError::new("request/bad-params", "the command is empty"));
    };
    let program = find(first).ok_or_else(|| failed(first, &io::Error::from_raw_os_error(libc::ENOENT)))?;
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed("pipe", &errno.into()))?;
    let report = FIRST + i32::try_from(given.len()).unwrap_or(i32::MAX / 2);
    let mut mappings = vec![FdMapping { parent_fd: write, child_fd: report }];
    for (child_fd, descriptor) in (FIRST..).zip(given) {
        let parent_fd = descriptor.fd.as_fd().try_clone_to_owned().map_err(|error| failed("dup", &error))?;
        mappings.push(FdMapping { parent_fd, child_fd });
    }
    let mut shim = Command::new("/proc/self/exe");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LISTEN_")) {
        shim.env_remove(name);
    }
    shim.arg(TAKE_OVER).arg(report.to_string()).arg(&program).args(command);
    shim.env("LISTEN_FDS", given.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
    shim.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    shim.fd_mappings(mappings).map_err(|_| failed("dup", &io::Error::from_raw_os_error(libc::EBADF)))?;
    // Our copy of the pipe's end, which would keep us waiting, goes with it.
    let mut process = launch(shim).map_err(|error| failed("fork", &error))?;
    let mut errno = Vec::new();
    let told = File::from(read).read_to_end(&mut errno);
    if told.is_ok() && errno.is_empty() {
        return Ok(process);
    }
    let _ = process.wait();
    let errno = errno.try_into().map_or(libc::EIO, i32::from_ne_bytes);
    Err(failed(&format!("exec {}", program.display()), &io::Error::from_raw_os_error(errno)))
}

/// The shim: `REPORT PROGRAM ARG0 [ARG...]`, with the descriptors in place. Comes back only when there is no command.
pub fn take_over(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let number = arguments.next().and_then(|text| text.to_str()?.parse::<RawFd>().ok()).filter(|fd| *fd >= FIRST);
    let (Some(number), Some(program), Some(name)) = (number, arguments.next(), arguments.next()) else {
        return ExitCode::from(2);
    };
    // SAFETY: the descriptor was mapped to this number for us, and nothing else in this process knows it.
    let report = unsafe { OwnedFd::from_raw_fd(number) };
    let error = match ready(&report, number) {
        Ok(()) => Command::new(program).arg0(name).args(arguments).env("LISTEN_PID", process::id().to_string()).exec(),
        Err(error) => error,
    };
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    // A helper that died meanwhile reads nothing.
    let _ = File::from(report).write_all(&errno.to_ne_bytes());
    ExitCode::from(127)
}

/// A session of its own, the usual signals and umask, and no descriptor beyond the ones that were given.
fn ready(report: &OwnedFd, number: RawFd) -> io::Result<()> {
    fcntl_setfd(report, FdFlags::CLOEXEC)?;
    setsid()?;
    umask(Mode::from_raw_mode(0o022));
    let others = libc::c_uint::try_from(number).unwrap_or(libc::c_uint::MAX).saturating_add(1);
    // SAFETY: plain system calls that change this process alone, which is about to become another program. What was
    // left open by the process that started the helper is none of the command's; kernels before 5.11 cannot tell.
    unsafe {
        libc::syscall(libc::SYS_close_range, others, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_command_is_refused_before_anything_is_started() {
        let code = |command: &[&str]| {
            let words: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            start(&words, &[], &[]).err().map(|error| (error.code, error.errno))
        };
        assert_eq!(code(&[]), Some(("request/bad-params", None)));
        assert_eq!(code(&[""]), Some(("request/bad-params", None)));
        assert_eq!(code(&["true", "a\0b"]), Some(("request/bad-params", None)));
        assert_eq!(code(&["ferry-no-such-vmm"]), Some(("exec/failed", Some(libc::ENOENT))));
    }

    #[test]
    fn the_shim_refuses_what_it_was_not_given() {
        for arguments in
            [vec![], vec!["3"], vec!["3", "/bin/true"], vec!["1", "/bin/true", "true"], vec!["x", "a", "b"]]
        {
            let code = take_over(arguments.into_iter().map(OsString::from));
            assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
        }
    }
}
