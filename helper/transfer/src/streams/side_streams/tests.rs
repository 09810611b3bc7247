use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::*;
use crate::area::Area;
use crate::memory::{Backing, Region};
use crate::net::socket::{Patience, Wait};
use crate::streams::link::Link;
use crate::streams::pages::Staging as _;
use crate::wire::outbox::Outbox;
use crate::wire::{Frame, Kind};

const LONG: Duration = Duration::from_secs(60);

/// Both ends of a connection.
fn pair() -> (Socket, Socket) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let near = TcpStream::connect(listener.local_addr().expect("bound")).expect("connect");
    let far = listener.accept().expect("accept").0;
    let patience = Patience { cancel: None, deadline: None, silence: LONG };
    let socket = |tcp| Socket::plain(tcp, patience.clone(), LONG).expect("socket");
    (socket(near), socket(far))
}

#[test]
fn pages_are_spread_again_only_once_the_last_are_acknowledged() {
    let ((one, _far_one), (two, _far_two)) = (pair(), pair());
    let mut beside = SideStreams::source(vec![one, two]);
    assert_eq!((beside.streams(), beside.announcement()), (3, None), "nothing was carried");
    let (mut lanes, may) = beside.take();
    assert_eq!(may, 2);
    lanes[1].stage(Frame::plain(Kind::Zeros), 0, true, |_| Ok(0)).expect("staged");
    beside.put(lanes);
    let counts = [0u64, 1].map(u64::to_le_bytes).concat();
    assert_eq!(beside.announcement(), Some(counts));
    assert_eq!(beside.announcement(), None, "told once");
    let (lanes, may) = beside.take();
    assert_eq!((lanes.len(), may), (2, 0), "they could be overtaken");
    beside.put(lanes);
    beside.acknowledged();
    for (asked, expected) in [(0, 0), (1, 0), (2, 1), (3, 2), (9, 2)] {
        beside.set_use(asked);
        let (lanes, may) = beside.take();
        assert_eq!(may, expected, "{asked}");
        beside.put(lanes);
    }
}

#[test]
fn a_stream_that_brings_nonsense_ends_the_wait_on_the_first() {
    let ((mut source, first), (mut second, other)) = (pair(), pair());
    let region = Region::open("m", Area { iova: 0, bytes: 4096 }, &Backing::Memfd { huge_page_bytes: None });
    let memory = Arc::new(Memory::new(4096, vec![region.expect("memfd")]).expect("layout"));
    let mut link = Link::destination(first, vec![other]);
    link.take_in(&memory).expect("threads");
    let deadline = Some(Instant::now() + LONG);
    link.set_patience(Patience { cancel: None, deadline, silence: LONG }).expect("socket");
    second.write(&[0xff; 64], &mut 0).expect("sent");
    let error = link.receive(Wait::Idle).expect_err("the source says nothing here");
    assert!(error.code == "wire/checksum" && error.message.starts_with("stream 2 of 2: "), "{error}");
    // From now on it can be told why, however the other stream is.
    link.abort(&error, true);
    let mut outbox = Outbox::new();
    outbox.stage(Frame::plain(Kind::Abort), 0, true, |_| Ok(0)).expect("staged");
    outbox.send(&mut source).expect("sent");
    assert_eq!(link.receive(Wait::Idle).expect("heard").0.kind, Kind::Abort);
}
