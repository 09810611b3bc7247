//! A ferry of the tests: a helper process, or a proxy to one that stays, and requests to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub const BINARY: &str = env!("CARGO_BIN_EXE_ferry-helper");
/// Far beyond what anything here takes.
pub const LONG: Duration = Duration::from_secs(60);

pub struct Driver {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    /// Nothing more of stdout is read.
    deaf: Arc<AtomicBool>,
    /// Replies that came while others, or events, were waited for: several requests may be under way.
    early: Vec<Value>,
    stderr: Receiver<String>,
    next: u64,
    pub run: String,
    pub epoch: u64,
}

impl Driver {
    pub fn serve() -> Self {
        Self::start(&["--serve"])
    }

    pub fn attach(socket: &Path) -> Self {
        Self::start(&["--attach", socket.to_str().expect("path")])
    }

    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(BINARY)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start");
        let (tell, lines) = channel();
        let stdout = process.stdout.take().expect("piped");
        // A small pipe is soon full for one that does not read.
        rustix::pipe::fcntl_setpipe_size(stdout.as_fd(), 4096).expect("set");
        let deaf = Arc::new(AtomicBool::new(false));
        let is_deaf = Arc::clone(&deaf);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                while is_deaf.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(5));
                }
                let _ = tell.send(serde_json::from_str(&line).expect("a line is JSON"));
            }
        });
        let (tell, stderr) = channel();
        let mut errors = process.stderr.take().expect("piped");
        thread::spawn(move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            let _ = tell.send(text);
        });
        let stdin = process.stdin.take();
        Self { process, stdin, lines, deaf, early: Vec::new(), stderr, next: 1, run: "r1".into(), epoch: 1 }
    }

    /// Stops reading, and fills the pipe with what is not read.
    pub fn stop_reading(&mut self) {
        self.deaf.store(true, Ordering::SeqCst);
        for _ in 0..500 {
            self.send("ping", json!({}));
        }
    }

    /// Sends a request and returns its id.
    pub fn send(&mut self, op: &str, params: Value) -> u64 {
        self.try_send(op, params).expect("the helper reads")
    }

    /// `None`: the helper has ended.
    pub fn try_send(&mut self, op: &str, params: Value) -> Option<u64> {
        let id = self.next;
        self.next += 1;
        let line = json!({"id": id, "op": op, "run": self.run, "epoch": self.epoch, "params": params});
        let stdin = self.stdin.as_mut().expect("still open");
        stdin.write_all(format!("{line}\n").as_bytes()).ok().map(|()| id)
    }

    /// The reply to `id`; events that come before it are dropped.
    pub fn reply(&mut self, id: u64) -> Result<Value, Value> {
        let of = |line: &Value| line["id"] == id;
        let line = match self.early.iter().position(of) {
            Some(index) => self.early.remove(index),
            None => self.next_line(of).unwrap_or_else(|| panic!("no reply to {id}")),
        };
        if line["error"].is_null() { Ok(line["ok"].clone()) } else { Err(line["error"].clone()) }
    }

    /// As [`Self::reply`]; `None` when it does not come in time.
    pub fn reply_within(&mut self, id: u64, patience: Duration) -> Option<Result<Value, Value>> {
        let line = self.next_within(|line| line["id"] == id, patience)?;
        Some(if line["error"].is_null() { Ok(line["ok"].clone()) } else { Err(line["error"].clone()) })
    }

    fn next_line(&mut self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        self.next_within(wanted, LONG)
    }

    fn next_within(&mut self, wanted: impl Fn(&Value) -> bool, patience: Duration) -> Option<Value> {
        let until = Instant::now() + patience;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())).ok()?;
            if wanted(&line) {
                return Some(line);
            }
            if line["id"].is_u64() {
                self.early.push(line);
            }
        }
    }

    pub fn ask(&mut self, op: &str, params: Value) -> Result<Value, Value> {
        let id = self.send(op, params);
        self.reply(id)
    }

    pub fn ok(&mut self, op: &str, params: Value) -> Value {
        self.ask(op, params).unwrap_or_else(|error| panic!("{op}: {error}"))
    }

    /// The code with which `op` is refused.
    pub fn refused(&mut self, op: &str, params: Value) -> String {
        let error = self.ask(op, params).expect_err(op);
        error["code"].as_str().expect("a code").to_owned()
    }

    pub fn hello(&mut self) -> Value {
        self.ok("hello", json!({"protocol": 2}))
    }

    /// The next event called `name`.
    pub fn event(&mut self, name: &str) -> Value {
        self.next_line(|line| line["event"] == name).unwrap_or_else(|| panic!("no event {name}"))
    }

    /// Ends the connection; the process may stay.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    pub fn kill(&mut self) {
        self.process.kill().expect("kill");
        self.process.wait().expect("reaped");
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: signals a child of ours that was not waited for yet.
        assert_eq!(unsafe { libc::kill(self.process.id() as i32, signal) }, 0);
    }

    pub fn is_alive(&mut self) -> bool {
        self.process.try_wait().expect("wait").is_none()
    }

    pub fn end_status(&mut self) -> ExitStatus {
        self.end_status_within(LONG)
    }

    pub fn end_status_within(&mut self, patience: Duration) -> ExitStatus {
        let until = Instant::now() + patience;
        while self.is_alive() {
            assert!(Instant::now() < until, "process {} does not end", self.process.id());
            thread::sleep(Duration::from_millis(5));
        }
        self.process.wait().expect("reaped")
    }

    /// Waits for the process to end, and says what it wrote on stderr.
    pub fn end(&mut self) -> (ExitStatus, String) {
        (self.end_status(), self.stderr.recv_timeout(LONG).expect("stderr"))
    }

    /// Whether nothing of the starter's is held open any more: its pipes have ended.
    pub fn pipes_ended(&self) -> bool {
        let stdout_ended = loop {
            match self.lines.recv_timeout(LONG) {
                Ok(_) => {}
                Err(error) => break error == RecvTimeoutError::Disconnected,
            }
        };
        stdout_ended && self.stderr.recv_timeout(LONG).is_ok()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Until `found` gives something.
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + LONG;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < until, "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
