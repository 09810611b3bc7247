//! Connections: sockets, TLS, who may connect, and how one side finds and proves itself to the other.

pub(crate) mod admission;
pub(crate) mod alive;
pub(crate) mod connect;
pub(crate) mod dial;
pub(crate) mod interface;
pub(crate) mod listener;
pub mod preface;
pub(crate) mod rejections;
pub mod route;
pub mod socket;
pub mod tls;
pub mod versions;
