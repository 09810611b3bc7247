//! Connections: sockets, TLS, who may connect, and how one side finds and proves itself to the other.

pub(in crate::transfer) mod alive;
pub(in crate::transfer) mod connect;
pub(in crate::transfer) mod dial;
pub(in crate::transfer) mod door;
pub(in crate::transfer) mod interface;
pub(in crate::transfer) mod listener;
pub mod preface;
pub mod route;
pub(in crate::transfer) mod socket;
pub(in crate::transfer) mod strangers;
pub mod tls;
