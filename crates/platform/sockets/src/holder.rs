//! Who holds an address: socket tables and file descriptors of `/proc`, as far as they may be read.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};
use weir_keeper_api::Proto;

/// State of a listening stream socket in `/proc/net/tcp` (proc_pid_net(5), `TCP_LISTEN`).
const LISTENING: &str = "0A";

/// Longest command line repeated in an error, in characters.
const COMMAND_MAX_CHARS: usize = 160;

/// The process that holds an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.command)
    }
}

/// The process that holds `address`; `None` when `/proc` does not tell this user.
pub fn holder(proto: Proto, address: SocketAddr) -> Option<Holder> {
    let tables: &[&str] = match proto {
        Proto::Tcp => &["/proc/net/tcp", "/proc/net/tcp6"],
        Proto::Udp => &["/proc/net/udp", "/proc/net/udp6"],
    };
    let inodes: Vec<String> =
        tables.iter().filter_map(|path| fs::read_to_string(path).ok()).flat_map(|table| inodes(&table, proto, address)).collect();
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    if links.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| has_open(*pid, &links)).map(|pid| Holder { pid, command: command(pid) })
}

/// The inodes of the sockets in a table that keep `address` from being bound.
fn inodes(table: &str, proto: Proto, address: SocketAddr) -> Vec<String> {
    let rows = table.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
        let (ip, port) = parse_address(local)?;
        let held = port == address.port() && (ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified());
        (held && (proto == Proto::Udp || *state == LISTENING)).then(|| (*inode).to_owned())
    });
    rows.collect()
}

/// `0100007F:1F90`: the address as 32-bit words in host order, the port in hexadecimal.
fn parse_address(text: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for at in (0..ip.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let ip = match bytes.len() {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => return None,
    };
    Some((ip, port))
}

fn has_open(pid: u32, links: &[String]) -> bool {
    let Ok(open) = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")) else { return false };
    open.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| links.iter().any(|link| target.as_os_str() == link.as_str())))
}

fn command(pid: u32) -> String {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&raw).replace('\0', " ");
    let words = words.trim();
    if words.is_empty() {
        "command unknown".to_owned()
    } else {
        words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(COMMAND_MAX_CHARS).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0\n\
        1: 0100007F:1F90 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0\n\
        2: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 13 1 0 100 0 0 10 0\n\
        broken line\n";

    #[cfg(target_endian = "little")]
    #[test]
    fn rows_that_hold_an_address() {
        for (address, inode) in
            [("127.0.0.1:8080", &["11"][..]), ("127.0.0.2:8080", &[]), ("127.0.0.2:8081", &["13"]), ("0.0.0.0:8080", &["11"])]
        {
            assert_eq!(inodes(TABLE, Proto::Tcp, address.parse().expect("address")), inode, "{address}");
        }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_of_both_families() {
        let six = "00000000000000000000000001000000:14E9";
        assert_eq!(parse_address(six), Some(("::1".parse().expect("address"), 5353)));
        assert_eq!(parse_address("0B014D7F:2382"), Some(("127.77.1.11".parse().expect("address"), 9090)));
        for bad in ["", "0100007F", "xyz:1F90", "0100:1F90", "0100007F:1F90F"] {
            assert_eq!(parse_address(bad), None, "{bad}");
        }
    }
}
