//! Every step only adds, has a way back where one is needed, and is the text it was when it was released.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

/// Every text that was ever released: by database, id and direction.
const RELEASED: &[(&str, u32, &str, &str)] = &[
    ("config", 1, "up", "5114c3fbffdd841124c028498b4066d8f467f49ce437c02f2075fbe33896eed1"),
    ("config", 2, "up", "6675c57743beaa60c8f5a4b9fa85d127f7e80d96967bc1587ef68626a9142f11"),
    ("config", 3, "up", "4c499fe52d054b2b7bb577d7100262761d624c0f58e4cf810cb9378bb5caf3b4"),
    ("config", 4, "up", "513c33170598b53905b0bec8fa456b1e98634c08d0c14137378c57459bbac752"),
    ("config", 5, "up", "6c5eb5b272d36af7a9d2c97eaa27983f6c1a20a1e4f405f81e832da93b7cb9e4"),
    ("config", 6, "up", "0c1a98ea2e1330394948023a781acdf3fa82091489655baab4fa83b70abef991"),
    ("config", 7, "up", "f551629fb3ee06e9e88c1392d702e657a2b02266fb2863b17f0bd32f795b2c18"),
    ("state", 1, "up", "b868cb37775e8c307ac42ce7fee383df8c153f9b0599dfe02a32d7b802062d56"),
    ("state", 2, "up", "7dd6fbde268d3479146e6f8b23896e993a7062876d936c4fe6e029ef9980fdad"),
    ("state", 3, "up", "0992a0f34698cdaf947796ec5a2ece0760cd56bdd42c1c87a9b87e1e2155357f"),
    ("state", 4, "up", "dba3aacb2d3356d094fa91687d9031e3fd26ec2ced5b24f85e9f1d34aaa69de3"),
];

const DATABASES: [(&str, &[Migration]); 2] = [("config", CONFIG), ("state", STATE)];

#[test]
fn a_released_text_keeps_its_bytes() {
    for (database, id, direction, sha256) in RELEASED {
        let (_, steps) = DATABASES.iter().find(|(name, _)| name == database).expect("a database");
        let step = steps.iter().find(|step| step.id == *id).expect("a released step is never taken out");
        let digest = if *direction == "up" { Some(step.up_sha256()) } else { step.down_sha256() };
        assert_eq!(digest.as_deref(), Some(*sha256), "{database} {id} {direction}");
    }
}

/// A step is listed when it is added, so that no change of it goes unseen. The next line's are never released.
#[cfg(not(feature = "synthetic-next"))]
#[test]
fn every_text_of_this_line_is_listed() {
    let listed: BTreeSet<_> = RELEASED.iter().map(|(database, id, direction, _)| (*database, *id, *direction)).collect();
    let texts = |step: &Migration| [Some("up"), step.down_sql.map(|_| "down")].into_iter().flatten();
    let there: BTreeSet<_> = DATABASES
        .iter()
        .flat_map(|(database, steps)| steps.iter().map(move |step| (*database, step)))
        .flat_map(|(database, step)| texts(step).map(move |direction| (database, step.id, direction)))
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn every_step_only_adds() {
    for (database, steps) in DATABASES {
        for step in steps {
            if let Err(statement) = only_adds(step.id, step.up_sql) {
                panic!("{database} step {}: `{statement}` does more than add", step.id);
            }
        }
    }
}

#[test]
fn what_does_more_than_add_is_seen() {
    let refused = [
        "DROP TABLE device",
        "ALTER TABLE device DROP COLUMN name",
        "ALTER TABLE device RENAME COLUMN name TO label",
        "ALTER TABLE device ADD COLUMN words TEXT NOT NULL",
        "UPDATE device SET weight = 1",
        "DELETE FROM device",
        "INSERT INTO device (name) VALUES ('x')",
        "CREATE TABLE t (x TEXT) STRICT; UPDATE device SET weight = 1",
        "DROP TABLE attic_5_device",
        "PRAGMA user_version = 2",
    ];
    for sql in refused {
        assert!(only_adds(6, sql).is_err(), "{sql}");
    }
    let fine = "ALTER TABLE device ADD COLUMN words TEXT NOT NULL DEFAULT ''; CREATE TABLE IF NOT EXISTS attic_6_device (id INTEGER);
        UPDATE device SET words = attic.words FROM attic_6_device AS attic WHERE attic.id = device.id; DROP TABLE attic_6_device;
        CREATE TABLE t (x TEXT) STRICT; CREATE UNIQUE INDEX t_x ON t (x); INSERT INTO t (x) SELECT name FROM device;";
    assert_eq!(only_adds(6, fine), Ok(()));
}

/// Looks at each statement; no text of ours has a `;` inside one.
fn only_adds(id: u32, sql: &str) -> Result<(), String> {
    let attic = format!("attic_{id}_");
    let mut made = BTreeSet::new();
    for statement in sql.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        let words: Vec<&str> = statement.split(|c: char| c.is_whitespace() || c == '(').filter(|word| !word.is_empty()).collect();
        let adds = match words.as_slice() {
            ["CREATE", "TABLE", "IF", "NOT", "EXISTS", table, ..] => table.starts_with(&attic),
            ["CREATE", "TABLE", table, ..] => made.insert((*table).to_owned()),
            ["CREATE", "INDEX", ..] | ["CREATE", "UNIQUE", "INDEX", ..] => true,
            ["ALTER", "TABLE", _, "ADD", "COLUMN", rest @ ..] => {
                !rest.windows(2).any(|w| w == ["NOT", "NULL"]) || rest.contains(&"DEFAULT")
            }
            ["INSERT", "INTO", table, ..] => made.contains(*table) || words.iter().any(|word| word.starts_with(&attic)),
            ["UPDATE", ..] => words.iter().any(|word| word.starts_with(&attic)),
            ["DROP", "TABLE", table] => table.starts_with(&attic),
            _ => false,
        };
        if !adds {
            return Err(statement.to_owned());
        }
    }
    Ok(())
}

#[test]
fn the_schema_is_one_a_release_may_state() {
    let schema = schema();
    assert!(schema.span.is_ordered(), "{:?}", schema.span);
    assert!(schema.steps.iter().map(|step| step.step).eq(1..=schema.span.max), "ids follow one another and end at the newest");
    for step in &schema.steps {
        assert!(step.step <= schema.span.min || step.down.is_some(), "step {} needs a way back", step.step);
    }
}

mod generated;
mod ways_back;
