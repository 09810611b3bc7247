//! The helper as a server: requests from stdin and from its sockets, one worker that owns the session.
//!
//! The end of its owner cancels what is under way; what is not committed is undone, and the process ends. It stays where
//! it may not undo any more, or holds a workload: then it answers at its sockets until a later owner is done with it.
//! SIGTERM ends it in every case, in good order; what a run past COMMIT left behind is told by its record.

use std::io::{BufReader, stdin, stdout};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use super::connection::listen_to;
use super::output::Output;
use super::process;
use super::rights::keep_rights;
use super::service::Service;
use super::worker::Worker;
use crate::error::{HelperError, Result};
use crate::privileges::without_capabilities;

/// Serves until nothing is left to serve. Call it before the first thread is started.
///
/// # Errors
/// No identity or no output to begin with; `helper/bug` when the worker panicked.
pub fn serve() -> Result<()> {
    let (work, queue) = channel();
    let service = Service::new(work);
    {
        let service = Arc::clone(&service);
        process::take_signals(move || service.terminate());
    }
    let output = stdout()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| HelperError::os("helper/stdout", "dup of stdout", &error, "there is no way to answer"))?;
    let no_thread =
        |error: std::io::Error| HelperError::os("helper/stdout", "clone", &error, "there is no thread to answer");
    let output = Output::new(output, false).map_err(no_thread)?;
    let Some(connection) = service.connect(output, None)? else { return Ok(()) };
    keep_rights().map_err(no_thread)?;
    let worker = Worker::new(Arc::clone(&service), Arc::clone(&connection.identity));
    let worker =
        thread::Builder::new().name("worker".to_owned()).spawn(move || worker.work_off(&queue)).map_err(no_thread)?;
    {
        let service = Arc::clone(&service);
        thread::spawn(move || listen_to(&service, &connection, BufReader::new(stdin())));
    }
    without_capabilities();
    let worked = worker.join().map_err(|_| HelperError::new("helper/bug", "the worker thread panicked"));
    service.finish();
    worked
}
