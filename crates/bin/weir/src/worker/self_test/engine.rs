//! An engine under test: a second one, with an origin of its own, that fetches, keeps and gives out what the test knows.

use super::{
    Checked,
    ask::{Answer, Served, ask},
};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use weir_engine::{Engine, EngineSettings, STORE_BYTES_MIN};
use weir_model::{
    DeliveryService, DeviceConfiguration, Profile, Role, Stamp,
    configuration::{Confirmed, EngineEntry, LocationEntry},
    service::CachePolicy,
};
use weir_net::http1::{Body, Request, ResponseHead, Service};
use weir_telemetry::Metrics;

/// The domain of the service under test; the name can never be anybody's (RFC 6761 section 6.4).
const DOMAIN: &str = "self-test.invalid";
/// Its content: a file and a playlist.
const SEGMENT: &str = "/segment.ts";
const PLAYLIST: &str = "/index.m3u8";
/// Length of the file in bytes: more than one slice of a store.
const SEGMENT_BYTES: usize = 96 * 1024;
const PLAYLIST_BODY: &[u8] = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsegment.ts\n#EXT-X-ENDLIST\n";

fn segment() -> Vec<u8> {
    (0..SEGMENT_BYTES).map(|at| u8::try_from(at % 251).expect("below 251")).collect()
}

/// Asks a second engine for what its own origin has, and for what it has not.
///
/// # Errors
/// One sentence: what is answered wrong.
pub(super) async fn answers(state: &Path) -> Checked {
    let Some(origin) = Served::start(Origin) else { return Ok(()) };
    let Some(dir) = Private::make(state) else { return Ok(()) };
    let settings =
        EngineSettings { name: "self-test".parse().expect("a name"), store_bytes: STORE_BYTES_MIN, disk_bytes: None, state: dir.0.clone() };
    let metrics = Metrics::new(weir_model::version(), Role::Engine.as_str(), "self-test");
    let engine = Engine::new(settings, &metrics).map_err(|error| format!("no engine can be made: {error}"))?;
    engine.apply(Arc::new(configuration(origin.address.port()))).map_err(|error| format!("a plain configuration is refused: {error}"))?;
    let tested = match Served::start(engine.clone()) {
        Some(served) => exchange(served.address).await,
        None => Ok(()),
    };
    engine.stop().await;
    tested
}

async fn exchange(address: SocketAddr) -> Checked {
    let get = |path: &'static str, fields: &'static str| ask_for(address, "GET", path, fields);
    let whole = segment();
    // The first answer comes through the origin, the second one from the store.
    for _ in 0..2 {
        expect(&get(SEGMENT, "").await?, "GET", 200, &whole)?;
    }
    let again = get(SEGMENT, "").await?;
    if !again.field("cache-status").is_some_and(|status| status.contains("; hit")) {
        return Err(format!("what was fetched is not kept: Cache-Status is {:?}", again.field("cache-status")));
    }
    expect(&ask_for(address, "HEAD", SEGMENT, "").await?, "HEAD", 200, b"")?;
    expect(&get(SEGMENT, "Range: bytes=1000-1009\r\n").await?, "a range", 206, &whole[1000..1010])?;
    expect(&get(PLAYLIST, "").await?, "a playlist", 200, PLAYLIST_BODY)?;
    match get("/missing", "").await?.status {
        404 => Ok(()),
        status => Err(format!("what does not exist is answered {status}")),
    }
}

async fn ask_for(address: SocketAddr, method: &str, path: &str, fields: &str) -> Result<Answer, String> {
    ask(address, &format!("{method} {path}"), DOMAIN, fields).await
}

fn expect(answer: &Answer, what: &str, status: u16, body: &[u8]) -> Checked {
    if answer.status != status {
        return Err(format!("{what} is answered {} ({:?}) and not {status}", answer.status, answer.field("weir-reason")));
    }
    if answer.body != body {
        return Err(format!("{what} gives {} bytes, not the {} that were stored", answer.body.len(), body.len()));
    }
    Ok(())
}

/// A directory below the state directory, removed at the end.
struct Private(PathBuf);

impl Private {
    /// Makes it; nothing when the disk takes none, which is no defect of the build.
    fn make(state: &Path) -> Option<Self> {
        let path = state.join("self-test");
        let made = match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => std::fs::create_dir(&path),
        };
        match made {
            Ok(()) => Some(Self(path)),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "self-test without requests: no directory for it");
                None
            }
        }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "directory of the self-test not removed");
        }
    }
}

/// An origin that has two things.
#[derive(Clone)]
struct Origin;

impl Service for Origin {
    async fn respond(&self, request: &Request<'_>, head: &mut ResponseHead<'_>) -> Body {
        let (kind, body) = match request.target.path {
            SEGMENT => ("video/mp2t", segment()),
            PLAYLIST => ("application/vnd.apple.mpegurl", PLAYLIST_BODY.to_vec()),
            _ => {
                head.status(404);
                return Body::Empty;
            }
        };
        head.status(200);
        head.field("Content-Type", kind);
        head.field("Cache-Control", "max-age=60");
        head.field("ETag", "\"self-test\"");
        Body::bytes(body)
    }
}

/// A network of one engine and one service, whose origin is on this port of loopback.
pub(super) fn configuration(port: u16) -> DeviceConfiguration {
    let (engine, location) = ("self-test".parse().expect("a name"), "here".parse().expect("a name"));
    let entry = EngineEntry {
        name: engine,
        location,
        http: SocketAddr::from(([127, 0, 0, 1], 8080)),
        weight: 100,
        offload: None,
        offload_since_ms: None,
    };
    DeviceConfiguration {
        stamp: Stamp { term: 1, generation: 1 },
        device: entry.name.clone(),
        role: Role::Engine,
        location: Some(entry.location.clone()),
        managers: Vec::new(),
        profile: Profile::standard(),
        level: None,
        must_understand: Vec::new(),
        confirmed: Confirmed::default(),
        engine_addresses: Vec::new(),
        keepalive_keys: Vec::new(),
        locations: vec![LocationEntry { name: entry.location.clone(), parent: None }],
        routers: Vec::new(),
        services: vec![DeliveryService {
            name: "self-test".parse().expect("a name"),
            domain: DOMAIN.parse().expect("a domain"),
            origin: format!("http://127.0.0.1:{port}").parse().expect("an origin"),
            engines: vec![entry.name.clone()],
            caching: CachePolicy::default(),
            #[cfg(feature = "synthetic-next")]
            detail: None,
        }],
        engines: vec![entry],
        zones: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_that_works_passes_and_leaves_nothing() {
        let dir = tempfile::tempdir().expect("dir");
        std::fs::create_dir(dir.path().join("self-test")).expect("of a worker that was killed");
        assert_eq!(answers(dir.path()).await, Ok(()));
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0);
    }

    #[tokio::test]
    async fn what_is_answered_wrong_is_named() {
        let (origin, one) = (Served::start(Origin).expect("loopback"), b"x".as_slice());
        let answer = ask_for(origin.address, "GET", PLAYLIST, "").await.expect("an answer");
        assert_eq!(expect(&answer, "GET", 200, PLAYLIST_BODY), Ok(()));
        let wrong = expect(&answer, "GET", 200, one).expect_err("other bytes");
        assert!(wrong.contains("not the 1 that were stored"), "{wrong}");
        assert!(expect(&answer, "GET", 206, PLAYLIST_BODY).is_err());
        // An origin is no cache: the test of an engine fails on it.
        let kept = exchange(origin.address).await.expect_err("no cache");
        assert!(kept.starts_with("what was fetched is not kept"), "{kept}");
    }
}
