//! Streams made by hand against a destination's end.

use std::net::TcpListener;

use super::*;
use crate::area::Area;
use crate::memory::{Backing, Region};
use crate::net::socket::Patience;
use crate::wire::Frame;
use crate::wire::outbox::Outbox;

const LONG: Duration = Duration::from_secs(60);

/// The source's end of one stream.
struct Sender(Socket, Outbox);

impl Sender {
    fn send(&mut self, kind: Kind, at: u64, payload: &[u8]) {
        let frame = Frame { at, count: u32::from(kind == Kind::Zeros), ..Frame::plain(kind) };
        let fill = |into: &mut [u8]| {
            into.copy_from_slice(payload);
            Ok(payload.len())
        };
        self.1.stage(frame, payload.len(), true, fill).expect("staged");
        self.1.send(&mut self.0).expect("sent");
    }
}

fn socket(tcp: TcpStream) -> Socket {
    Socket::plain(tcp, Patience { cancel: None, deadline: None, silence: LONG }, LONG).expect("socket")
}

fn streams(count: usize) -> (Incoming, Vec<Sender>, Arc<Memory>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("bound");
    let pair = |_| {
        let sender = socket(TcpStream::connect(address).expect("connect"));
        (Sender(sender, Outbox::new()), socket(listener.accept().expect("accept").0))
    };
    let (senders, sockets): (Vec<_>, Vec<_>) = (0..count).map(pair).unzip();
    let area = Area { iova: 0, bytes: 16 * 4096 };
    let region = Region::open("m", area, &Backing::Memfd { huge_page_bytes: None }).expect("memfd");
    let memory = Arc::new(Memory::new(4096, vec![region]).expect("layout"));
    (Incoming::start(sockets, &memory).expect("threads"), senders, memory)
}

fn byte(memory: &Memory, at: u64) -> u8 {
    let mut byte = [0];
    memory.slice(at, 1).expect("inside").copy_to(&mut byte);
    byte[0]
}

fn go_on() -> Result<()> {
    Ok(())
}

#[test]
fn what_was_announced_is_waited_for_and_counted_once() {
    let (mut incoming, mut senders, memory) = streams(2);
    let gathering = {
        senders[0].send(Kind::Pages, 0x1000, &[7; 8192]);
        thread::spawn(move || (incoming.gather(&[1, 2], LONG, &mut go_on), incoming))
    };
    senders[1].send(Kind::Pages, 0x4000, &[8; 4096]);
    senders[1].send(Kind::Zeros, 0x5000, &[]);
    let (gathered, mut incoming) = gathering.join().expect("no panic");
    assert_eq!(gathered, Ok(Carried { page_bytes: 12288, zero_bytes: 4096 }));
    assert_eq!([0x1000, 0x2fff, 0x4000, 0x5000].map(|at| byte(&memory, at)), [7, 7, 8, 0]);
    assert_eq!(incoming.gather(&[1, 2], LONG, &mut go_on), Ok(Carried::default()));
    assert_eq!(incoming.close(), Ok(()));
}

#[test]
fn counts_that_are_not_the_streams_are_refused() {
    let (mut incoming, mut senders, _) = streams(1);
    let code = |result: Result<Carried>| result.map_err(|error| error.code);
    assert_eq!(code(incoming.gather(&[], LONG, &mut go_on)), Err("wire/payload"));
    senders[0].send(Kind::Pages, 0, &[7; 4096]);
    senders[0].send(Kind::Pages, 0, &[7; 4096]);
    assert!(incoming.gather(&[2], LONG, &mut go_on).is_ok());
    assert_eq!(code(incoming.gather(&[1], LONG, &mut go_on)), Err("wire/unexpected-frame"));
    let standing_still = incoming.gather(&[3], Duration::ZERO, &mut go_on);
    assert_eq!(code(standing_still), Err("link/timeout"));
    let cancelled = || Err(HelperError::new("run/cancelled", "cancelled"));
    assert_eq!(code(incoming.gather(&[3], LONG, &mut { cancelled })), Err("run/cancelled"));
}

#[test]
fn a_stream_carries_pages_and_nothing_else() {
    for (kind, at, payload, code) in [
        (Kind::Commit, 0, &[][..], "wire/unexpected-frame"),
        (Kind::State, 0, &[1], "wire/unexpected-frame"),
        (Kind::Pages, 16 * 4096, &[1; 4096], "wire/outside-memory"),
    ] {
        let (mut incoming, mut senders, _) = streams(2);
        senders[1].send(kind, at, payload);
        let error = incoming.gather(&[1, 1], LONG, &mut go_on).expect_err("refused");
        assert!(error.code == code && error.message.starts_with("stream 3 of 3: "), "{error}");
    }
}

#[test]
fn a_stream_that_ends_is_the_cause_only_after_a_while() {
    let (mut incoming, senders, _) = streams(1);
    let health = incoming.health();
    drop(senders);
    let error = incoming.gather(&[1], LONG, &mut go_on).expect_err("lost");
    assert!(error.code == "link/lost" && error.message.starts_with("stream 2 of 2: "), "{error}");
    while health.check().is_ok() {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(incoming.close(), Ok(()));
    assert_eq!(health.check(), Ok(()), "no one needs it any more");
}

#[test]
fn nothing_is_stored_once_closed_and_what_nobody_announced_is_told() {
    let (mut incoming, mut senders, memory) = streams(1);
    assert_eq!(incoming.close(), Ok(()));
    senders[0].send(Kind::Pages, 0, &[9; 4096]);
    // Until the stream's thread has looked at the frame: it ends, or has stored it.
    while !incoming.threads[0].is_finished() && incoming.streams[0].lock().frames == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(byte(&memory, 0), 0);

    let (mut incoming, mut senders, _) = streams(1);
    senders[0].send(Kind::Pages, 0, &[9; 4096]);
    while incoming.streams[0].lock().frames == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(incoming.close().map_err(|error| error.code), Err("wire/unexpected-frame"));
}
