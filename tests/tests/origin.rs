//! An outside origin: every byte through router, edge engine and core engine is the origin's, and the origin is asked once.

use anyhow::{Context, ensure};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, task::JoinSet, time::timeout};
use weir_tests::{
    Answer, Ask, Client, Network, Nginx, Origin,
    nginx::File,
    origin::{Asked, Reply, Replying},
    player, sha256, wait_until,
};

/// Concurrent clients of the collapsed-forwarding tests.
const CLIENTS: usize = 500;
/// Patience for all of them.
const CLIENTS_DEADLINE: Duration = Duration::from_secs(60);
/// Patience for one large file.
const FILE_PATIENCE: Duration = Duration::from_secs(60);

fn zones() -> [(&'static str, Client); 2] {
    [("east", Client::east().patience(FILE_PATIENCE)), ("west", Client::west().patience(FILE_PATIENCE))]
}

/// Every file by way of a router: `check` sees who answered and what.
async fn all_files(network: &Network, nginx: &Nginx, check: impl Fn(&File, &str, &Answer) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for (zone, client) in zones() {
        for (number, file) in nginx.files.iter().enumerate() {
            let target = network.target(&file.path);
            let router = network.routers()[number % 2];
            let (engine, _, answer) = client.follow(router, &Ask::get(&target)).await.with_context(|| file.path.clone())?;
            ensure!(answer.status() == 200, "{} in {zone}: {} {:?}", file.path, answer.status(), answer.head);
            ensure!(answer.body.len() == file.bytes.len(), "{} in {zone}: {} bytes", file.path, answer.body.len());
            ensure!(sha256(&answer.body) == file.sha256, "{} in {zone}: other bytes than the origin's", file.path);
            let location = network.engine_at(engine).location.as_deref();
            ensure!(location == Some(zone), "{} was served in {location:?}, not in {zone}", file.path);
            check(file, &network.engine_at(engine).name, &answer)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_of_an_outside_origin_arrives_and_is_fetched_once() -> anyhow::Result<()> {
    let Some(nginx) = Nginx::start().await? else { return Ok(()) };
    let network = Network::builder().engines(6).origin(nginx.url()).start().await?;
    let before = nginx.served().len();
    all_files(&network, &nginx, |file, engine, answer| {
        let status = answer.head.field("Cache-Status").context("Cache-Status")?;
        let core = status.split(',').any(|cache| cache.trim_start().starts_with("core-"));
        ensure!(core && status.contains(engine), "{}: the chain is {status:?}, served by {engine}", file.path);
        Ok(())
    })
    .await?;
    let fetched = || nginx.served()[before..].iter().filter(|line| line.starts_with("GET /folder-")).count();
    wait_until("nginx has logged every fetch", Duration::from_secs(10), || std::future::ready(fetched() >= nginx.files.len())).await;
    assert_eq!(fetched(), nginx.files.len(), "both zones fill from one core engine, which asks the origin once for each file");
    all_files(&network, &nginx, |file, engine, answer| {
        let status = answer.head.must("Cache-Status");
        let last = status.rsplit(',').next().unwrap_or_default().trim();
        ensure!(last.starts_with(engine) && last.contains("; hit"), "{}: not a hit of {engine}: {status:?}", file.path);
        Ok(())
    })
    .await?;
    assert_eq!(fetched(), nginx.files.len(), "the second pass fetches nothing");
    ranges(&network, &nginx).await?;
    conditionals(&network, &nginx).await?;
    assert_eq!(fetched(), nginx.files.len(), "ranges and conditional requests of what is stored fetch nothing");
    cold_range(&network, &nginx).await
}

/// A file of some size, the engine that serves it in zone east, and the target there.
async fn stored<'n>(network: &Network, nginx: &'n Nginx, bytes: usize) -> anyhow::Result<(&'n File, SocketAddr, String)> {
    let file = nginx.at_least(bytes);
    let (engine, target) = Client::east().route(network.routers()[0], &network.target(&file.path)).await?;
    Ok((file, engine, target))
}

async fn ranges(network: &Network, nginx: &Nginx) -> anyhow::Result<()> {
    let (file, engine, target) = stored(network, nginx, 1_500_000).await?;
    let length = file.bytes.len();
    let client = Client::east().patience(FILE_PATIENCE);
    for (range, from, to) in [
        ("bytes=0-0".to_owned(), 0, 0),
        ("bytes=0-99".to_owned(), 0, 99),
        // Across the boundary of the store's slices of 1 MiB.
        ("bytes=1048570-1048585".to_owned(), 1_048_570, 1_048_585),
        (format!("bytes={}-", length - 10), length - 10, length - 1),
        (format!("bytes={}-{}", length - 10, length + 10), length - 10, length - 1),
        ("bytes=-1000".to_owned(), length - 1000, length - 1),
    ] {
        let answer = client.ask(engine, &Ask::get(&target).field("Range", range.clone())).await?;
        assert_eq!(answer.status(), 206, "{range}: {:?}", answer.head);
        assert_eq!(answer.head.must("Content-Range"), format!("bytes {from}-{to}/{length}"), "{range}");
        assert!(answer.body == file.bytes[from..=to], "{range}: other bytes than the origin's");
    }
    let beyond = client.ask(engine, &Ask::get(&target).field("Range", format!("bytes={length}-"))).await?;
    assert_eq!((beyond.status(), beyond.head.must("Content-Range")), (416, format!("bytes */{length}")));
    let ignored = client.ask(engine, &Ask::get(&target).field("Range", "lines=1-2")).await?;
    assert_eq!((ignored.status(), sha256(&ignored.body)), (200, file.sha256.clone()), "an unknown unit is ignored");
    multiple(client, engine, &target, file).await?;
    let played = player::progressive(client, engine, &target, length as u64, 256 * 1024).await?;
    assert_eq!(sha256(&played), file.sha256, "by ranges");
    let head = client.ask(engine, &Ask::head(&target)).await?;
    assert_eq!((head.status(), head.head.must("Content-Length"), head.body.len()), (200, length.to_string(), 0));
    Ok(())
}

/// Two ranges in one answer (RFC 9110 section 14.6).
async fn multiple(client: Client, engine: SocketAddr, target: &str, file: &File) -> anyhow::Result<()> {
    let length = file.bytes.len();
    let answer = client.ask(engine, &Ask::get(target).field("Range", "bytes=0-9,1048570-1048585")).await?;
    let kind = answer.head.must("Content-Type");
    assert_eq!(answer.status(), 206);
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").with_context(|| format!("Content-Type {kind}"))?;
    let mut parts = Vec::new();
    for (from, to) in [(0usize, 9usize), (1_048_570, 1_048_585)] {
        let field = format!("content-range: bytes {from}-{to}/{length}");
        parts.push((field, &file.bytes[from..=to]));
    }
    let mut rest = answer.body.as_slice();
    for (field, bytes) in parts {
        let end = find(rest, b"\r\n\r\n").context("a part has a head")?;
        let head = String::from_utf8_lossy(&rest[..end]).to_lowercase();
        assert!(head.contains(&boundary.to_lowercase()) && head.contains(&field), "{head:?} lacks {field:?}");
        rest = &rest[end + 4..];
        assert!(rest.starts_with(bytes), "{field}: other bytes than the origin's");
        rest = &rest[bytes.len()..];
    }
    assert_eq!(String::from_utf8_lossy(rest).trim(), format!("--{boundary}--"));
    Ok(())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

async fn conditionals(network: &Network, nginx: &Nginx) -> anyhow::Result<()> {
    let (file, engine, target) = stored(network, nginx, 10_000).await?;
    let client = Client::east();
    let whole = client.get(engine, &target).await?;
    let (tag, modified) = (whole.head.must("ETag"), whole.head.must("Last-Modified"));
    let other = "\"another\"";
    let range = "bytes=0-9";
    let long_ago = "Thu, 01 Jan 1970 00:00:01 GMT";
    for (what, ask, status, length) in [
        ("the same tag", Ask::get(&target).field("If-None-Match", tag.as_str()), 304, 0),
        ("one of two tags", Ask::get(&target).field("If-None-Match", format!("{other}, {tag}")), 304, 0),
        ("any tag", Ask::get(&target).field("If-None-Match", "*"), 304, 0),
        ("another tag", Ask::get(&target).field("If-None-Match", other), 200, file.bytes.len()),
        ("not modified since", Ask::get(&target).field("If-Modified-Since", modified.as_str()), 304, 0),
        ("modified since", Ask::get(&target).field("If-Modified-Since", long_ago), 200, file.bytes.len()),
        (
            "a tag outweighs a date",
            Ask::get(&target).field("If-None-Match", other).field("If-Modified-Since", modified.as_str()),
            200,
            file.bytes.len(),
        ),
        ("a range of the same tag", Ask::get(&target).field("Range", range).field("If-Range", tag.as_str()), 206, 10),
        ("a range of another tag", Ask::get(&target).field("Range", range).field("If-Range", other), 200, file.bytes.len()),
        ("a range of an older date", Ask::get(&target).field("Range", range).field("If-Range", long_ago), 200, file.bytes.len()),
        ("the head of the same tag", Ask::head(&target).field("If-None-Match", tag.as_str()), 304, 0),
    ] {
        let answer = client.ask(engine, &ask).await.context(what)?;
        assert_eq!((answer.status(), answer.body.len()), (status, length), "{what}: {:?}", answer.head);
        assert!(status == 206 || answer.head.must("ETag") == tag, "{what}");
    }
    Ok(())
}

/// A range of something nobody has asked for yet.
async fn cold_range(network: &Network, nginx: &Nginx) -> anyhow::Result<()> {
    let file = nginx.at_least(3_000_000);
    // The query makes another key of the same file.
    let target = format!("{}?cold", network.target(&file.path));
    let ask = Ask::get(&target).field("Range", "bytes=2000000-2000099");
    let (engine, target, answer) = Client::east().patience(FILE_PATIENCE).follow(network.routers()[0], &ask).await?;
    assert_eq!((answer.status(), answer.head.must("Content-Range")), (206, format!("bytes 2000000-2000099/{}", file.bytes.len())));
    assert!(answer.body == file.bytes[2_000_000..2_000_100], "other bytes than the origin's");
    let whole = Client::east().patience(FILE_PATIENCE).get(engine, &target).await?;
    assert_eq!(sha256(&whole.body), file.sha256, "the whole file after a cold range");
    Ok(())
}

/// Bytes of the slow answer, and how many come before the origin pauses.
const SLOW_BYTES: usize = 256 * 1024;
const FIRST_BYTES: usize = 16 * 1024;

fn slow_body() -> Vec<u8> {
    (0..SLOW_BYTES).map(|n| u8::try_from(n % 251).expect("below 251")).collect()
}

/// How long the origin takes for its first uncacheable answer: time for the other clients to wait for it.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// `/slow/...`: the first bytes, then a pause until `go`. `/private/...`: no-store; the first answer takes its time, and
/// all others are held until every client's request is here, which never happens when one waits for another.
fn script(go: watch::Receiver<bool>) -> impl Fn(Asked, Reply) -> Replying + Send + Sync + 'static {
    let private = Arc::new(watch::Sender::new(0usize));
    move |asked, mut reply| {
        let (mut go, private) = (go.clone(), private.clone());
        Box::pin(async move {
            let other = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
            if asked.target.starts_with("/slow/") {
                let body = slow_body();
                reply.head(body.len(), "Cache-Control: max-age=600\r\n").await?;
                reply.bytes(&body[..FIRST_BYTES]).await?;
                go.wait_for(|go| *go).await.map_err(other)?;
                return reply.bytes(&body[FIRST_BYTES..]).await;
            }
            if asked.target.starts_with("/private/") {
                private.send_modify(|here| *here += 1);
                if asked.count == 1 {
                    tokio::time::sleep(FIRST_ANSWER).await;
                } else {
                    private.subscribe().wait_for(|here| *here >= CLIENTS).await.map_err(other)?;
                }
                return reply.whole(format!("for number {}", asked.count).as_bytes(), "Cache-Control: no-store\r\n").await;
            }
            reply.whole(b"origin", "Cache-Control: max-age=600\r\n").await
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_clients_cause_one_fetch_when_it_can_be_stored_and_are_not_serialised_when_it_cannot() -> anyhow::Result<()> {
    let (go, gone) = watch::channel(false);
    let origin = Origin::start(script(gone)).await?;
    let network = Network::builder().engines(6).origin(origin.url()).start().await?;
    cold_key(&network, &origin, &go).await?;
    uncacheable(&network, &origin).await
}

async fn cold_key(network: &Network, origin: &Origin, go: &watch::Sender<bool>) -> anyhow::Result<()> {
    let client = Client::east().patience(CLIENTS_DEADLINE);
    let target = Arc::new(network.target("/slow/film"));
    let (engine, _) = client.route(network.routers()[0], &target).await?;
    let begun = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (target, begun) = (target.clone(), begun.clone());
        clients.spawn(async move {
            let mut reading = client.open(engine, &Ask::get(&target)).await?;
            let mut body = Vec::new();
            let mut counted = false;
            while let Some(bytes) = reading.some().await? {
                body.extend_from_slice(&bytes);
                if !counted && body.len() >= FIRST_BYTES {
                    counted = true;
                    begun.fetch_add(1, Ordering::Relaxed);
                }
            }
            std::io::Result::Ok((reading.head.status, body))
        });
    }
    wait_until("every client has the first bytes while the origin still holds the rest", CLIENTS_DEADLINE, || {
        std::future::ready(begun.load(Ordering::Relaxed) == CLIENTS)
    })
    .await;
    go.send_replace(true);
    let expected = slow_body();
    while let Some(done) = timeout(CLIENTS_DEADLINE, clients.join_next()).await.context("the rest comes")? {
        let (status, body) = done??;
        assert!(status == 200 && body == expected, "status {status}, {} bytes", body.len());
    }
    assert_eq!(origin.count("/slow/film"), 1, "fetches of a cold key that {CLIENTS} clients want at once");
    Ok(())
}

async fn uncacheable(network: &Network, origin: &Origin) -> anyhow::Result<()> {
    let client = Client::east().patience(CLIENTS_DEADLINE);
    let target = Arc::new(network.target("/private/page"));
    let (engine, _) = client.route(network.routers()[0], &target).await?;
    let begin = weir_clock::monotonic();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let target = target.clone();
        clients.spawn(async move { client.get(engine, &target).await });
    }
    let mut bodies = std::collections::BTreeSet::new();
    while let Some(done) = timeout(CLIENTS_DEADLINE, clients.join_next()).await.context("no client waits for another")? {
        let answer = done??;
        assert_eq!(answer.status(), 200, "{:?}", answer.head);
        bodies.insert(answer.text().to_owned());
    }
    eprintln!("{CLIENTS} uncacheable answers, held until the last request had come, in {:.1} s", begin.elapsed().as_secs_f64());
    assert_eq!(bodies.len(), CLIENTS, "nobody gets an answer that was made for another");
    assert_eq!(origin.count("/private/page"), CLIENTS as u64);
    Ok(())
}
