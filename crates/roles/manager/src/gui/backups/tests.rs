//! The page of backups, drawn from what there may be.

use super::{shown::Proof, *};
use weir_operator_api::{Backup, BackupCopy, BackupManifest, Rehearsal};

fn copy(place: &str, elsewhere: bool, proven: bool) -> BackupCopy {
    BackupCopy { place: place.into(), elsewhere, proven, detail: None }
}

fn backup(name: &str, at_ms: u64, copies: Vec<BackupCopy>) -> Backup {
    Backup {
        name: name.into(),
        at_ms,
        actor: "schedule".into(),
        manifest: BackupManifest {
            format: 1,
            network: "demo".into(),
            network_id: "a".repeat(64),
            manager: "manager-1".parse().expect("name"),
            version: "1.0.0-b1".into(),
            step: 7,
            term: 1,
            generation: 5,
            rev: at_ms,
            digest: "d".repeat(64),
            database_sha256: "e".repeat(64),
            database_bytes: 4_096,
            key_fingerprint: "0123456789abcdef".into(),
        },
        bytes: 5_000,
        sha256: "f".repeat(64),
        proven: copies.iter().any(|copy| copy.elsewhere && copy.proven),
        copies,
        rehearsed: None,
    }
}

fn schedule() -> BackupSchedule {
    BackupSchedule { every_hours: Some(24), keep: 7, engines: vec!["east-1".into()], url: None, header: None, header_value: None }
}

fn drawn(backups: Vec<Backup>, role: weir_operator_api::AccessRole, unescrowed: &str) -> String {
    let order = Order::new(Column::Made, false);
    let schedule = schedule();
    BackupsPage {
        page: Page { role, ..Page::sample(Section::Backups, "Backups") },
        backups: sorted(order, backups.into_iter().map(Listed::new).collect()),
        order,
        under_way: None,
        typed: Typed::from(&schedule),
        schedule,
        unescrowed: unescrowed.into(),
        unproven: String::new(),
        engines: vec!["east-1".into(), "east-2".into()],
        rejected: Rejected::default(),
    }
    .render()
    .expect("drawn")
}

#[test]
fn a_backup_is_worth_what_its_copies_prove() {
    let failed = Rehearsal { version: "1.0.0-b1".into(), at_ms: 1, checks: Vec::new(), passed: false };
    for (backup, expected) in [
        (backup("a", 1, vec![copy("box", false, true)]), Proof::HereOnly),
        (backup("a", 1, vec![copy("box", false, true), copy("url host", true, false)]), Proof::Unproven),
        (backup("a", 1, vec![copy("box", false, true), copy("engine east-1", true, true)]), Proof::Proven),
        (Backup { rehearsed: Some(failed), ..backup("a", 1, vec![copy("engine east-1", true, true)]) }, Proof::Broken),
    ] {
        assert_eq!(Listed::new(backup).proof(), expected);
    }
}

#[test]
fn the_newest_comes_first_and_the_key_is_spoken_of_until_it_is_kept() {
    use weir_operator_api::AccessRole::{Admin, Viewer};
    let two = || vec![backup("older", 1, Vec::new()), backup("newer", 2, Vec::new())];
    let text = drawn(two(), Admin, "0123456789abcdef");
    assert!(text.find("newer").expect("newer") < text.find("older").expect("older"));
    for fact in ["weir cms key confirm 0123456789abcdef", "One is made each day", "the vault of engine east-1", "Make a backup", "Change …"]
    {
        assert!(text.contains(fact), "{fact}: {text}");
    }
    let text = drawn(two(), Viewer, "");
    for hidden in ["KEY_NOT_ESCROWED", "Make a backup", "Change …"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    assert!(drawn(Vec::new(), Admin, "").contains("No backup yet"));
}

#[test]
fn what_is_done_of_a_backup_is_told_in_words() {
    for (stage_word, told) in [
        ("copy", "The configuration is copied"),
        ("rehearse", "It is rehearsed"),
        ("url host.test", "A copy goes to host.test and is read back"),
        ("engine east-1", "A copy goes to the vault of east-1 and is read back"),
        ("what comes later", "what comes later"),
    ] {
        let under_way = BackupUnderWay { actor: "schedule".into(), since_ms: 1, stage: stage_word.into() };
        assert_eq!(stage(&under_way), told);
    }
}
