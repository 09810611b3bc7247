//! The data fd of one session. A stream file: no seek, no pread, no splice, and poll tells nothing (only mlx5
//! implements it), so it is read and written plainly. The fd outlives its session (reads then give ENODEV) and does
//! not keep the device open; its owner drops it before the device.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use vfio_bindings::bindings::vfio::vfio_precopy_info;

use super::{ioctl, meaning};
use crate::device::{PrecopyInfo, StateStream, StreamRead};
use crate::error::{HelperError, Result};

pub struct KernelStream {
    device: String,
    fd: OwnedFd,
}

impl KernelStream {
    pub fn new(device: &str, fd: OwnedFd) -> Self {
        Self { device: device.to_owned(), fd }
    }

    fn failed(&self, code: &'static str, operation: &str, errno: Errno, meaning: &str) -> HelperError {
        HelperError::os(code, operation, &errno.into(), meaning).device(&self.device)
    }
}

impl StateStream for KernelStream {
    fn read(&mut self, buf: &mut [u8]) -> Result<StreamRead> {
        loop {
            return match rustix::io::read(&self.fd, &mut *buf) {
                Ok(0) => Ok(StreamRead::End),
                Ok(bytes) => Ok(StreamRead::Data(bytes)),
                // mlx5 waits interruptibly for the firmware.
                Err(Errno::INTR) => continue,
                // The specification's "nothing now" of the pre-copy states, and a non-blocking fd's.
                Err(Errno::NOMSG | Errno::AGAIN) => Ok(StreamRead::Drained),
                Err(errno) => {
                    let meaning = meaning::read(Some(errno.raw_os_error()));
                    Err(self.failed("device/stream-read", "read of the state stream", errno, meaning))
                }
            };
        }
    }

    fn write_all(&mut self, buf: &[u8]) -> Result<()> {
        let mut rest = buf;
        while !rest.is_empty() {
            match rustix::io::write(&self.fd, rest) {
                Ok(0) => {
                    return Err(HelperError::new("device/stream-write", "the device takes no more of its state")
                        .operation("write of the state stream")
                        .device(&self.device));
                }
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                // EINTR comes only where nothing of this call was taken.
                Err(Errno::INTR) => {}
                Err(errno) => {
                    let meaning = meaning::write(Some(errno.raw_os_error()));
                    return Err(self
                        .failed("device/stream-write", "write of the state stream", errno, meaning)
                        .suggest("give up this load: data refused once stays in the device until it is reset"));
                }
            }
        }
        Ok(())
    }

    fn precopy_info(&mut self) -> Result<PrecopyInfo> {
        // `flags` echoes what we pass on kernels before 7.1 and is only valid by opt-in after; we pass 0 and ignore it.
        let mut info =
            vfio_precopy_info { argsz: ioctl::size_of_u32::<vfio_precopy_info>(), ..vfio_precopy_info::default() };
        // SAFETY: the request takes this structure, argsz is its size, it holds no addresses.
        match unsafe { ioctl::with_struct(&self.fd, ioctl::VFIO_MIG_GET_PRECOPY_INFO(), &mut info) } {
            Ok(_) => Ok(PrecopyInfo { initial_bytes: info.initial_bytes, dirty_bytes: info.dirty_bytes }),
            Err(error) => {
                let meaning = meaning::precopy_info(error.raw_os_error());
                Err(HelperError::os("device/precopy-info", "VFIO_MIG_GET_PRECOPY_INFO", &error, meaning)
                    .device(&self.device))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn pipe() -> (OwnedFd, OwnedFd) {
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK).expect("pipe")
    }

    #[test]
    fn reading_tells_data_nothing_now_and_the_end_apart() {
        let (reader, writer) = pipe();
        let mut writer = std::fs::File::from(writer);
        let mut stream = KernelStream::new("dev", reader);
        let mut buf = [0; 8];
        assert_eq!(stream.read(&mut buf).expect("EAGAIN is no failure"), StreamRead::Drained);
        writer.write_all(b"abc").expect("write");
        assert_eq!(stream.read(&mut buf).expect("data"), StreamRead::Data(3));
        assert_eq!(&buf[..3], b"abc");
        drop(writer);
        assert_eq!(stream.read(&mut buf).expect("end"), StreamRead::End);
    }

    #[test]
    fn writing_loops_and_reports_the_meaning() {
        let (reader, writer) = pipe();
        rustix::io::ioctl_fionbio(&writer, false).expect("blocking writer");
        let data: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
        let copy = data.clone();
        // More than a pipe holds, so that one write cannot take it all.
        let writing = std::thread::spawn(move || KernelStream::new("dev", writer).write_all(&copy));
        rustix::io::ioctl_fionbio(&reader, false).expect("blocking reader");
        let mut got = Vec::new();
        std::fs::File::from(reader).read_to_end(&mut got).expect("read");
        writing.join().expect("thread").expect("all written");
        assert_eq!(got, data);

        // A pipe no one empties takes a part and then nothing: a part is no success.
        let (_reader, writer) = pipe();
        let error = KernelStream::new("dev", writer).write_all(&data).expect_err("the rest was not taken");
        assert_eq!(error.errno, Some(libc::EAGAIN));

        let read_only = OwnedFd::from(std::fs::File::open("/dev/null").expect("open"));
        let mut stream = KernelStream::new("dev", read_only);
        let error = stream.write_all(b"x").expect_err("not open for writing");
        assert_eq!((error.code, error.errno), ("device/stream-write", Some(libc::EBADF)));
        assert_eq!(stream.precopy_info().expect_err("no VFIO").errno, Some(libc::ENOTTY));
    }
}
