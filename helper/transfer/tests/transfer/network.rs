//! A network between source and destination that knows nothing of what it carries, and fails as networks do: a
//! connection is cut, or everything that is sent vanishes without a word.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

#[derive(Clone, Debug)]
pub enum Fault {
    None,
    /// The connection with this number, in the order they came, is cut after so many bytes to the destination.
    Cut {
        connection: usize,
        after: u64,
    },
    /// So many bytes a second reach the destination, over each connection.
    Slow {
        bytes_per_second: u32,
    },
    /// Once `now` is set, nothing arrives any more and nothing is acknowledged: on this connection, or on all.
    Vanish {
        connection: Option<usize>,
        now: Arc<AtomicBool>,
    },
}

/// It ends with this: its threads, and every connection that is left.
pub struct Network {
    port: u16,
    listener: TcpListener,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    carried: Mutex<Vec<u64>>,
    ends: Mutex<Vec<[TcpStream; 2]>>,
    over: AtomicBool,
}

impl Drop for Network {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        for end in self.shared.ends.lock().unwrap().iter().flatten() {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

impl Network {
    pub fn start(target: u16, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        let shared = Arc::new(Shared::default());
        if let Fault::Slow { .. } = fault {
            // What waits here has left the source, and must be little.
            rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 16 * 1024).expect("SO_RCVBUF");
        }
        if let Fault::Vanish { connection, now } = fault.clone() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                while !now.load(Ordering::SeqCst) {
                    if shared.over.load(Ordering::SeqCst) {
                        return;
                    }
                    thread::sleep(Duration::from_millis(2));
                }
                let ends = shared.ends.lock().unwrap();
                for (_, ends) in ends.iter().enumerate().filter(|(number, _)| connection.is_none_or(|it| it == *number))
                {
                    ends.iter().for_each(swallow_everything);
                }
            });
        }
        let (carrying, accepting) = (Arc::clone(&shared), listener.try_clone().expect("dup"));
        thread::spawn(move || {
            for (number, source) in accepting.incoming().enumerate() {
                if carrying.over.load(Ordering::SeqCst) {
                    return;
                }
                let source = source.expect("source");
                let Ok(destination) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                let ends = [&source, &destination].map(|end| end.try_clone().expect("dup"));
                carrying.ends.lock().unwrap().push(ends);
                carrying.carried.lock().unwrap().push(0);
                let back = [&destination, &source].map(|end| end.try_clone().expect("dup"));
                thread::spawn(move || carry(back, |_| u64::MAX));
                let (shared, fault) = (Arc::clone(&carrying), fault.clone());
                thread::spawn(move || {
                    carry([source, destination], |bytes| {
                        shared.carried.lock().unwrap()[number] += bytes;
                        match fault {
                            Fault::Slow { bytes_per_second } => {
                                thread::sleep(Duration::from_secs(1) * bytes as u32 / bytes_per_second);
                                u64::MAX
                            }
                            Fault::Cut { connection, after } if connection == number => {
                                after.saturating_sub(shared.carried.lock().unwrap()[number])
                            }
                            _ => u64::MAX,
                        }
                    });
                });
            }
        });
        Self { port, listener, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn carried(&self) -> Vec<u64> {
        self.shared.carried.lock().unwrap().clone()
    }
}

/// `carried` hears of what went through and says how much more may.
fn carry([mut from, mut to]: [TcpStream; 2], carried: impl Fn(u64) -> u64) {
    let mut buffer = vec![0; 64 * 1024];
    let mut may = carried(0);
    while let Ok(count) = from.read(&mut buffer) {
        let count = count.min(usize::try_from(may).unwrap_or(usize::MAX));
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
        may = carried(count as u64);
        if may == 0 {
            // Cut, not ended: both directions, on both sides.
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Whatever comes for this socket is dropped before TCP sees it: it answers and acknowledges nothing more.
fn swallow_everything(socket: &TcpStream) {
    let drop_all = [libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 }];
    let program = libc::sock_fprog { len: 1, filter: drop_all.as_ptr().cast_mut() };
    // SAFETY: the program lives through the call, which copies it; the descriptor is the caller's.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
}
