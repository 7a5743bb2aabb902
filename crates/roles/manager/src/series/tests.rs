//! What a minute holds.

use super::*;
use weir_device_api::{Hello, Load, hello::PROTOCOL};
use weir_model::{Role, Stamp};

fn report(boot: u64, load: Load) -> Report {
    let device = "east-1".parse().expect("name");
    Report {
        hello: Hello { protocol: PROTOCOL, version: "1.0.0-b1".into(), device, role: Role::Engine, stamp: Stamp::default() },
        boot,
        clock_ms: 0,
        uptime_ms: 0,
        worker_crashes: 0,
        last_exit: None,
        listeners: Default::default(),
        load,
        rejected: None,
        conditions: Vec::new(),
        drain: None,
        routers: Vec::new(),
        share_permille: None,
        update: None,
        answers: None,
        #[cfg(feature = "synthetic-next")]
        detailed_responses: None,
    }
}

fn load(requests: u64, client_bytes: u64) -> Load {
    Load { requests, client_bytes, sessions: 3, ..Load::default() }
}

fn heard(received_ms: u64, report: Report) -> Heard {
    Heard { at_ms: 1, received_ms, crashed_ms: None, report }
}

/// (minute, requests, bytes) of what two reports leave.
fn left(before: Option<Heard>, after: &Report, now_ms: u64) -> Vec<(u64, u64, u64)> {
    let series = Series::default();
    series.take(before.as_ref(), after, now_ms);
    series.unwritten().iter().map(|k| (k.at_ms / MINUTE_MS, k.cell.requests, k.cell.client_bytes)).collect()
}

#[test]
fn a_minute_holds_differences() {
    let before = || Some(heard(MINUTE_MS, report(1, load(100, 5000))));
    for (after, now_ms, expected) in [
        (report(1, load(107, 5600)), 61_000, vec![(1, 7, 600)]),
        (report(1, load(107, 5600)), 119_999, vec![(1, 7, 600)]),
        (report(1, load(107, 5600)), 120_000, vec![(2, 7, 600)]),
        // A worker that began anew counts from 0.
        (report(2, load(107, 5600)), 61_000, vec![(1, 107, 5600)]),
        (report(1, load(4, 300)), 61_000, vec![(1, 4, 300)]),
        // What was done in silence is spread over it.
        (report(1, load(109, 5300)), 230_000, vec![(1, 3, 100), (2, 3, 100), (3, 3, 100)]),
        // Nobody knows when.
        (report(1, load(107, 5600)), MINUTE_MS * 90, vec![]),
        // A wall clock that was set back.
        (report(1, load(107, 5600)), 1000, vec![(0, 7, 600)]),
    ] {
        assert_eq!(left(before(), &after, now_ms), expected, "{now_ms}");
    }
    assert_eq!(left(None, &report(1, load(9, 9)), MINUTE_MS), [], "what it did before it was first heard belongs to no minute");
}

#[test]
fn parts_of_a_minute_add_up_and_sessions_are_the_most() {
    let series = Series::default();
    let mut last = heard(MINUTE_MS, report(1, load(0, 0)));
    for (requests, sessions) in [(5, 2), (8, 9), (20, 1)] {
        let next = report(1, Load { sessions, ..load(requests, requests * 10) });
        series.take(Some(&last), &next, MINUTE_MS + requests);
        last = heard(MINUTE_MS, next);
    }
    let kept = series.unwritten();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].cell, Cell { sessions: 9, requests: 20, client_bytes: 200, origin_bytes: 0 });
    assert_eq!(series.unwritten(), []);
}

#[test]
fn a_chart_has_every_minute() {
    let point = |minute: u64, requests| Point { at_ms: minute * MINUTE_MS, requests, ..Point::default() };
    let from_ms = first_minute_ms(10 * MINUTE_MS + 5, 3);
    assert_eq!(from_ms, 7 * MINUTE_MS);
    assert_eq!(gapless(from_ms, 3, vec![point(8, 4), point(10, 1)]), [point(7, 0), point(8, 4), point(9, 0)]);
}

#[test]
fn megabits() {
    for (bytes, expected) in [(0, 0.0), (7_500_000, 1.0), (75_000_000, 10.0)] {
        assert!((mbps(bytes) - expected).abs() < 1e-9, "{bytes}");
    }
}

mod kept {
    //! What is written, over the real tables.

    use super::super::*;
    use crate::tables::migrations::STATE;
    use weir_database::Database;

    const NOW_MS: u64 = 100 * DAY_MS + 30 * MINUTE_MS;

    fn one(at_ms: u64, device: &str, client_bytes: u64) -> Kept {
        let role = if device.starts_with("router") { Role::Router } else { Role::Engine };
        Kept { at_ms, device: device.parse().expect("name"), role, cell: Cell { sessions: 1, requests: 1, client_bytes, origin_bytes: 0 } }
    }

    async fn opened() -> (tempfile::TempDir, Database) {
        let dir = tempfile::tempdir().expect("dir");
        let database = Database::open(&dir.path().join("state.db"), STATE, 1, "1.0.0-b1").expect("opened");
        (dir, database)
    }

    #[tokio::test]
    async fn batches_add_up_hours_keep_their_busiest_minute_and_the_old_is_forgotten() {
        let (_dir, database) = opened().await;
        let minute = NOW_MS - MINUTE_MS;
        let batches = [
            vec![one(minute, "east-1", 10), one(minute, "east-2", 5), one(minute, "router-1", 900)],
            vec![one(minute, "east-1", 30), one(NOW_MS, "east-1", 7)],
        ];
        for batch in batches {
            database.write(move |tx| Ok::<_, DatabaseError>(series::add(tx, &batch, HOUR_MS)?)).await.expect("written");
        }
        let device: DeviceName = "east-1".parse().expect("name");
        let hour_ms = NOW_MS - NOW_MS % HOUR_MS;
        let (points, busiest) = database
            .read(move |tx| Ok::<_, DatabaseError>((series::network(tx, 0)?, series::hour(tx, &device, hour_ms)?)))
            .await
            .expect("read");
        let found: Vec<_> = points.iter().map(|p| (p.at_ms, p.sessions, p.requests, p.client_bytes)).collect();
        assert_eq!(found, [(minute, 2, 3, 45), (NOW_MS, 1, 1, 7)]);
        assert_eq!(busiest, Some(40));
        database.write(|tx| Ok::<_, DatabaseError>(series::trim(tx, NOW_MS, NOW_MS)?)).await.expect("trimmed");
        let device: DeviceName = "east-1".parse().expect("name");
        let left =
            database.read(move |tx| Ok::<_, DatabaseError>((series::network(tx, 0)?.len(), series::hour(tx, &device, hour_ms)?))).await;
        assert_eq!(left.expect("read"), (1, None));
    }
}
