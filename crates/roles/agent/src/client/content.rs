//! An answer's content, as it is or in zstd frames (RFC 8878), and no more of it than a device can hold.

use serde::de::DeserializeOwned;
use std::io::Read;

/// The content coding asked for (RFC 9110 section 12.5.3).
pub(crate) const ACCEPTED: &str = "zstd";
/// Most bytes of an answer, decoded: a router's document with a million coverage zones has some 60 million.
pub(crate) const CONTENT_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Why an answer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It ended early, or in nothing.
    #[error("receive it")]
    Received(#[from] reqwest::Error),
    /// A coding nobody asked for.
    #[error("it is coded as {0:?}, which was not asked for")]
    Coding(String),
    /// Not zstd frames.
    #[error("decode it")]
    Decoded(#[source] std::io::Error),
    /// It is longer than any answer may be.
    #[error("it has more than {0} bytes")]
    TooLong(u64),
    /// Not what was asked for.
    #[error("read it as JSON")]
    Json(#[from] serde_json::Error),
}

/// Reads an answer to its end, at most `bytes_max` bytes of it once decoded.
pub(crate) async fn json<T>(mut response: reqwest::Response, bytes_max: u64) -> Result<T, ContentError>
where
    T: DeserializeOwned + Send + 'static,
{
    let coding = response.headers().get(reqwest::header::CONTENT_ENCODING).cloned();
    let mut content = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if (content.len() + chunk.len()) as u64 > bytes_max {
            return Err(ContentError::TooLong(bytes_max));
        }
        content.extend_from_slice(&chunk);
    }
    let read = move || {
        let content = match coding.as_ref().map(|coding| coding.as_bytes()) {
            None => content,
            Some(coding) if coding == ACCEPTED.as_bytes() => decoded(&content, bytes_max)?,
            Some(other) => return Err(ContentError::Coding(String::from_utf8_lossy(other).into_owned())),
        };
        Ok(serde_json::from_slice(&content)?)
    };
    // A large document takes a moment, in which the device would do nothing else.
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The device is stopping, and whoever waits with it.
            Err(_) => std::future::pending().await,
        },
    }
}

fn decoded(content: &[u8], bytes_max: u64) -> Result<Vec<u8>, ContentError> {
    let mut plain = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(content).map_err(ContentError::Decoded)?;
    let read = decoder.take(bytes_max.saturating_add(1)).read_to_end(&mut plain).map_err(ContentError::Decoded)?;
    if read as u64 > bytes_max { Err(ContentError::TooLong(bytes_max)) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn answer(coding: Option<&str>, content: Vec<u8>) -> reqwest::Response {
        let mut response = http::Response::builder().status(200);
        if let Some(coding) = coding {
            response = response.header("content-encoding", coding);
        }
        response.body(content).expect("response").into()
    }

    fn frames(parts: &[&str]) -> Vec<u8> {
        parts.iter().flat_map(|part| zstd::bulk::compress(part.as_bytes(), 1).expect("compressed")).collect()
    }

    #[tokio::test]
    async fn content_is_read_as_it_is_and_in_frames() {
        let wanted = json!({ "term": 3 });
        for response in [answer(None, b"{\"term\":3}".to_vec()), answer(Some("zstd"), frames(&["{\"te", "rm\":3", "}"]))] {
            assert_eq!(json::<Value>(response, 100).await.expect("read"), wanted);
        }
    }

    #[tokio::test]
    async fn content_that_is_damaged_too_long_or_otherwise_coded_is_refused() {
        let long = format!("\"{}\"", "a".repeat(1_000));
        // Shorter than may be when it breaks off: which of two reasons is told first is nobody's promise.
        let mut cut = frames(&["[1,", "2]"]);
        cut.pop();
        let refusals = [
            (answer(Some("zstd"), frames(&[&long])), "it has more than 1001 bytes"),
            (answer(None, long.clone().into_bytes()), "it has more than 1001 bytes"),
            (answer(Some("zstd"), cut), "decode it"),
            (answer(Some("zstd"), b"{}".to_vec()), "decode it"),
            (answer(Some("gzip"), b"{}".to_vec()), "it is coded as \"gzip\", which was not asked for"),
            (answer(None, b"{".to_vec()), "read it as JSON"),
        ];
        for (response, why) in refusals {
            assert_eq!(json::<Value>(response, 1_001).await.expect_err(why).to_string(), why);
        }
        assert_eq!(json::<Value>(answer(Some("zstd"), frames(&[&long])), 1_002).await.expect("as long as may be"), long[1..1_001]);
    }
}
