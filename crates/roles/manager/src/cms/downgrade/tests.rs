//! A database that a build of the next line took up, and this one takes back without knowing its step.

use super::*;
use rusqlite::Connection;
use std::{collections::BTreeMap, path::PathBuf};
use weir_database::{Database, Migration, dump};

const NEXT: Migration = Migration {
    id: 9_000,
    name: "notes",
    up_sql: "ALTER TABLE location ADD COLUMN note TEXT;
        CREATE TABLE IF NOT EXISTS attic_9000_location (id INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
        UPDATE location SET note = attic.note FROM attic_9000_location AS attic WHERE attic.id = location.id;
        DROP TABLE attic_9000_location",
    down_sql: Some(
        "CREATE TABLE attic_9000_location (id INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
        INSERT INTO attic_9000_location SELECT id, note FROM location WHERE note IS NOT NULL;
        ALTER TABLE location DROP COLUMN note",
    ),
};

/// A box whose database was of this build, and of the next line since.
struct Ahead {
    dir: tempfile::TempDir,
    /// What this build saw of it.
    ours: String,
    /// What the next line saw.
    theirs: String,
}

impl Ahead {
    fn new(primary: &str) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        std::fs::create_dir_all(dir.path().join("state/manager")).expect("directory");
        let mut ahead = Self { dir, ours: String::new(), theirs: String::new() };
        drop(Database::open(&ahead.path(), migrations::CONFIG, 1, "1.0.0-b1").expect("opens"));
        ahead.sql(&format!("INSERT INTO setting (name, value) VALUES ('primary', '{primary}'), ('term', '4')"));
        ahead.sql("INSERT INTO location (name, revision) VALUES ('east', 1), ('west', 1)");
        ahead.ours = ahead.dump();
        ahead.up();
        ahead.sql("UPDATE location SET note = 'by the sea' WHERE name = 'west'");
        ahead.theirs = ahead.dump();
        ahead
    }

    fn path(&self) -> PathBuf {
        self.state().join(CONFIG)
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state/manager")
    }

    fn up(&self) {
        let all: Vec<_> = migrations::CONFIG.iter().copied().chain([NEXT]).collect();
        drop(Database::open(&self.path(), &all, 2, "9.1.0-b1").expect("goes up"));
    }

    fn sql(&self, sql: &str) {
        Connection::open(self.path()).expect("opens").execute_batch(sql).expect("runs");
    }

    fn dump(&self) -> String {
        dump(&Connection::open(self.path()).expect("opens")).expect("dumps")
    }

    fn run(&self, request: &DowngradeRequest) -> Result<DowngradePlan, Problem> {
        downgrade_offline(self.dir.path(), &name(), request)
    }

    fn is_enabled(&self) -> bool {
        BoxFile::open(&self.state()).expect("reads").enabled()
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.state().join("journal.log")).unwrap_or_default()
    }
}

fn name() -> DeviceName {
    "manager-1".parse().expect("name")
}

fn plan_only() -> DowngradeRequest {
    DowngradeRequest { plan: true, ..DowngradeRequest::default() }
}

#[test]
fn a_plan_says_everything_and_changes_nothing() {
    let ahead = Ahead::new("manager-1");
    let planned = ahead.run(&plan_only()).expect("planned");
    let step = DowngradeStep {
        step: 9_000,
        name: "notes".to_owned(),
        written_by: Some("9.1.0-b1".to_owned()),
        down_sha256: NEXT.down_sha256().expect("there is one"),
        parked: BTreeMap::from([("attic_9000_location".to_owned(), 1)]),
    };
    assert_eq!(planned, DowngradePlan { from: 9_000, to: migrations::newest(), steps: vec![step], done: false });
    assert_eq!(ahead.dump(), ahead.theirs);
    assert!(ahead.is_enabled() && ahead.journal().is_empty());
}

#[test]
fn it_goes_back_and_forward_again_and_nothing_is_lost() {
    let ahead = Ahead::new("manager-1");
    let planned = ahead.run(&plan_only()).expect("planned");
    let done = ahead.run(&DowngradeRequest::default()).expect("goes back");
    assert_eq!(done, DowngradePlan { done: true, ..planned });
    assert_eq!(ahead.dump(), ahead.ours);
    assert!(!ahead.is_enabled(), "an operator looks first");
    let journal = ahead.journal();
    for said in ["\"kind\":\"schema_downgraded\"", "\"term\":4", "\"from\":9000", "\"written_by\":\"9.1.0-b1\""] {
        assert!(journal.contains(said), "{said} in {journal}");
    }
    drop(Database::open(&ahead.path(), migrations::CONFIG, 3, "1.0.0-b1").expect("this build opens it"));
    ahead.sql("UPDATE location SET revision = 7 WHERE name = 'east'");
    ahead.up();
    assert_eq!(ahead.dump(), ahead.theirs.replace("location\t1\t'east'\tnull\t1", "location\t1\t'east'\tnull\t7"));
    assert!(ahead.dump().contains("'by the sea'"), "what only the next line knows is back");
}

#[test]
fn a_database_of_this_build_is_left_alone() {
    let ahead = Ahead::new("manager-1");
    ahead.run(&DowngradeRequest::default()).expect("goes back");
    BoxFile::open(&ahead.state()).expect("reads").set_enabled(true, None).expect("writes");
    let again = ahead.run(&DowngradeRequest::default()).expect("nothing to do");
    assert_eq!((again.from, again.to, again.steps.len(), again.done), (migrations::newest(), migrations::newest(), 0, true));
    assert!(ahead.is_enabled());
}

#[test]
fn the_journal_of_a_standby_is_the_primarys() {
    let ahead = Ahead::new("manager-2");
    ahead.run(&DowngradeRequest::default()).expect("goes back");
    assert_eq!(ahead.journal(), "");
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason_and_changes_nothing() {
    let ahead = Ahead::new("manager-1");
    let refused = |request: DowngradeRequest, reason| {
        let problem = ahead.run(&request).expect_err("refused");
        assert_eq!(problem.reason, reason, "{problem:?}");
        assert_eq!(ahead.dump(), ahead.theirs);
        assert!(ahead.is_enabled() && ahead.journal().is_empty());
        format!("{} {}", problem.detail, problem.next)
    };
    let said = refused(DowngradeRequest { plan: false, to: Some(8_999), alone: None }, Reason::NoWayBack);
    assert!(said.contains("no schema step 8999") && said.contains("--from-backup"), "{said}");
    let oldest = migrations::CONFIG.iter().rfind(|step| step.down_sql.is_none()).expect("the first line has no way back").id;
    refused(DowngradeRequest { plan: true, to: Some(oldest - 1), alone: None }, Reason::NoWayBack);
    let held = alone(&ahead.state()).expect("nobody runs");
    let said = refused(DowngradeRequest::default(), Reason::CmsState);
    assert!(said.contains("a manager runs"), "{said}");
    drop(held);
    ahead.sql("UPDATE schema_ledger SET down_sql = down_sql || ' ' WHERE id = 9000");
    let said = refused(DowngradeRequest::default(), Reason::NoWayBack);
    assert!(said.contains("step 9000 (notes) is damaged"), "{said}");
}

#[test]
fn one_that_fails_leaves_the_box_as_it_was_and_says_before_what_is_done() {
    let dir = tempfile::tempdir().expect("dir");
    let file = BoxFile::open(dir.path()).expect("reads");
    let failed = || {
        let written = BoxFile::open(dir.path()).expect("reads");
        assert!(!written.enabled() && written.why().is_some_and(|why| why.contains("is being taken back")), "nothing was done yet");
        Err(Problem::new(Reason::Internal, "the disk"))
    };
    for (enabled, why) in [(true, None), (false, Some("moving".to_owned()))] {
        file.set_enabled(enabled, why.clone()).expect("writes");
        assert_eq!(disabled(&file, failed).expect_err("fails").reason, Reason::Internal);
        let after = BoxFile::open(dir.path()).expect("reads");
        assert_eq!((after.enabled(), after.why()), (enabled, why));
    }
    let done = DowngradePlan { from: 9, to: 8, steps: vec![], done: true };
    assert_eq!(disabled(&file, || Ok(done.clone())), Ok(done));
    assert_eq!(BoxFile::open(dir.path()).expect("reads").why().as_deref(), Some(WHY));
}

#[test]
fn below_its_own_newest_step_a_build_would_only_go_up_again() {
    let problem = may_change(&DowngradeRequest { plan: false, to: Some(migrations::newest() - 1), alone: None }).expect_err("refused");
    assert_eq!((problem.reason, problem.field.as_deref()), (Reason::NoWayBack, Some("to")));
    assert!(may_change(&DowngradeRequest { plan: false, to: Some(migrations::newest()), alone: None }).is_ok());
}

#[test]
fn a_box_without_a_database_has_nothing_to_take_back() {
    let dir = tempfile::tempdir().expect("dir");
    let problem = downgrade_offline(dir.path(), &name(), &DowngradeRequest::default()).expect_err("refused");
    assert_eq!(problem.reason, Reason::NotFound);
    assert!(!dir.path().join("state").exists(), "and nothing is made");
}
