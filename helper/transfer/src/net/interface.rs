//! The address of a network interface, for operators who name the interface and not the address.

use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{FailureKind, HelperError, Result};

/// One address of one interface that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    interface: String,
    /// `None`: the interface is there, but this entry is no IP address.
    address: Option<IpAddr>,
}

/// The first global address of this interface, IPv4 before IPv6.
///
/// # Errors
/// `link/interface` when there is none: what there is instead is named.
pub fn address_of(interface: &str) -> Result<IpAddr> {
    choose(interface, &addresses()?)
}

fn choose(interface: &str, all: &[Found]) -> Result<IpAddr> {
    let of_it: Vec<_> = all.iter().filter(|found| found.interface == interface).collect();
    let usable = |wants_v4: bool| {
        of_it
            .iter()
            .filter_map(|found| found.address)
            .find(|address| address.is_ipv4() == wants_v4 && !is_link_local(*address))
    };
    if let Some(address) = usable(true).or_else(|| usable(false)) {
        return Ok(address);
    }
    let local: Vec<_> = of_it.iter().filter_map(|found| found.address).map(|address| address.to_string()).collect();
    let message = if !local.is_empty() {
        format!("interface {interface} has only link-local addresses: {}", local.join(", "))
    } else if !of_it.is_empty() {
        format!("interface {interface} has no IP address")
    } else {
        let mut names: Vec<_> = all.iter().map(|found| found.interface.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        format!("there is no interface {interface}, or it is down; up are: {}", names.join(", "))
    };
    Err(HelperError::of(FailureKind::Link, "link/interface", message)
        .suggest("name an interface that has a global address (ip -brief address), or give the address itself"))
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Of every interface that is up, in the kernel's order.
fn addresses() -> Result<Vec<Found>> {
    let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `first` is a valid place for the list's head; it is freed below.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(HelperError::os_of(
            FailureKind::Link,
            "link/interface",
            "getifaddrs",
            &std::io::Error::last_os_error(),
            "",
        ));
    }
    let mut found = Vec::new();
    let mut next = first;
    while !next.is_null() {
        // SAFETY: a non-null link of the list getifaddrs gave, which is not freed yet; its name is a C string.
        let (entry, name) = unsafe { (&*next, CStr::from_ptr((*next).ifa_name)) };
        if entry.ifa_flags & libc::IFF_UP as u32 != 0 {
            found.push(Found { interface: name.to_string_lossy().into_owned(), address: ip_address(entry.ifa_addr) });
        }
        next = entry.ifa_next;
    }
    // SAFETY: the head getifaddrs gave, freed once; nothing borrowed from the list is left.
    unsafe { libc::freeifaddrs(first) };
    Ok(found)
}

fn ip_address(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: getifaddrs gives addresses of the size their family says; the family is read first.
    unsafe {
        match i32::from((*address).sa_family) {
            libc::AF_INET => {
                let v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let v6 = address.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(interface: &str, address: &str) -> Found {
        Found { interface: interface.to_owned(), address: address.parse().ok() }
    }

    #[test]
    fn the_first_global_address_is_taken_and_v4_comes_first() {
        let all = [
            found("lo", "127.0.0.1"),
            found("eth0", ""),
            found("eth0", "fe80::1"),
            found("eth0", "2001:db8::7"),
            found("eth0", "169.254.3.4"),
            found("eth0", "192.0.2.7"),
            found("eth0", "192.0.2.8"),
            found("eth1", "fe80::2"),
            found("eth1", "2001:db8::8"),
            found("eth2", "fe80::3"),
            found("eth3", ""),
        ];
        let chosen = |name| choose(name, &all).map(|address| address.to_string());
        assert_eq!(chosen("eth0").as_deref(), Ok("192.0.2.7"));
        assert_eq!(chosen("eth1").as_deref(), Ok("2001:db8::8"));
        for (name, says) in [
            ("eth2", "only link-local addresses: fe80::3"),
            ("eth3", "no IP address"),
            ("eth", "up are: eth0, eth1, eth2, eth3, lo"),
        ] {
            let error = chosen(name).expect_err("none");
            assert!(error.code == "link/interface" && error.message.contains(says), "{error}");
        }
    }

    #[test]
    fn loopback_is_found() {
        assert_eq!(address_of("lo").expect("loopback is up"), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
}
