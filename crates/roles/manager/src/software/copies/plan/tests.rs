//! Who is asked when, and what is said of it.

use super::*;

const BYTES: u64 = 100;

fn engines(count: usize) -> Vec<DeviceName> {
    (0..count).map(|number| format!("east-{number:03}").parse().expect("name")).collect()
}

#[test]
fn each_engine_is_asked_until_it_holds_all_of_it() {
    let online = engines(1);
    let mut copies = BTreeMap::new();
    let mut now_ms = 10;
    let mut asked = |copies: &mut BTreeMap<_, _>, later_ms: u64| {
        now_ms += later_ms;
        (due(&online, copies, BYTES, now_ms).len(), now_ms)
    };
    assert_eq!(asked(&mut copies, 0).0, 1);
    assert_eq!(asked(&mut copies, 0).0, 0, "it is being asked");
    for (reply, pause_ms) in [
        (Reply::Held(0), FETCHING_MS),
        (Reply::Held(BYTES - 1), FETCHING_MS),
        (Reply::Silent, SILENT_MS),
        (Reply::Refused("too-large".to_owned()), REFUSED_MS),
        (Reply::Refused("too-large".to_owned()), 2 * REFUSED_MS),
        (Reply::Held(1), FETCHING_MS),
        (Reply::Refused("too-large".to_owned()), REFUSED_MS),
        (Reply::Held(BYTES), HELD_MS),
    ] {
        let at_ms = asked(&mut copies, 0).1;
        copies.values_mut().for_each(|copy| copy.answered(reply.clone(), at_ms));
        assert_eq!(asked(&mut copies, pause_ms - 1).0, 0, "{reply:?}: too early");
        assert_eq!(asked(&mut copies, 1).0, 1, "{reply:?}");
    }
}

#[test]
fn few_fetch_at_a_time() {
    let online = engines(FETCHING_MAX + 2);
    let mut copies = BTreeMap::new();
    let first = due(&online, &mut copies, BYTES, 1);
    assert_eq!(first, online[..FETCHING_MAX]);
    for engine in &first {
        copies.get_mut(engine).expect("asked").answered(Reply::Held(1), 1);
    }
    let again = due(&online, &mut copies, BYTES, 1 + FETCHING_MS);
    assert_eq!(again, first, "those that fetch are asked how far they are");
    copies.get_mut(&first[0]).expect("asked").answered(Reply::Held(BYTES), 2);
    copies.get_mut(&first[1]).expect("asked").answered(Reply::Refused("full".to_owned()), 2);
    assert_eq!(due(&online, &mut copies, BYTES, 3), online[FETCHING_MAX..], "whoever is done leaves its place");
}

#[test]
fn what_stands_in_the_way_is_said() {
    let online = engines(3);
    let mut copies = BTreeMap::new();
    let nobody = standing(&[], &copies, BYTES);
    assert!(!nobody.is_whole(), "no engine holds it where there is none");
    due(&online, &mut copies, BYTES, 1);
    assert_eq!(standing(&online, &copies, BYTES).to_string(), "0 of 3 engines that are online hold it; east-000 fetches it");
    copies.get_mut(&online[0]).expect("asked").answered(Reply::Held(BYTES), 1);
    copies.get_mut(&online[2]).expect("asked").answered(Reply::Refused("too-large".to_owned()), 1);
    assert_eq!(standing(&online, &copies, BYTES).to_string(), "1 of 3 engines that are online hold it; east-002: too-large");
    assert!(standing(&online[..1], &copies, BYTES).is_whole(), "who is not online is not waited for");
    due(&online[..1], &mut copies, BYTES, 2);
    assert!(copies.contains_key(&online[1]), "it is being asked");
    assert!(!copies.contains_key(&online[2]), "it is forgotten, and asked anew when it is back");
}
