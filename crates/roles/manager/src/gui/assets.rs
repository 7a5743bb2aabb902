//! Style, scripts and icons: part of the build, under names made of their content, so that browsers keep them for ever.

use super::errors::confine;
use axum::{
    Router,
    extract::Path,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
/// Bytes of the content's digest in a name.
const DIGEST_BYTES: usize = 8;

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $kind:ident) => {
        Asset { name: $name, kind: $kind, content: include_bytes!(concat!("../../assets/", $name)) }
    };
}

const ASSETS: &[Asset] = &[
    asset!("style.css", CSS),
    asset!("theme.js", JAVASCRIPT),
    asset!("live.js", JAVASCRIPT),
    asset!("table.js", JAVASCRIPT),
    asset!("upload.js", JAVASCRIPT),
    asset!("icon.svg", SVG),
    asset!("icons.svg", SVG),
];

static URLS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let url = |asset: &Asset| {
        let digest = Sha256::digest(asset.content);
        format!("/assets/{}/{}", hex::encode(digest.get(..DIGEST_BYTES).expect("a SHA-256 has 32 bytes")), asset.name)
    };
    ASSETS.iter().map(url).collect()
});

/// Where an asset is. A name that is none gives a path that is none.
pub(super) fn url(name: &str) -> String {
    let known = ASSETS.iter().position(|a| a.name == name).and_then(|at| URLS.get(at));
    debug_assert!(known.is_some(), "there is no asset {name}");
    known.cloned().unwrap_or_else(|| format!("/assets/none/{name}"))
}

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{digest}/{name}", get(asset))
}

async fn asset(Path((digest, name)): Path<(String, String)>) -> Response {
    let wanted = format!("/assets/{digest}/{name}");
    let known = URLS.iter().position(|u| *u == wanted).and_then(|at| ASSETS.get(at));
    let mut response = match known {
        Some(Asset { kind, content, .. }) => {
            let headers = [(CONTENT_TYPE, *kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, *content).into_response()
        }
        None => (StatusCode::NOT_FOUND, "there is no such asset; load the page again").into_response(),
    };
    confine(response.headers_mut());
    response
}
