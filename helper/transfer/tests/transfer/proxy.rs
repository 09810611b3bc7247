//! Sits between source and destination and understands just enough of the stream to break it at a chosen frame.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use ferry_transfer::net::preface::HELLO_BYTES;
use ferry_transfer::wire::{Frame, HEADER_BYTES, Kind, open, seal};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    ToDestination,
    ToSource,
}

#[derive(Clone, Debug)]
pub enum Meddling {
    Nothing,
    /// The connection ends before this frame.
    Cut,
    /// It ends right after this frame, when nothing is due any more.
    CutAfter,
    /// It ends in the middle of this frame.
    Truncate,
    /// One bit of this frame, counted from its header's first (taken modulo its length).
    Flip(usize),
    /// The frame announces more than any may, its header's own check intact.
    Oversize,
    /// The frame's address is made wrong and its checks are made right again.
    Move(u64),
    /// The payload is rewritten and its checks made right again, in every frame of this kind.
    Rewrite(Kind, fn(&str) -> String),
    /// The first exchange: this byte of the source's first message.
    Preface(usize),
    /// The frame is sent twice.
    Repeat,
}

#[derive(Clone, Debug)]
pub struct Meddler {
    pub way: Way,
    /// Which frame of that way, from 0.
    pub at: u64,
    pub meddling: Meddling,
}

pub struct Proxy {
    port: u16,
    frames: [Arc<AtomicU64>; 2],
}

impl Proxy {
    pub fn start(target: u16, meddler: Meddler) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        let frames: [Arc<AtomicU64>; 2] = Default::default();
        let counters = frames.clone();
        thread::spawn(move || {
            let (source, _) = listener.accept().expect("source");
            let destination = TcpStream::connect(("127.0.0.1", target)).expect("destination");
            for (way, from, to, counter) in [
                (Way::ToDestination, &source, &destination, &counters[0]),
                (Way::ToSource, &destination, &source, &counters[1]),
            ] {
                let (mut from, mut to) = (from.try_clone().expect("dup"), to.try_clone().expect("dup"));
                let (meddler, counter) = (meddler.clone(), Arc::clone(counter));
                thread::spawn(move || {
                    // An end of either kind ends both connections, as a broken network does.
                    let _ = carry(&mut from, &mut to, way, &meddler, &counter);
                    let _ = to.shutdown(Shutdown::Write);
                    if meddler.way == way && !matches!(meddler.meddling, Meddling::Nothing) {
                        let _ = to.shutdown(Shutdown::Both);
                        let _ = from.shutdown(Shutdown::Both);
                    }
                });
            }
        });
        Self { port, frames }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn frames(&self) -> [u64; 2] {
        [self.frames[0].load(Ordering::SeqCst), self.frames[1].load(Ordering::SeqCst)]
    }
}

fn carry(
    from: &mut TcpStream,
    to: &mut TcpStream,
    way: Way,
    meddler: &Meddler,
    counter: &AtomicU64,
) -> std::io::Result<()> {
    let preface = if way == Way::ToDestination { [HELLO_BYTES, 32] } else { [80, 2] };
    for (part, length) in preface.into_iter().enumerate() {
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes)?;
        if let (Meddling::Preface(at), 0, true) = (&meddler.meddling, part, way == meddler.way) {
            bytes[*at] ^= 0xff;
        }
        to.write_all(&bytes)?;
    }
    for number in 0.. {
        let mut header = [0; HEADER_BYTES];
        from.read_exact(&mut header)?;
        let opened = open(&header, number).expect("the helper sends well-formed frames");
        let mut payload = vec![0; opened.frame.length as usize];
        from.read_exact(&mut payload)?;
        if let (Meddling::Rewrite(kind, rewrite), true) = (&meddler.meddling, way == meddler.way) {
            if opened.frame.kind == *kind {
                payload = rewrite(&String::from_utf8(payload).expect("json")).into_bytes();
                header = seal(opened.frame, number, &payload);
            }
        }
        let mut bytes = [&header[..], &payload].concat();
        if way == meddler.way && number == meddler.at {
            match meddler.meddling {
                Meddling::Cut => return Ok(()),
                Meddling::Truncate => {
                    let half = bytes.len() - 1 - payload.len() / 2;
                    return to.write_all(&bytes[..half]);
                }
                Meddling::Flip(bit) => {
                    let bit = bit % (bytes.len() * 8);
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
                Meddling::Oversize => {
                    let huge = vec![0; opened.frame.kind.max_length() + 1];
                    bytes = seal(opened.frame, number, &huge).to_vec();
                }
                Meddling::Move(at) => {
                    bytes = [&seal(Frame { at, ..opened.frame }, number, &payload)[..], &payload].concat();
                }
                Meddling::Repeat => bytes.extend(bytes.clone()),
                Meddling::Nothing | Meddling::CutAfter | Meddling::Rewrite(..) | Meddling::Preface(_) => {}
            }
        }
        // Before the write: the run may be over the moment the last frame is.
        counter.store(number + 1, Ordering::SeqCst);
        to.write_all(&bytes)?;
        if way == meddler.way && number == meddler.at && matches!(meddler.meddling, Meddling::CutAfter) {
            return Ok(());
        }
    }
    Ok(())
}
