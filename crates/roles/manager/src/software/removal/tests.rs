use super::*;
use crate::{
    software::record::{Origin, Registration, Standing},
    updates::{
        fixture::order,
        record::{Ended, Outcome},
    },
};
use weir_operator_api::SoftwareRelease;

fn version(text: &str) -> Version {
    text.parse().expect(text)
}

fn file(id: i64, state: SoftwareState, verified: Option<&str>) -> Record {
    let release = verified.map(|text| SoftwareRelease {
        version: version(text),
        line: version(text).line,
        arch: "x86_64".to_owned(),
        archive_sha256: String::new(),
        archive_bytes: 1,
        image_sha256: "ours".to_owned(),
        manifest_sha256: String::new(),
        schema: (1, 1),
        gates: vec![],
        notes: String::new(),
    });
    let registration = Registration {
        origin: Origin::Upload { file_name: "a.weir".to_owned() },
        version: None,
        bytes: None,
        auto_reload: true,
        method: weir_model::DownloadMethod::Default,
        comment: String::new(),
    };
    let standing = Standing { state, reason: None };
    Record {
        id,
        registration,
        standing,
        checks: vec![],
        release,
        created_ms: 0,
        created_by: String::new(),
        queued_ms: None,
        validated_ms: None,
    }
}

#[test]
fn the_only_way_back_is_kept() {
    use SoftwareState::{Draft, Invalid, Quarantined, Ready, Withdrawn};
    let devices = ["east-1", "east-2", "west-1", "west-2"].map(|name| name.parse().expect("name"));
    let running = Running::from([(version("1.0.0-b1"), devices.to_vec())]);
    let here = Some("1.0.0-b1");
    let both = BTreeSet::from([1, 2]);
    for (record, other, goes) in [
        (file(1, Ready, here), None, false),
        (file(1, Invalid, here), None, false),
        (file(1, Quarantined, here), None, false),
        (file(1, Withdrawn, here), None, true),
        (file(1, Draft, None), None, true),
        (file(1, Invalid, None), None, true),
        (file(1, Ready, Some("1.1.0-b1")), None, true),
        (file(1, Ready, here), Some(file(2, Ready, here)), true),
        (file(1, Ready, here), Some(file(2, Withdrawn, here)), false),
        (file(1, Ready, here), Some(file(2, Ready, Some("1.1.0-b1"))), false),
    ] {
        let all: Vec<_> = [Some(record.clone()), other].into_iter().flatten().collect();
        let admitted = admit(&record, &all, &running, &Installable { listed: None, held: both.clone() });
        assert_eq!(admitted.is_ok(), goes, "{all:?}");
        if let Err(problem) = admitted {
            assert_eq!(problem.reason, Reason::SoftwareInUse);
            assert!(problem.detail.starts_with("east-1, east-2, west-1 and 1 more run 1.0.0-b1"), "{}", problem.detail);
        }
    }
}

#[test]
fn a_way_back_is_listed_and_held() {
    use SoftwareState::{Invalid, Ready, Validating};
    let running = Running::from([(version("1.0.0-b1"), vec!["east-1".parse().expect("name")])]);
    let name = weir_release::image_name(version("1.0.0-b1"), "x86_64");
    let lists = |digest: &str| ListedImages::from([(name.clone(), digest.to_owned())]);
    let here = Some("1.0.0-b1");
    let (first, second) = (file(1, Ready, here), file(2, Invalid, here));
    for (record, listed, held, goes) in [
        (&first, lists("ours"), vec![1], false),
        (&first, lists("ours"), vec![1, 2], true),
        // The other one is verified, and its archive is gone.
        (&first, lists("ours"), vec![2], true),
        (&second, lists("ours"), vec![2], false),
        // Nobody goes back to an image that may not be installed.
        (&first, lists("another"), vec![1], true),
        (&first, ListedImages::new(), vec![1], true),
    ] {
        let all = [first.clone(), second.clone()];
        let installable = Installable { listed: Some(&listed), held: held.iter().copied().collect() };
        assert_eq!(admit(record, &all, &running, &installable).is_ok(), goes, "{} {listed:?} {held:?}", record.id);
    }
    // Being checked makes it neither more nor less.
    let (withdrawn, listed) = (file(1, Validating, here), ListedImages::new());
    let installable = Installable { listed: Some(&listed), held: BTreeSet::from([1]) };
    assert!(admit(&withdrawn, std::slice::from_ref(&withdrawn), &running, &installable).is_ok());
}

#[test]
fn what_a_device_is_to_become_is_kept() {
    let open = order(1);
    let ended = Some(Ended { outcome: Outcome::Successful, at_ms: 1 });
    for (order, file, goes) in [
        (open.clone(), open.file, false),
        (open.clone(), open.file + 1, true),
        (Order { ended, ..open.clone() }, open.file, true),
        // A silent device has not let it go, and fetches nothing for it any more.
        (Order { cancelled: true, ..open.clone() }, open.file, true),
    ] {
        let orders = BTreeMap::from([("east-1".parse().expect("name"), order)]);
        let admitted = not_assigned(file, &orders).map_err(|problem| problem.reason);
        assert_eq!(admitted, if goes { Ok(()) } else { Err(Reason::SoftwareInUse) }, "{file} {orders:?}");
    }
}
