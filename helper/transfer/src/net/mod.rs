//! Connections: sockets, TLS, who may connect, and how one side finds and proves itself to the other.

pub(crate) mod alive;
pub(crate) mod connect;
pub(crate) mod dial;
pub(crate) mod door;
pub(crate) mod interface;
pub(crate) mod listener;
pub mod preface;
pub mod route;
pub(crate) mod socket;
pub(crate) mod strangers;
pub mod tls;
