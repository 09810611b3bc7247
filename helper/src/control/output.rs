//! The one writer of the control line: replies and events, each a whole line, from any thread.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::message::{Event, EventSink};
use crate::error::HelperError;

#[derive(Serialize)]
struct Reply<'a, T: Serialize> {
    /// `None` when the line was too broken to have one.
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a HelperError>,
}

pub struct Output<W: Write + Send> {
    writer: Mutex<W>,
}

impl<W: Write + Send> Output<W> {
    pub fn new(writer: W) -> Self {
        Self { writer: Mutex::new(writer) }
    }

    /// Sends the reply and returns its line, so that a repeated request can be answered the same.
    pub fn reply(&self, id: Option<u64>, result: &Result<serde_json::Value, HelperError>) -> String {
        let reply = Reply { id, ok: result.as_ref().ok(), error: result.as_ref().err() };
        let line = serde_json::to_string(&reply).unwrap_or_else(|error| {
            format!(r#"{{"id":null,"error":{{"code":"helper/bug","message":"unwritable reply: {error}"}}}}"#)
        });
        self.line(&line);
        line
    }

    /// Writes one line. A reader that is gone shows as end of input on stdin, which is where it is handled.
    pub fn line(&self, line: &str) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer.write_all(format!("{line}\n").as_bytes()).and_then(|()| writer.flush());
    }
}

impl<W: Write + Send> EventSink for Output<W> {
    fn emit(&self, event: Event) {
        if let Ok(line) = serde_json::to_string(&event) {
            self.line(&line);
        }
    }
}
