//! Connections made by hand: what no source of ours would do.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::*;
use crate::message::{Event, EventSink};
use crate::net::preface::{HELLO_BYTES, MAGIC, introduce};
use crate::net::versions::SPOKEN;
use crate::streams::link::{Link, Listener};

const RUN: &str = "run-1";
const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// A refusal after a good first message: magic, version, verdict, then nonce and proof.
const ANSWER: usize = 80;

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl EventSink for Lines {
    fn emit(&self, event: Event) {
        if let Event::Log { message, .. } = event {
            self.0.lock().expect("not poisoned").push(message);
        }
    }
}

/// A destination that waits, and what became of it.
struct Waiting {
    port: u16,
    lines: Arc<Lines>,
    cancel: Arc<AtomicBool>,
    accepting: JoinHandle<Result<Link>>,
}

fn wait_for(streams: u16, change: impl Fn(&mut ListenParams)) -> Waiting {
    let identity = Arc::new(Identity::generate().expect("identity"));
    let mut params = ListenParams {
        address: "127.0.0.1".into(),
        interface: None,
        from: None,
        port: 0,
        encrypt: false,
        peer: identity.fingerprint().to_owned(),
        secret: SECRET.into(),
        link_timeout_ms: 10_000,
        keepalive_ms: 10_000,
        streams,
    };
    change(&mut params);
    let listener = Listener::bind(&params, &identity, RUN, 7).expect("bind");
    let port = listener.address().port();
    let (lines, cancel) = (Arc::new(Lines::default()), Arc::new(AtomicBool::new(false)));
    let accepting = {
        let (cancel, events) = (Arc::clone(&cancel), Arc::clone(&lines) as Arc<dyn EventSink>);
        thread::spawn(move || listener.accept(&cancel, &events))
    };
    Waiting { port, lines, cancel, accepting }
}

impl Waiting {
    fn tcp(&self) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens")
    }

    fn introduce(&self, place: Place) -> Result<Socket> {
        let patience = Patience { cancel: None, deadline: None, silence: Duration::from_secs(10) };
        let mut socket = Socket::plain(self.tcp(), patience, Duration::from_secs(10))?;
        introduce(&mut socket, &Credentials::new(RUN, 7, SECRET)?, place)?;
        Ok(socket)
    }

    fn accepted(self) -> Result<u16> {
        self.accepting.join().expect("no panic").map(|link| link.streams())
    }

    /// Ends the waiting, once so many lines were logged: strangers are judged on threads of their own, and the last of
    /// them ends the log.
    fn cancelled(self, count: usize) -> Vec<String> {
        self.cancel.store(true, Ordering::SeqCst);
        assert_eq!(self.accepting.join().expect("no panic").err().map(|error| error.code), Some("run/cancelled"));
        loop {
            let lines = self.lines.0.lock().expect("not poisoned").clone();
            if lines.len() >= count {
                return lines;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn code<T>(result: Result<T>) -> &'static str {
    result.map_or_else(|error| error.code, |_| "ok")
}

#[test]
fn streams_that_stay_away_are_missed() {
    let waiting = wait_for(3, |_| {});
    let first = Place::first_of(3).expect("random");
    let _here = [first, Place { index: 2, ..first }].map(|place| waiting.introduce(place).expect("welcome"));
    let error = waiting.accepted().expect_err("one is missing");
    assert!(error.code == "link/streams" && error.message.starts_with("2 of the source's 3 connections"), "{error}");
}

#[test]
fn each_stream_comes_once_and_all_from_one_source() {
    let waiting = wait_for(3, |_| {});
    let first = Place::first_of(3).expect("random");
    let _first = waiting.introduce(first).expect("welcome");
    let other = Place { index: 1, ..Place::first_of(3).expect("random") };
    for (wrong, says) in [
        (first, "this stream"),
        (other, "another source"),
        (Place { index: 3, ..first }, "different numbers"),
        (Place { index: 1, count: 2, ..first }, "different numbers"),
    ] {
        let error = waiting.introduce(wrong).err().expect("refused");
        assert!(error.code == "wire/streams" && error.message.contains(says), "{wrong:?}: {error}");
    }
    let _others = [1, 2].map(|index| waiting.introduce(Place { index, ..first }).expect("welcome"));
    let port = waiting.port;
    assert_eq!(waiting.accepted(), Ok(3), "the refused ones disturbed nothing");
    let late = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect_err("no one listens any more");
    assert_eq!(late.raw_os_error(), Some(libc::ECONNREFUSED));
}

#[test]
fn a_recorded_introduction_proves_nothing() {
    let record = |waiting: &Waiting| {
        // Between a source and the listener; what the source says is kept.
        let relay = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = relay.local_addr().expect("bound");
        let source = thread::spawn(move || {
            let patience = Patience { cancel: None, deadline: None, silence: Duration::from_secs(10) };
            let tcp = TcpStream::connect(address).expect("relay");
            let mut socket = Socket::plain(tcp, patience, Duration::from_secs(10)).expect("socket");
            introduce(&mut socket, &Credentials::new(RUN, 7, SECRET).expect("secret"), Place::first_of(2)?)
        });
        let (mut from, mut to) = (relay.accept().expect("source").0, waiting.tcp());
        let mut said = vec![0; HELLO_BYTES + 32];
        from.read_exact(&mut said[..HELLO_BYTES]).expect("hello");
        to.write_all(&said[..HELLO_BYTES]).expect("relayed");
        let mut answer = [0; ANSWER];
        to.read_exact(&mut answer).expect("answer");
        from.write_all(&answer).expect("relayed");
        from.read_exact(&mut said[HELLO_BYTES..]).expect("proof");
        // The connection ends before the proof arrives: it was never used.
        drop((from, to));
        assert!(source.join().expect("no panic").is_err());
        said
    };
    let waiting = wait_for(2, |_| {});
    let said = record(&waiting);
    let mut replaying = waiting.tcp();
    replaying.write_all(&said).expect("write");
    let mut heard = Vec::new();
    replaying.read_to_end(&mut heard).expect("told, then closed");
    assert_eq!(heard.len(), ANSWER + 2);
    assert_eq!(heard[ANSWER..], (Verdict::Secret as u16).to_le_bytes());
    let first = Place::first_of(2).expect("random");
    let _both = [0, 1].map(|index| waiting.introduce(Place { index, ..first }).expect("welcome"));
    assert_eq!(waiting.accepted(), Ok(2));
}

#[test]
fn another_version_is_told_at_once_however_short_its_message() {
    let waiting = wait_for(1, |_| {});
    for version in [SPOKEN.oldest - 1, SPOKEN.newest + 1] {
        let mut tcp = waiting.tcp();
        tcp.write_all(&[&MAGIC[..], &version.to_le_bytes(), b"anything"].concat()).expect("write");
        let mut heard = [0; ANSWER];
        tcp.read_exact(&mut heard).expect("an answer of the old length");
        assert_eq!(heard[..8], MAGIC);
        assert_eq!(heard[8..12], [SPOKEN.newest as u8, 0, Verdict::Version as u8, 0]);
        assert_eq!(heard[12..16], [SPOKEN.oldest as u8, 0, SPOKEN.newest as u8, 0], "what to upgrade to");
        assert!(heard[48..].iter().all(|byte| *byte == 0), "no proof for strangers");
    }
    let lines = waiting.cancelled(2);
    assert!(lines.len() == 2 && lines[0].contains("wire/version") && lines[1].contains("1 more"), "{lines:?}");
}

#[test]
fn tls_1_2_is_refused_by_an_alert() {
    let waiting = wait_for(1, |params| params.encrypt = true);
    // A ClientHello without the extension that names TLS 1.3: ECDHE-ECDSA-AES128-GCM-SHA256, one curve, one signature.
    let extensions = [
        &[0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x1d][..],
        &[0x00, 0x0b, 0x00, 0x02, 0x01, 0x00],
        &[0x00, 0x0d, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03],
    ]
    .concat();
    let body = [
        &[0x03, 0x03][..],
        &[7; 32],
        &[0x00],
        &[0x00, 0x02, 0xc0, 0x2b],
        &[0x01, 0x00],
        &(extensions.len() as u16).to_be_bytes(),
        &extensions,
    ]
    .concat();
    let handshake = [&[0x01, 0x00][..], &(body.len() as u16).to_be_bytes(), &body].concat();
    let record = [&[0x16, 0x03, 0x01][..], &(handshake.len() as u16).to_be_bytes(), &handshake].concat();
    let mut tcp = waiting.tcp();
    tcp.write_all(&record).expect("write");
    let mut heard = Vec::new();
    tcp.read_to_end(&mut heard).expect("told, then closed");
    assert_eq!((heard[0], heard[5], heard[6]), (0x15, 2, 70), "a fatal alert: protocol_version");
    let lines = waiting.cancelled(1);
    assert!(lines[0].contains("wire/tls"), "{lines:?}");
}

#[test]
fn only_the_address_expected_may_speak() {
    let waiting = wait_for(1, |params| params.from = Some(Ipv4Addr::new(127, 0, 0, 9).into()));
    for _ in 0..3 {
        let mut tcp = waiting.tcp();
        // Not even its nonsense is read: there is nothing to send back to it.
        let heard = tcp.write_all(&[0; 64]).and_then(|()| tcp.read(&mut [0; 8]));
        assert!(matches!(heard, Ok(0) | Err(_)), "{heard:?}");
    }
    assert_eq!(code(waiting.introduce(Place::first_of(1).expect("random"))), "link/lost");
    let lines = waiting.cancelled(2);
    let all = lines.join("\n");
    assert!(all.contains("127.0.0.1") && all.contains("only 127.0.0.9 may connect"), "{all}");
    assert_eq!(lines.len(), 2, "one line, and one that counts the rest: {all}");
}

#[test]
fn a_crowd_keeps_nobody_out_and_its_members_are_sent_away() {
    let waiting = wait_for(2, |_| {});
    let mut crowd: Vec<_> = (0..3 * AT_ONCE).map(|_| waiting.tcp()).collect();
    let first = Place::first_of(2).expect("random");
    let _first = waiting.introduce(first).expect("let in at once, between silent strangers");
    crowd.extend((0..3 * AT_ONCE).map(|_| waiting.tcp()));
    let _second = waiting.introduce(Place { index: 1, ..first }).expect("and the other too");
    let lines = Arc::clone(&waiting.lines);
    assert_eq!(waiting.accepted(), Ok(2));
    for mut stranger in crowd {
        let mut heard = Vec::new();
        // Reset or closed: no byte was sent to it.
        let _ = stranger.read_to_end(&mut heard);
        assert!(heard.is_empty());
    }
    assert!(lines.0.lock().expect("not poisoned").len() <= 2, "few lines for many strangers");
}
