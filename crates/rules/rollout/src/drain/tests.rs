use super::*;
use proptest::prelude::*;

const SINCE_MS: u64 = 1_000_000;
const ACKED_MS: u64 = SINCE_MS + 1_000;
const PEERS_ACKED_MS: u64 = SINCE_MS + 9_000;

fn name(text: &str) -> DeviceName {
    text.parse().expect(text)
}

fn acked(device: &str, at_ms: u64) -> Acknowledgement {
    Acknowledgement { device: name(device), acked_ms: Some(at_ms), silent_since_ms: None, in_contact: false }
}

fn missing(device: &str) -> Acknowledgement {
    Acknowledgement { acked_ms: None, ..acked(device, 0) }
}

fn silent(device: &str, since_ms: u64) -> Acknowledgement {
    Acknowledgement { silent_since_ms: Some(since_ms), ..missing(device) }
}

fn nothing_at(at_ms: u64) -> Reported {
    Reported { at_ms, active_requests: 0, sessions: 0, fills_for_others: 0, newest: Vec::new(), late_sessions: 0, late_requests: 0 }
}

/// The rehearsal profile: DNS TTL 2 s, stable 2 s, silence 3 s, soft 5 s, hard 60 s, report patience 2.5 s.
fn profile() -> Profile {
    Profile::rehearsal()
}

/// An engine on which nothing runs, in the epoch `peers`, acknowledged by all.
fn quiet(profile: &Profile, at_ms: u64) -> DrainView<'_> {
    let others = ["east-1", "east-2", "router-1"];
    DrainView {
        profile,
        epoch: OffloadEpoch::Peers,
        since_ms: SINCE_MS,
        judge_from_ms: 0,
        clients: others.map(|device| acked(device, ACKED_MS)).to_vec(),
        peers: others.map(|device| acked(device, PEERS_ACKED_MS)).to_vec(),
        reported: Some(nothing_at(at_ms)),
        idle_since_ms: None,
    }
}

fn in_clients(profile: &Profile, at_ms: u64) -> DrainView<'_> {
    DrainView { epoch: OffloadEpoch::Clients, peers: Vec::new(), ..quiet(profile, at_ms) }
}

fn words(verdict: &DrainVerdict) -> Vec<&'static str> {
    verdict.waits.iter().map(Wait::as_str).collect()
}

fn texts(verdict: &DrainVerdict) -> Vec<String> {
    verdict.waits.iter().map(ToString::to_string).collect()
}

#[test]
fn drained_when_nothing_has_run_for_the_stable_time() {
    let profile = profile();
    let mut memory = DrainMemory::default();
    let mut judge_at = |at_ms: u64| {
        let verdict = judge(&DrainView { idle_since_ms: memory.idle_since_ms, ..quiet(&profile, at_ms) }, at_ms + 10);
        memory.observe(&verdict);
        verdict
    };
    let first = judge_at(PEERS_ACKED_MS + 1_000);
    assert_eq!((first.drained, texts(&first)), (false, vec!["nothing runs on it; that must hold for another 2 s".to_owned()]));
    assert_eq!(texts(&judge_at(PEERS_ACKED_MS + 2_500)), ["nothing runs on it; that must hold for another 1 s"]);
    let last = judge_at(PEERS_ACKED_MS + 3_000);
    assert!(last.drained && last.waits.is_empty(), "{last:?}");
    assert!(!last.next_epoch);
}

#[test]
fn time_that_no_report_covers_does_not_make_it_stable() {
    let profile = profile();
    let at_ms = PEERS_ACKED_MS + 1_000;
    let verdict = judge(&DrainView { idle_since_ms: Some(at_ms), ..quiet(&profile, at_ms) }, at_ms + 2_400);
    assert_eq!(words(&verdict), ["stable"]);
    let verdict = judge(&DrainView { idle_since_ms: Some(at_ms), ..quiet(&profile, at_ms) }, at_ms + 2_501);
    assert_eq!(words(&verdict), ["not_reporting"], "and a report older than the patience says nothing at all");
    let before = PEERS_ACKED_MS - 1;
    let verdict = judge(&DrainView { idle_since_ms: Some(before - 5_000), ..quiet(&profile, before) }, PEERS_ACKED_MS + 100);
    assert_eq!((words(&verdict), verdict.idle_at_ms), (vec!["stable"], None), "made before the last acknowledgement");
}

#[test]
fn a_blip_begins_the_stable_time_again() {
    let profile = profile();
    let mut memory = DrainMemory { idle_since_ms: Some(PEERS_ACKED_MS) };
    let mut view = quiet(&profile, PEERS_ACKED_MS + 3_000);
    view.reported.as_mut().expect("a report").fills_for_others = 1;
    memory.observe(&judge(&view, PEERS_ACKED_MS + 3_000));
    assert_eq!(memory, DrainMemory::default());
}

#[test]
fn every_wait_alone_keeps_it() {
    type Change = fn(&mut DrainView<'_>);
    let now_ms = PEERS_ACKED_MS + 6_000;
    let table: [(&[&str], &str, Change); 9] = [
        (&["not_reporting"], "it has not reported what runs on it", |view| view.reported = None),
        (&["not_reporting"], "it last reported what runs on it 3 s ago, too long to go by", |view| {
            view.reported.as_mut().expect("a report").at_ms -= 2_501;
        }),
        (&["manager_start"], "the manager has just started and listens for 2 s before it judges", |view| {
            view.judge_from_ms = PEERS_ACKED_MS + 7_001;
        }),
        (&["acknowledgement"], "not known yet to send it no viewer: east-2, router-1", |view| {
            view.clients = vec![acked("east-1", ACKED_MS), missing("router-1"), missing("east-2")];
        }),
        (&["acknowledgement"], "not known yet to fill from elsewhere: east-2", |view| view.peers[1] = missing("east-2")),
        (&["dns_ttl"], "resolvers may hold its address for another 1 s", |view| {
            view.clients[2] = acked("router-1", PEERS_ACKED_MS + 4_500);
        }),
        (&["sessions"], "1 viewer session left", |view| view.reported.as_mut().expect("a report").sessions = 1),
        (&["requests"], "2 requests being answered", |view| view.reported.as_mut().expect("a report").active_requests = 2),
        (&["fills_for_others"], "1 request of other engines being answered", |view| {
            view.reported.as_mut().expect("a report").fills_for_others = 1;
        }),
    ];
    let profile = profile();
    let drained = DrainView { idle_since_ms: Some(PEERS_ACKED_MS), ..quiet(&profile, now_ms) };
    assert!(judge(&drained, now_ms).drained);
    for (expected, text, change) in table {
        let mut view = drained.clone();
        change(&mut view);
        let verdict = judge(&view, now_ms);
        assert_eq!((verdict.drained, &words(&verdict)[..]), (false, expected), "{text}");
        assert_eq!(texts(&verdict), [text]);
        assert_eq!(verdict.idle_at_ms, None, "{text}");
    }
}

#[test]
fn the_most_important_wait_comes_first() {
    let profile = profile();
    let mut view = in_clients(&profile, SINCE_MS);
    view.judge_from_ms = SINCE_MS + 10_000;
    view.clients = vec![missing("router-1")];
    view.reported = Some(Reported { sessions: 3, active_requests: 2, fills_for_others: 1, ..nothing_at(SINCE_MS) });
    let verdict = judge(&view, SINCE_MS + 5_000);
    let expected = ["not_reporting", "manager_start", "acknowledgement", "sessions", "requests", "fills_for_others"];
    assert_eq!(words(&verdict), expected);
    let devices: Vec<&DeviceName> = verdict.waits.iter().flat_map(Wait::devices).collect();
    assert_eq!(devices, [&name("router-1")]);
    assert_eq!((verdict.sessions, verdict.active_requests, verdict.fills_for_others), (3, 2, 1));
    assert_eq!((verdict.soft_limit_ms, verdict.hard_limit_ms), (SINCE_MS + 5_000, SINCE_MS + 60_000));
}

#[test]
fn peers_may_be_written_when_clients_is_acknowledged_and_no_session_is_left() {
    let profile = profile();
    let now_ms = ACKED_MS + 2_000;
    let next = |change: &dyn Fn(&mut DrainView<'_>)| {
        let mut view = in_clients(&profile, now_ms);
        change(&mut view);
        let verdict = judge(&view, now_ms);
        assert!(!verdict.drained, "never in the first epoch");
        (verdict.next_epoch, words(&verdict))
    };
    assert_eq!(next(&|_| {}), (true, vec!["acknowledgement"]));
    let busy = |view: &mut DrainView<'_>| {
        view.reported = Some(Reported { active_requests: 1, fills_for_others: 4, ..nothing_at(now_ms) });
    };
    assert_eq!(next(&busy), (true, vec!["acknowledgement", "requests", "fills_for_others"]), "it stays a parent until peers");
    let session = |view: &mut DrainView<'_>| view.reported.as_mut().expect("a report").sessions = 1;
    assert_eq!(next(&session), (false, vec!["sessions"]));
    assert_eq!(next(&|view| view.clients.push(acked("router-2", ACKED_MS + 1))), (false, vec!["dns_ttl"]));
    assert_eq!(next(&|view| view.clients.push(missing("router-2"))), (false, vec!["acknowledgement"]));
    assert_eq!(next(&|view| view.judge_from_ms = now_ms + 1), (false, vec!["manager_start"]));
    assert_eq!(next(&|view| view.reported = None), (false, vec!["not_reporting"]));
    let early = |view: &mut DrainView<'_>| view.reported.as_mut().expect("a report").at_ms -= 1;
    assert_eq!(next(&early), (false, vec!["acknowledgement"]), "a viewer may have been sent here after it");
    let verdict = judge(&quiet(&profile, now_ms), now_ms);
    assert!(!verdict.next_epoch, "it is written already");
}

#[test]
fn a_silent_device_is_given_up_after_its_patience_and_one_ttl() {
    let profile = profile();
    let given_up_ms = ACKED_MS + 3_000 + 2_000;
    let of = |acknowledgement: Acknowledgement, now_ms| {
        let mut view = in_clients(&profile, now_ms);
        view.clients.push(acknowledgement);
        words(&judge(&view, now_ms))
    };
    assert_eq!(of(silent("router-2", ACKED_MS), given_up_ms - 1), ["acknowledgement"]);
    let view = |now_ms| DrainView { clients: vec![silent("router-2", ACKED_MS)], ..in_clients(&profile, now_ms) };
    assert!(!judge(&view(given_up_ms - 1), given_up_ms - 1).next_epoch);
    assert!(judge(&view(given_up_ms), given_up_ms).next_epoch);
    let contact = Acknowledgement { in_contact: true, ..silent("router-2", ACKED_MS) };
    let mut waited = in_clients(&profile, given_up_ms + 50_000);
    waited.clients = vec![contact.clone()];
    assert!(!judge(&waited, given_up_ms + 50_000).next_epoch, "it still sends viewers here");
    waited.clients = vec![Acknowledgement { acked_ms: Some(ACKED_MS), ..contact }];
    assert!(judge(&waited, given_up_ms + 50_000).next_epoch, "it said so on its lifeline");
}

#[test]
fn a_router_cut_off_from_the_manager_does_not_hold_up_peers() {
    let profile = profile();
    let now_ms = PEERS_ACKED_MS + 6_000;
    let mut view = DrainView { idle_since_ms: Some(PEERS_ACKED_MS + 3_000), ..quiet(&profile, now_ms) };
    let cut_off = Acknowledgement { in_contact: true, ..silent("router-1", SINCE_MS - 60_000) };
    view.clients[2] = Acknowledgement { acked_ms: Some(ACKED_MS), ..cut_off.clone() };
    view.peers[2] = cut_off;
    assert!(judge(&view, now_ms).drained);
}

#[test]
fn strays_count_until_the_soft_limit_and_block_nothing_after() {
    let profile = profile();
    // Nobody should have been sent here from ACKED_MS + 2 s on; the soft limit is SINCE_MS + 5 s.
    let quiet_ms = ACKED_MS + 2_000;
    let mut view = in_clients(&profile, SINCE_MS + 4_500);
    view.reported = Some(Reported {
        sessions: 3,
        active_requests: 5,
        newest: vec![
            SessionFacts { age_ms: SINCE_MS + 4_500 - quiet_ms - 1, active_requests: 4 },
            SessionFacts { age_ms: SINCE_MS + 4_500 - quiet_ms, active_requests: 1 },
        ],
        ..nothing_at(SINCE_MS + 4_500)
    });
    let before = judge(&view, SINCE_MS + 4_999);
    assert_eq!((before.sessions, before.active_requests, &before.strays[..]), (2, 5, &[0][..]));
    assert_eq!(texts(&before)[0], "2 viewer sessions left and 1 begun since");
    let after = judge(&view, SINCE_MS + 5_000);
    assert_eq!((after.sessions, after.active_requests, &after.strays[..]), (2, 1, &[0][..]));
    assert_eq!(words(&after), ["sessions", "requests"]);

    let only_a_stray = |view: &mut DrainView<'_>| {
        let reported = view.reported.as_mut().expect("a report");
        (reported.sessions, reported.active_requests) = (1, 4);
        reported.newest.truncate(1);
    };
    only_a_stray(&mut view);
    assert_eq!((judge(&view, SINCE_MS + 4_999).next_epoch, judge(&view, SINCE_MS + 5_000).next_epoch), (false, true));
    assert_eq!(judge(&view, SINCE_MS + 5_000).strays, [0], "it stays listed");
    view.clients.push(missing("router-2"));
    assert_eq!(judge(&view, SINCE_MS + 5_000).strays, [0; 0], "while somebody may still send viewers nobody is astray");
}

#[test]
fn strays_beyond_those_listed_block_nothing_either() {
    let profile = profile();
    let at_ms = SINCE_MS + 6_000;
    let quiet_ms = ACKED_MS + 2_000;
    let newest = |age_ms: u64| SessionFacts { age_ms, active_requests: 1 };
    let stray = newest(at_ms - quiet_ms - 1);
    let of = |change: &dyn Fn(&mut Reported)| {
        let mut view = in_clients(&profile, at_ms);
        let reported = view.reported.as_mut().expect("a report");
        *reported =
            Reported { sessions: 5, active_requests: 7, newest: vec![stray; 2], late_sessions: 5, late_requests: 7, ..nothing_at(at_ms) };
        change(reported);
        let verdict = judge(&view, at_ms);
        (verdict.sessions, verdict.active_requests, verdict.strays.len(), verdict.next_epoch)
    };
    assert_eq!(of(&|_| {}), (0, 0, 2, true), "as many as there are");
    assert_eq!(of(&|r| r.late_sessions = 4), (1, 0, 2, false), "one was here before");
    assert_eq!(of(&|r| r.late_requests = 6), (0, 1, 2, true), "and so was a request");
    assert_eq!(of(&|r| r.late_sessions = 1), (3, 0, 2, false), "those listed count in any case");
    assert_eq!(of(&|r| r.late_sessions = u32::MAX), (0, 0, 2, true));
    assert_eq!(of(&|r| r.newest[1] = newest(at_ms - quiet_ms)), (4, 6, 1, false), "the list goes back far enough");
    let no_session = Reported { late_requests: 7, active_requests: 7, ..nothing_at(at_ms) };
    assert_eq!(of(&|r| r.clone_from(&no_session)), (0, 0, 0, true), "requests that are no sessions yet");
    let early = Reported { at_ms: quiet_ms - 1, late_requests: 7, active_requests: 7, ..nothing_at(at_ms) };
    assert_eq!(of(&|r| r.clone_from(&early)).1, 7, "from before anybody could be astray");
}

#[test]
fn a_router_waits_for_its_requests_and_one_ttl() {
    let profile = profile();
    let now_ms = ACKED_MS + 6_000;
    let view = DrainView { idle_since_ms: Some(ACKED_MS + 2_000), ..in_clients(&profile, now_ms) };
    assert!(judge_router(&view, now_ms).drained);
    let with = |change: &dyn Fn(&mut DrainView<'_>)| {
        let mut view = view.clone();
        change(&mut view);
        let verdict = judge_router(&view, now_ms);
        assert!(!verdict.drained && !verdict.next_epoch);
        words(&verdict)
    };
    assert_eq!(with(&|view| view.reported.as_mut().expect("a report").active_requests = 1), ["requests"]);
    assert_eq!(with(&|view| view.clients[0] = acked("router-1", now_ms - 1_999)), ["dns_ttl"]);
    assert_eq!(with(&|view| view.clients[0] = missing("router-1")), ["acknowledgement"]);
    assert_eq!(with(&|view| view.idle_since_ms = None), ["stable"]);
    assert_eq!(with(&|view| view.reported = None), ["not_reporting"]);
    assert_eq!(with(&|view| view.judge_from_ms = now_ms + 1), ["manager_start"]);
}

fn acknowledgement() -> impl Strategy<Value = Acknowledgement> {
    let ms = || prop::option::of(SINCE_MS - 10_000..SINCE_MS + 30_000);
    (0u8..4, ms(), ms(), any::<bool>()).prop_map(|(number, acked_ms, silent_since_ms, in_contact)| Acknowledgement {
        device: name(&format!("device-{number}")),
        acked_ms,
        silent_since_ms,
        in_contact,
    })
}

fn reported() -> impl Strategy<Value = Option<Reported>> {
    let session = (0u64..40_000, 0u32..3).prop_map(|(age_ms, active_requests)| SessionFacts { age_ms, active_requests });
    let late = (0u32..3, 0u32..3);
    let report = (SINCE_MS..SINCE_MS + 40_000, 0u32..3, 0u32..3, 0u32..2, prop::collection::vec(session, 0..3), late);
    let made = |(at_ms, active_requests, sessions, fills_for_others, newest, (late_sessions, late_requests))| Reported {
        at_ms,
        active_requests,
        sessions,
        fills_for_others,
        newest,
        late_sessions,
        late_requests,
    };
    prop::option::of(report.prop_map(made))
}

proptest! {
    /// Nothing is called drained that the predicate's words, read one by one, do not allow.
    #[test]
    fn drained_means_drained(
        clients in prop::collection::vec(acknowledgement(), 0..4),
        peers in prop::collection::vec(acknowledgement(), 0..4),
        reported in reported(),
        idle_since_ms in prop::option::of(SINCE_MS..SINCE_MS + 30_000),
        judge_from_ms in SINCE_MS..SINCE_MS + 20_000,
        epoch in prop::sample::select(vec![OffloadEpoch::Clients, OffloadEpoch::Peers]),
        now_ms in SINCE_MS..SINCE_MS + 40_000,
    ) {
        let profile = profile();
        // Nothing is known of what has not happened yet.
        let known = |ms: u64| ms.min(now_ms);
        let happened = |a: Acknowledgement| Acknowledgement {
            acked_ms: a.acked_ms.map(known),
            silent_since_ms: a.silent_since_ms.map(known),
            ..a
        };
        let (clients, peers) = (clients.into_iter().map(happened).collect(), peers.into_iter().map(happened).collect());
        let reported = reported.map(|reported| Reported { at_ms: known(reported.at_ms), ..reported });
        let idle_since_ms = idle_since_ms.map(known);
        let view = DrainView { profile: &profile, epoch, since_ms: SINCE_MS, judge_from_ms, clients, peers, reported, idle_since_ms };
        let verdict = judge(&view, now_ms);
        prop_assert_eq!(verdict.drained, verdict.waits.is_empty());
        prop_assert!(!(verdict.drained && verdict.next_epoch));
        let settled = |by: &[Acknowledgement], ttl_ms: u64, of_clients: bool, at_ms: u64| {
            by.iter().all(|a| match (a.acked_ms, a.silent_since_ms) {
                (Some(acked_ms), _) => acked_ms + ttl_ms <= at_ms,
                (None, Some(since_ms)) => since_ms + 5_000 <= at_ms && !(of_clients && a.in_contact),
                (None, None) => false,
            })
        };
        if verdict.drained || verdict.next_epoch {
            prop_assert!(now_ms >= judge_from_ms);
            prop_assert!(settled(&view.clients, 2_000, true, now_ms));
            let reported = view.reported.as_ref().expect("a report");
            prop_assert!(now_ms.saturating_sub(reported.at_ms) <= 2_500);
            prop_assert!(now_ms >= SINCE_MS + 5_000 || reported.sessions == 0);
            let astray = u32::try_from(verdict.strays.len()).expect("few").max(reported.late_sessions);
            prop_assert!(reported.sessions <= astray);
            prop_assert!(reported.sessions as usize <= verdict.strays.len() || verdict.strays.len() == reported.newest.len());
            prop_assert!(settled(&view.clients, 2_000, true, reported.at_ms), "it was said when nobody sent viewers any longer");
        }
        if verdict.drained {
            prop_assert_eq!(epoch, OffloadEpoch::Peers);
            prop_assert!(settled(&view.peers, 0, false, now_ms));
            let reported = view.reported.as_ref().expect("a report");
            prop_assert_eq!(reported.fills_for_others, 0);
            prop_assert!(reported.at_ms >= idle_since_ms.expect("idle before") + 2_000);
        }
    }
}
