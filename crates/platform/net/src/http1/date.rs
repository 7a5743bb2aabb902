//! The Date field, formatted once per second and thread.

use std::{cell::RefCell, time::Duration};

/// `Date: ` to CRLF: IMF-fixdate is 29 bytes (RFC 9110 5.6.7).
const LINE_BYTES: usize = 6 + 29 + 2;

struct Cached {
    second: u64,
    line: [u8; LINE_BYTES],
}

thread_local! {
    static CACHED: RefCell<Cached> = const { RefCell::new(Cached { second: u64::MAX, line: [b' '; LINE_BYTES] }) };
}

/// Appends the Date field of now.
pub(crate) fn push_date(out: &mut Vec<u8>) {
    let second = weir_clock::wall_seconds();
    CACHED.with_borrow_mut(|cached| {
        if cached.second != second {
            cached.line = format_line(second);
            cached.second = second;
        }
        out.extend_from_slice(&cached.line);
    });
}

fn format_line(second: u64) -> [u8; LINE_BYTES] {
    let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(second));
    let mut line = [b' '; LINE_BYTES];
    line[..6].copy_from_slice(b"Date: ");
    line[6..35].copy_from_slice(&date.as_bytes()[..29]);
    line[35..].copy_from_slice(b"\r\n");
    line
}

#[cfg(test)]
mod tests {
    #[test]
    fn is_an_imf_fixdate_line() {
        assert_eq!(&super::format_line(784_111_777), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    }
}
