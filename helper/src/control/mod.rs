//! What reaches the helper, over stdin or one of its sockets, and what it answers.

pub mod attach;
mod connection;
mod guard;
mod hand_out;
pub mod host;
pub mod lines;
mod output;
mod ownership;
mod probe;
pub mod process;
pub mod rights;
pub mod server;
mod service;
mod socket;
mod sockets;
pub(crate) mod value;
mod worker;
