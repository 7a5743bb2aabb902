//! Fields that belong to one connection: never stored, never forwarded (RFC 9110 section 7.6.1, RFC 9111 section 3.1).

use crate::Fields;
use crate::fields::{is_token, list_members};

/// Fields that are hop-by-hop in every message, in lower case.
const ALWAYS: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields `Connection` cannot remove, in lower case: they are meant for every recipient, and a sender must not name such
/// a field (RFC 9110 section 7.6.1). Obeying would let a client strip its own credentials or an origin its own rules.
const NEVER: [&str; 15] = [
    "age",
    "authorization",
    "cache-control",
    "cdn-cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expires",
    "host",
    "last-modified",
    "vary",
    "weir-cdn-cache-control",
];

/// The hop-by-hop fields of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HopByHop {
    /// Fields `Connection` names beyond the fixed ones, in lower case.
    named: Vec<String>,
}

impl HopByHop {
    /// The hop-by-hop fields of a message with these fields; allocates only when `Connection` names some.
    pub fn of<F: Fields + ?Sized>(fields: &F) -> HopByHop {
        let named = fields
            .values("connection")
            .flat_map(list_members)
            .filter(|option| is_token(option))
            .filter_map(|option| std::str::from_utf8(option).ok())
            .filter(|option| !is_one_of(&ALWAYS, option) && !is_one_of(&NEVER, option))
            .filter(|option| !option.eq_ignore_ascii_case("close"))
            .map(str::to_ascii_lowercase)
            .collect();
        HopByHop { named }
    }

    /// Whether the field stays on its connection.
    pub fn contains(&self, name: &str) -> bool {
        is_one_of(&ALWAYS, name) || self.named.iter().any(|named| named.eq_ignore_ascii_case(name))
    }
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_and_named_fields_stay() {
        let lines: &[(&str, &[u8])] = &[("Connection", b"close, A"), ("connection", b"b,, \"c\", Cache-Control, Authorization")];
        let hop_by_hop = HopByHop::of(lines);
        for stays in ["Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "upgrade", "Proxy-Authenticate", "a", "B"] {
            assert!(hop_by_hop.contains(stays), "{stays}");
        }
        for goes in ["c", "Cache-Control", "Authorization", "Content-Length", "Server"] {
            assert!(!hop_by_hop.contains(goes), "{goes}");
        }
    }
}
