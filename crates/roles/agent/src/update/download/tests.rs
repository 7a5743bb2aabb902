//! Fetches from engines that answer, break off, lie, or are silent.

use super::*;
use crate::agent::tests::identity;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use weir_device_api::DirectSource;
use weir_model::DownloadMethod;
use weir_telemetry::Tasks;

/// Longest a test waits for a fetch.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an engine does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// The archive, by range when asked so.
    Right,
    /// The archive from its beginning, whatever is asked for.
    Whole,
    /// So many bytes of what is missing, then the end of the connection.
    Breaks(usize),
    /// Other bytes, as many as it should be.
    Lies,
    /// An archive of another length.
    Longer,
    /// Another range than the one asked for.
    OtherRange,
    /// A refusal.
    Status(u16),
    /// Nothing at all.
    Silent,
    /// A head, then nothing.
    Stalls,
}

fn archive_bytes() -> Vec<u8> {
    (0..3_000_000u32).map(|i| u8::try_from((i * 7 + i / 253) % 256).expect("a byte")).collect()
}

struct Engine {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    _tasks: Tasks,
}

impl Engine {
    async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let (seen, tasks) = (Arc::<Mutex<Vec<String>>>::default(), Tasks::new());
        let (log, inner) = (seen.clone(), tasks.clone());
        tasks.spawn("engine", async move {
            while let Ok((stream, _)) = listener.accept().await {
                inner.spawn("engine connection", answer(stream, does, log.clone()));
            }
        });
        Self { address, seen, _tasks: tasks }
    }

    /// Requests as `path first-byte`.
    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("whole").clone()
    }
}

async fn answer(mut stream: TcpStream, does: Does, log: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let text = String::from_utf8(head).expect("text");
    let path = text.split(' ').nth(1).expect("a path").to_owned();
    let range = text.lines().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let from = range.unwrap_or(0);
    log.lock().expect("whole").push(format!("{path} {from}"));
    let mut content = archive_bytes();
    match does {
        Does::Lies => content.reverse(),
        Does::Longer => content.push(0),
        _ => {}
    }
    let begins = match does {
        Does::Whole => 0,
        Does::OtherRange => from / 2,
        _ => from,
    };
    let (whole, body) = (content.len(), &content[begins..]);
    let line = match (does, begins) {
        (Does::Status(status), _) => format!("{status} X\r\nWeir-Reason: no_such_archive"),
        (_, 0) => "200 OK".to_owned(),
        (_, begins) => format!("206 Partial Content\r\nContent-Range: bytes {begins}-{}/{whole}", whole - 1),
    };
    let count = match does {
        Does::Silent => return std::future::pending().await,
        Does::Breaks(count) => count.min(body.len()),
        Does::Stalls | Does::Status(_) => 0,
        _ => body.len(),
    };
    let announced = if matches!(does, Does::Status(_)) { 0 } else { body.len() };
    let head = format!("HTTP/1.1 {line}\r\nContent-Length: {announced}\r\n\r\n");
    // The client may be gone; what that means is the test's to see at the other end.
    drop(stream.write_all(&[head.as_bytes(), &body[..count]].concat()).await);
    match does {
        Does::Stalls => std::future::pending().await,
        // A reset would take back what was sent.
        _ => drop(stream.shutdown().await),
    }
}

fn place() -> ArchivePlace {
    let bytes = archive_bytes();
    ArchivePlace {
        sha256: weir_slots::digest_of_bytes(&bytes).to_string(),
        bytes: bytes.len() as u64,
        method: DownloadMethod::Default,
        direct: None,
        allow: vec!["127.0.0.0/8".parse().expect("a network")],
    }
}

/// A directory to fetch into, and engines in the order to ask them.
struct Bench {
    directory: TempDir,
    engines: Vec<Engine>,
    place: ArchivePlace,
    rate: u64,
}

impl Bench {
    async fn of(engines: &[Does]) -> Self {
        let mut started = Vec::new();
        for does in engines {
            started.push(Engine::start(*does).await);
        }
        Self { directory: tempfile::tempdir().expect("directory"), engines: started, place: place(), rate: u64::MAX }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("part")
    }

    fn holds(self, bytes: &[u8]) -> Self {
        std::fs::write(self.file(), bytes).expect("written");
        self
    }

    fn sources(&self) -> Vec<Source> {
        let source = |(index, engine): (usize, &Engine)| Source::Engine {
            name: format!("engine-{index}").parse().expect("a name"),
            address: engine.address,
        };
        self.engines.iter().enumerate().map(source).collect()
    }

    async fn go(&self) -> Result<(), DownloadError> {
        self.go_from(&self.sources()).await.0
    }

    async fn go_from(&self, sources: &[Source]) -> (Result<(), DownloadError>, Progress) {
        let progress = watch::Sender::new(Progress::default());
        let rate = || self.rate;
        let second = Duration::from_secs(1);
        let limits = Limits { idle: second, ..Limits::for_archives(self.place.bytes) };
        let fetch = Fetch {
            place: &self.place,
            clients: Clients::new(&identity(), None).expect("clients"),
            head: second,
            limits,
            rate: &rate,
            bucket: Mutex::new(Bucket::new(weir_clock::monotonic())),
            progress: &progress,
        };
        let result = tokio::time::timeout(PATIENCE, fetch.run(sources, &self.file())).await.expect("in time");
        (result, progress.borrow().clone())
    }

    async fn is_whole(&self) {
        let (result, progress) = self.go_from(&self.sources()).await;
        assert_eq!(result, Ok(()));
        assert!(std::fs::read(self.file()).expect("a file") == archive_bytes());
        assert_eq!((progress.done, progress.total), (3_000_000, 3_000_000));
    }

    /// First bytes each engine was asked for.
    fn asked(&self) -> Vec<Vec<String>> {
        let first = |seen: String| seen.split(' ').nth(1).expect("a number").to_owned();
        self.engines.iter().map(|engine| engine.seen().into_iter().map(first).collect()).collect()
    }
}

#[tokio::test]
async fn the_first_engine_that_has_it_gives_it() {
    let bench = Bench::of(&[Does::Right, Does::Right]).await;
    bench.is_whole().await;
    let path = format!("/software.weir.internal/{}.weir 0", bench.place.sha256);
    assert_eq!((bench.engines[0].seen(), bench.engines[1].seen()), (vec![path], vec![]));
}

#[tokio::test]
async fn an_engine_that_breaks_off_leaves_the_rest_to_the_next() {
    let bench = Bench::of(&[Does::Breaks(1_000_000), Does::Breaks(500_000), Does::Right]).await;
    bench.is_whole().await;
    assert_eq!(bench.asked(), [["0"], ["1000000"], ["1500000"]]);
}

#[tokio::test]
async fn engines_that_have_it_not_are_passed_over() {
    let bench = Bench::of(&[Does::Status(404), Does::Status(403), Does::Silent, Does::Stalls, Does::OtherRange, Does::Right]).await;
    bench.is_whole().await;
}

#[tokio::test]
async fn what_is_there_already_is_not_fetched_again() {
    let content = archive_bytes();
    let bench = Bench::of(&[Does::Right]).await.holds(&content[..1_234_567]);
    bench.is_whole().await;
    assert_eq!(bench.asked(), [["1234567"]]);
    let bench = Bench::of(&[Does::Right]).await.holds(&content);
    bench.is_whole().await;
    assert_eq!(bench.asked(), [[""; 0]], "nothing is missing");
    let bench = Bench::of(&[Does::Whole]).await.holds(&content[..1_234_567]);
    bench.is_whole().await;
}

#[tokio::test]
async fn what_is_there_already_and_is_wrong_costs_one_fetch_more() {
    for held in [vec![7; 1_000_000], vec![7; 3_000_000], vec![7; 4_000_000]] {
        let bench = Bench::of(&[Does::Right]).await.holds(&held);
        bench.is_whole().await;
    }
}

#[tokio::test]
async fn who_lies_is_not_asked_again() {
    let bench = Bench::of(&[Does::Lies, Does::Longer, Does::Breaks(1_000), Does::Right]).await;
    bench.is_whole().await;
    assert_eq!(bench.asked()[..2], [["0"], ["0"]]);
    let bench = Bench::of(&[Does::Lies, Does::Breaks(1_000)]).await;
    assert!(matches!(bench.go().await, Err(DownloadError::Unreachable(_))));
    assert_eq!(bench.engines[0].seen().len(), 1);
    assert_eq!(bench.engines[1].seen().len(), usize::try_from(ROUNDS_MAX).expect("small"), "as long as something comes");
}

#[tokio::test]
async fn a_lie_among_several_parts_is_found_out_in_the_end() {
    let content = archive_bytes();
    let mut held = content[..2_000_000].to_vec();
    held[0] ^= 1;
    let bench = Bench::of(&[Does::Right, Does::Lies, Does::Breaks(1_000)]).await.holds(&held);
    bench.is_whole().await;
    assert_eq!(bench.asked(), [vec!["2000000", "0"], vec!["0"], vec!["0"]], "each gives the whole alone from then on");
}

#[tokio::test]
async fn when_all_lie_there_is_nothing_to_try_again() {
    let bench = Bench::of(&[Does::Lies, Does::Longer]).await;
    assert!(matches!(bench.go().await, Err(DownloadError::Refused(why)) if !why.is_empty()));
    assert_eq!(std::fs::read(bench.file()).expect("a file").len(), 0);
}

/// The pair's standby has no archives to give: it does not keep a wrong one of the primary's from being refused.
#[tokio::test]
async fn who_sends_elsewhere_is_nobody_to_wait_for_when_the_others_lie() {
    let bench = Bench::of(&[Does::Lies, Does::Status(421)]).await;
    assert!(matches!(bench.go().await, Err(DownloadError::Refused(why)) if why.contains("digest")));
    assert_eq!(bench.asked(), [vec!["0"], vec!["0"]]);
    let bench = Bench::of(&[Does::Status(421), Does::Status(421)]).await;
    assert!(matches!(bench.go().await, Err(DownloadError::Unreachable(why)) if why.contains("421")), "as in a promotion");
    let bench = Bench::of(&[Does::Lies, Does::Status(503)]).await;
    assert!(matches!(bench.go().await, Err(DownloadError::Unreachable(why)) if why.contains("digest")), "what is wrong is said");
}

#[tokio::test]
async fn when_nobody_answers_it_is_worth_trying_again() {
    let bench = Bench::of(&[Does::Status(404), Does::Silent]).await;
    assert!(matches!(bench.go().await, Err(DownloadError::Unreachable(why)) if why.contains("engine-1")));
    assert!(matches!(Bench::of(&[]).await.go().await, Err(DownloadError::Unreachable(_))));
}

#[tokio::test]
async fn an_order_that_names_no_archive_is_refused() {
    let mut bench = Bench::of(&[Does::Right]).await;
    for sha256 in ["", "../../etc/passwd", &"A1".repeat(32)] {
        bench.place.sha256 = sha256.to_owned();
        assert!(matches!(bench.go().await, Err(DownloadError::Refused(_))), "{sha256}");
    }
    assert!(bench.engines[0].seen().is_empty());
}

#[tokio::test]
async fn a_rate_is_kept() {
    let bench = Bench { rate: 2_000_000, ..Bench::of(&[Does::Right]).await };
    let begun = weir_clock::monotonic();
    bench.is_whole().await;
    assert!(begun.elapsed() >= Duration::from_millis(1_300), "{:?} for 3 MB at 2 MB/s", begun.elapsed());
}

#[tokio::test]
async fn its_own_url_is_asked_within_its_limits() {
    let of = |url: String| {
        source::of(&ArchivePlace { direct: Some(DirectSource { url, basic: None, header: None }), ..direct_only() }, None, MANAGER)
    };
    let mut bench = Bench::of(&[Does::Right]).await.holds(&archive_bytes()[..1_000_000]);
    let url = format!("http://{}/weir.weir", bench.engines[0].address);
    let (result, progress) = bench.go_from(&of(url.clone())).await;
    assert_eq!((result, progress.done), (Ok(()), 3_000_000));
    assert_eq!(bench.engines[0].seen(), ["/weir.weir 1000000"]);
    std::fs::remove_file(bench.file()).expect("removed");
    bench.place.allow = Vec::new();
    let (result, _) = bench.go_from(&of(url)).await;
    assert!(matches!(result, Err(DownloadError::Refused(why)) if why.contains("private_target")), "an address nobody allowed");
    let (result, _) = bench.go_from(&of("ftp://127.0.0.1/x".into())).await;
    assert!(matches!(result, Err(DownloadError::Refused(_))));
}

const MANAGER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

fn direct_only() -> ArchivePlace {
    ArchivePlace { method: DownloadMethod::DirectDownloadOnly, ..place() }
}

#[test]
fn the_method_says_who_is_asked() {
    let direct = Some(DirectSource { url: "http://192.0.2.1/x".into(), basic: None, header: None });
    let asked = |method, direct: &Option<DirectSource>, configuration: Option<&weir_model::DeviceConfiguration>| {
        let place = ArchivePlace { method, direct: direct.clone(), ..place() };
        source::of(&place, configuration, MANAGER).iter().map(|source| source.as_str().to_owned()).collect::<Vec<_>>()
    };
    let mut configuration = crate::agent::tests::configuration(1);
    configuration.location = Some("east".parse().expect("a name"));
    configuration.locations = vec![weir_model::configuration::LocationEntry { name: "east".parse().expect("a name"), parent: None }];
    configuration.engines = vec![weir_model::configuration::EngineEntry {
        name: "east-1".parse().expect("a name"),
        location: "east".parse().expect("a name"),
        http: "127.0.0.1:1".parse().expect("an address"),
        weight: 100,
        offload: None,
        offload_since_ms: None,
    }];
    for (method, direct, expected) in [
        (DownloadMethod::Default, &direct, &["manager", "direct"][..]),
        (DownloadMethod::Default, &None, &["manager"]),
        (DownloadMethod::PrepositionedOnly, &direct, &[]),
        (DownloadMethod::DirectDownloadOnly, &direct, &["direct"]),
        (DownloadMethod::DirectDownloadOnly, &None, &["manager"]),
    ] {
        assert_eq!(asked(method, direct, None), expected, "{method:?}");
        let with = asked(method, direct, Some(&configuration));
        let engines: &[&str] = if method == DownloadMethod::DirectDownloadOnly { &[] } else { &["east-1"] };
        assert_eq!(with, [engines, expected].concat(), "{method:?}");
    }
}

#[tokio::test]
async fn a_full_disk_ends_it() {
    assert_eq!(Broken::from(io::Error::from_raw_os_error(28)), Broken::NoSpace);
    let bench = Bench::of(&[Does::Right]).await;
    let nowhere = Partial::open(&bench.directory.path().join("absent").join("part"), 1).await;
    assert!(nowhere.is_err());
}
