//! What is stored beside a body: status, field lines and the facts the caching rules judge by.

pub(crate) mod codec;

use bytes::Bytes;
use weir_caching::{Fields, Freshness, Storable, Vary};

/// Field lines as they are sent: `name: value` CRLF, without framing fields. Compact, written to a client as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block(Bytes);

impl Block {
    /// From lines; Content-Length is left out, since the server loop frames what it sends.
    pub(crate) fn of<F: Fields + ?Sized>(fields: &F) -> Self {
        let mut bytes = Vec::new();
        for (name, value) in fields.lines().filter(|(name, _)| !name.eq_ignore_ascii_case("content-length")) {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        Self(bytes.into_boxed_slice().into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Fields for Block {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.split(|b| *b == b'\n').filter_map(|line| {
            let line = line.strip_suffix(b"\r")?;
            let colon = line.iter().position(|b| *b == b':')?;
            Some((std::str::from_utf8(&line[..colon]).ok()?, line.get(colon + 2..)?))
        })
    }
}

/// The head of a stored response.
#[derive(Debug)]
pub(crate) struct StoredHead {
    pub(crate) status: u16,
    pub(crate) block: Block,
    pub(crate) freshness: Freshness,
    vary: Vary,
    variant: String,
    /// The delivery service's detail that was in force when it was stored.
    #[cfg(feature = "synthetic-next")]
    detail: Option<weir_model::Detail>,
}

impl StoredHead {
    pub(crate) fn new(status: u16, storable: Storable) -> Self {
        let Storable { freshness, fields, vary, variant, .. } = storable;
        Self {
            status,
            block: Block::of(&fields),
            freshness,
            vary,
            variant,
            #[cfg(feature = "synthetic-next")]
            detail: None,
        }
    }

    /// The same response, stored while this detail is in force.
    #[cfg(feature = "synthetic-next")]
    pub(crate) fn under(self, detail: Option<weir_model::Detail>) -> Self {
        Self { detail, ..self }
    }

    /// The detail that was in force when it was stored.
    #[cfg(feature = "synthetic-next")]
    pub(crate) fn detail(&self) -> Option<&str> {
        self.detail.as_ref().map(weir_model::Detail::as_str)
    }

    /// The same response with other fields.
    pub(crate) fn with_fields<F: Fields + ?Sized>(&self, fields: &F) -> Self {
        let (vary, variant) = (self.vary.clone(), self.variant.clone());
        Self {
            status: self.status,
            block: Block::of(fields),
            freshness: self.freshness,
            vary,
            variant,
            #[cfg(feature = "synthetic-next")]
            detail: self.detail.clone(),
        }
    }

    /// Whether it was selected by the same request fields.
    pub(crate) fn answers<F: Fields + ?Sized>(&self, request: &F) -> bool {
        self.vary.matches(&self.variant, request)
    }

    /// Key of the variant another request selects, as far as this response tells.
    pub(crate) fn variant_of<F: Fields + ?Sized>(&self, request: &F) -> Option<String> {
        self.vary.key(request)
    }

    /// Memory it takes, bytes.
    pub(crate) fn bytes(&self) -> u64 {
        let names = match &self.vary {
            Vary::Fields(names) => names.iter().map(|n| n.len() + size_of::<String>()).sum(),
            Vary::Anything => 0,
        };
        #[cfg(feature = "synthetic-next")]
        let names = names + self.detail().map_or(0, str::len);
        (size_of::<Self>() + self.block.0.len() + self.variant.len() + names) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_reads_back_without_content_length() {
        let fields: Vec<(String, Vec<u8>)> =
            [("etag", "\"a\""), ("Content-Length", "5"), ("x", ""), ("cache-control", "a: b, c")].map(|(n, v)| (n.into(), v.into())).into();
        let block = Block::of(&fields);
        let lines: Vec<_> = block.lines().collect();
        assert_eq!(lines, [("etag", b"\"a\"".as_slice()), ("x", b""), ("cache-control", b"a: b, c")]);
        assert_eq!(block.as_bytes(), b"etag: \"a\"\r\nx: \r\ncache-control: a: b, c\r\n");
    }
}
