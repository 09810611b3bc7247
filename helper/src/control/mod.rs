//! What reaches the helper over stdin and what it answers.

pub mod host;
pub mod lines;
pub mod message;
pub mod num;
pub mod output;
pub mod server;
