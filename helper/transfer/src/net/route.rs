//! Which of this host's addresses the kernel would speak from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::error::{FailureKind, HelperError, Result};

/// Any: connecting a UDP socket sends nothing.
const PORT: u16 = 9;

/// The local address of packets to `address`. Nothing is sent.
///
/// # Errors
/// `link/unreachable` when no route leads there.
pub fn route(address: IpAddr) -> Result<IpAddr> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let found = UdpSocket::bind(SocketAddr::new(any, 0)).and_then(|socket| {
        socket.connect(SocketAddr::new(address, PORT))?;
        socket.local_addr()
    });
    found.map(|local| local.ip()).map_err(|error| {
        HelperError::os_of(
            FailureKind::Link,
            "link/unreachable",
            format!("route to {address}"),
            &error,
            "this host has no route there",
        )
        .suggest(format!("see what it would do: ip route get {address}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_reached_from_itself() {
        for address in [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 7)), Ipv6Addr::LOCALHOST.into()] {
            let from = route(address).expect("loopback is up");
            assert!(from.is_loopback() && from.is_ipv4() == address.is_ipv4(), "{from}");
        }
    }

    #[test]
    fn an_address_no_route_leads_to_is_an_error() {
        // 240.0.0.0/4 is reserved: Linux refuses to route there, or has nowhere to send it.
        let error = route(Ipv4Addr::BROADCAST.into()).expect_err("not without SO_BROADCAST");
        assert!(error.code == "link/unreachable" && error.message.contains("255.255.255.255"), "{error}");
    }
}
