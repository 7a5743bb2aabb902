//! Why a request is refused before any service sees it: the status, and the word that metrics and logs use.

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident $status:literal $word:literal,)*) => {
        /// A request the server does not pass on. Every refusal closes the connection.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        #[error("{}", self.as_str())]
        pub enum Refusal { $($(#[$doc])* $name,)* }

        impl Refusal {
            /// Every refusal, in the order of [`Refusal::index`].
            pub const ALL: &'static [Refusal] = &[$(Refusal::$name,)*];

            /// The status the client is answered with.
            pub fn status(self) -> u16 {
                match self { $(Refusal::$name => $status,)* }
            }

            /// The word for it in metrics, logs and the answer's body.
            pub fn as_str(self) -> &'static str {
                match self { $(Refusal::$name => $word,)* }
            }
        }
    };
}

refusals! {
    /// A line feed without its carriage return (RFC 9112 2.2 allows servers to take it; taking it is how requests are smuggled).
    BareLf 400 "bare_lf",
    /// A carriage return without its line feed (RFC 9112 2.2).
    BareCr 400 "bare_cr",
    /// A NUL byte in the head.
    Nul 400 "nul",
    /// A field continued on the next line, or whitespace before the first field (RFC 9112 5.2, 2.2).
    ObsoleteFold 400 "obsolete_fold",
    /// More than one empty line before the request line.
    EmptyLine 400 "empty_line",
    /// A request line that is not method, one space, target, one space, version (RFC 9112 3).
    BadRequestLine 400 "bad_request_line",
    /// A version that is not `HTTP/` digit `.` digit (RFC 9112 2.3).
    BadVersion 400 "bad_version",
    /// A well-formed version other than 1.0 and 1.1.
    UnsupportedVersion 505 "unsupported_version",
    /// A field name that is not a token, or whitespace before the colon (RFC 9112 5.1).
    BadFieldName 400 "bad_field_name",
    /// A field value with a control character (RFC 9110 5.5).
    BadFieldValue 400 "bad_field_value",
    /// A target in none of the forms the method allows (RFC 9112 3.2).
    BadTarget 400 "bad_target",
    /// CONNECT: this server is no tunnel.
    Connect 501 "connect",
    /// HTTP/1.1 without Host (RFC 9112 3.2).
    MissingHost 400 "missing_host",
    /// More than one Host.
    RepeatedHost 400 "repeated_host",
    /// A Host that is not a name or address with an optional port.
    BadHost 400 "bad_host",
    /// An absolute target naming another authority than Host.
    HostMismatch 400 "host_mismatch",
    /// Content-Length that is not one decimal number.
    BadContentLength 400 "bad_content_length",
    /// More than one Content-Length, even equal ones.
    RepeatedContentLength 400 "repeated_content_length",
    /// Transfer-Encoding that is not exactly `chunked`, comes twice, or comes with HTTP/1.0 (RFC 9112 6.1).
    BadTransferEncoding 400 "bad_transfer_encoding",
    /// Both Content-Length and Transfer-Encoding.
    TwoFramings 400 "two_framings",
    /// A chunk-size line that is not hexadecimal digits, an optional extension and CRLF (RFC 9112 7.1).
    BadChunkSize 400 "bad_chunk_size",
    /// A chunk longer or shorter than it said.
    BadChunkEnd 400 "bad_chunk_end",
    /// A malformed or too long trailer section.
    BadTrailer 400 "bad_trailer",
    /// A target over its limit.
    TargetTooLong 414 "target_too_long",
    /// A head over its limit in bytes.
    HeadTooLarge 431 "head_too_large",
    /// A head over its limit in fields.
    TooManyFields 431 "too_many_fields",
    /// A body over its limit.
    BodyTooLarge 413 "body_too_large",
    /// An expectation other than `100-continue` (RFC 9110 10.1.1).
    UnknownExpectation 417 "unknown_expectation",
    /// The head did not arrive in time (RFC 9110 15.5.9).
    HeadTimeout 408 "head_timeout",
    /// The body did not arrive in time.
    BodyTimeout 408 "body_timeout",
    /// The bodies held in the process are at their limit together.
    BodiesTooLarge 503 "bodies_too_large",
}

impl Refusal {
    /// How many kinds there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Its place in [`Refusal::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_is_the_place_in_all_and_words_differ() {
        for (place, refusal) in Refusal::ALL.iter().enumerate() {
            assert_eq!(refusal.index(), place);
            assert!((400..600).contains(&refusal.status()), "{refusal:?}");
        }
        let words: std::collections::HashSet<_> = Refusal::ALL.iter().map(|refusal| refusal.as_str()).collect();
        assert_eq!(words.len(), Refusal::COUNT);
    }
}
