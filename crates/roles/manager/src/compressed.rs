//! Content as it is and as zstd frames (RFC 8878). Frames that follow each other are one content (section 3.1), so what many answers
//! share is compressed once, and what is each one's own stands before and behind it.

use axum::http::{HeaderMap, header::ACCEPT_ENCODING};
use hyper::body::Bytes;

/// How hard zstd tries: what changes goes to every device at once, and the manager waits for it.
const LEVEL: i32 = 1;

/// A content coding (RFC 9110 section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// None.
    Identity,
    /// Zstandard (RFC 8878 section 7.2).
    Zstd,
}

impl Coding {
    /// The name of the second.
    pub(crate) const ZSTD: &str = "zstd";

    /// Zstandard for whoever names it in `Accept-Encoding` without a weight, as devices do.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let named = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        if named.map(str::trim).any(|one| one.eq_ignore_ascii_case(Self::ZSTD)) { Self::Zstd } else { Self::Identity }
    }

    /// Content in this coding. Empty content is nothing in either.
    pub(crate) fn encode(self, content: Bytes) -> Bytes {
        match self {
            Coding::Zstd if !content.is_empty() => zstd::bulk::compress(&content, LEVEL).expect("compression into memory ends").into(),
            Coding::Identity | Coding::Zstd => content,
        }
    }
}

/// A part of answers that many share, in both codings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    plain: Bytes,
    zstd: Bytes,
}

impl Part {
    pub(crate) fn of(plain: Bytes) -> Self {
        Self { zstd: Coding::Zstd.encode(plain.clone()), plain }
    }

    pub(crate) fn encoded(&self, coding: Coding) -> Bytes {
        match coding {
            Coding::Identity => self.plain.clone(),
            Coding::Zstd => self.zstd.clone(),
        }
    }

    /// Its length in both codings together.
    pub(crate) fn bytes(&self) -> usize {
        self.plain.len() + self.zstd.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zstd_is_for_whoever_names_it() {
        for (accepts, coding) in [
            (vec!["zstd"], Coding::Zstd),
            (vec!["gzip, ZSTD"], Coding::Zstd),
            (vec!["gzip", "zstd"], Coding::Zstd),
            (vec![], Coding::Identity),
            (vec!["gzip"], Coding::Identity),
            (vec!["zstd;q=0"], Coding::Identity),
            (vec!["*"], Coding::Identity),
        ] {
            let mut headers = HeaderMap::new();
            for value in &accepts {
                headers.append(ACCEPT_ENCODING, value.parse().expect("header"));
            }
            assert_eq!(Coding::accepted(&headers), coding, "{accepts:?}");
        }
    }

    #[test]
    fn parts_that_follow_each_other_are_one_content() {
        let parts = ["own", "", "shared shared shared", "end"].map(|text| Part::of(Bytes::from_static(text.as_bytes())));
        let of = |coding| parts.iter().map(|part| part.encoded(coding)).collect::<Vec<_>>().concat();
        let content = of(Coding::Identity);
        assert_eq!(content, b"ownshared shared sharedend");
        assert_eq!(zstd::stream::decode_all(&of(Coding::Zstd)[..]).expect("frames"), content);
    }
}
