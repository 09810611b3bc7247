//! What reaches the helper over stdin and what it answers.

pub mod message;
pub mod num;
