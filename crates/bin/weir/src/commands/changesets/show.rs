//! Changesets as text.

use super::fields;
use crate::output::{self, or_dash, time};
use weir_operator_api::{AuditEntry, Changeset, ChangesetDetail};

/// Fields of one object that are shown.
const FIELDS_MAX: usize = 100;

pub(super) fn list(changesets: &[Changeset]) -> String {
    if changesets.is_empty() {
        return "no changeset is kept".into();
    }
    output::table(["REV", "AT", "WHO", "FROM", "DID", "GENERATION"], changesets.iter().map(columns))
}

/// One of them as a line: the columns of the list.
pub(super) fn line(changeset: &Changeset) -> String {
    columns(changeset).join("  ")
}

fn columns(changeset: &Changeset) -> [String; 6] {
    [
        changeset.rev.to_string(),
        time(changeset.at_ms),
        changeset.actor.clone(),
        changeset.source.clone(),
        did(changeset),
        changeset.generation.to_string(),
    ]
}

fn did(changeset: &Changeset) -> String {
    or_dash((!changeset.did.is_empty()).then(|| changeset.did.join(", ")))
}

/// One of them with what it changed, and whether it can be taken back.
pub(super) fn one(detail: &ChangesetDetail) -> String {
    let Changeset { rev, at_ms, actor, source, term, generation, undoes, did: _, hash } = &detail.changeset;
    let mut text = format!("changeset {rev}: {}\n", did(&detail.changeset));
    let mut field = |name: &str, value: String| text += &format!("{name:<12} {value}\n");
    field("at", time(*at_ms));
    field("by", format!("{actor} from {source}"));
    field("generation", format!("{generation}, of term {term}"));
    if let Some(undone) = undoes {
        field("takes back", format!("changeset {undone}"));
    }
    field("hash", hash.clone());
    text += &detail.entries.iter().map(entry).collect::<String>();
    text += &match &detail.undo_refused {
        None => format!("it can be taken back: `weir undo {rev}`\n"),
        Some(problem) => format!("it cannot be taken back: {problem}\n"),
    };
    text
}

fn entry(entry: &AuditEntry) -> String {
    let fields = fields::differing(entry.before.as_ref(), entry.after.as_ref());
    let mut text = format!("{} {}\n", entry.verb, entry.object);
    for field in fields.iter().take(FIELDS_MAX) {
        let name = if field.name.is_empty() { String::new() } else { format!("{}: ", field.name) };
        text += &format!("  {name}{} -> {}\n", or_dash(field.before.as_ref()), or_dash(field.after.as_ref()));
    }
    if fields.len() > FIELDS_MAX {
        text += &format!("  and {} more; `--output json` has them all\n", fields.len() - FIELDS_MAX);
    }
    text
}

/// What an undo did.
pub(super) fn taken_back(undone: &Changeset, kept: &Changeset) -> String {
    format!("changeset {} takes back changeset {}: {}", kept.rev, undone.rev, did(undone))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::{Value, json};
    use weir_operator_api::{Problem, Reason};

    pub(in crate::commands::changesets) fn changeset(rev: u64, did: &[&str]) -> Changeset {
        Changeset {
            rev,
            at_ms: 0,
            actor: "token:tests".into(),
            source: "192.0.2.9".into(),
            term: 1,
            generation: 4,
            undoes: None,
            did: did.iter().map(|&did| did.to_owned()).collect(),
            hash: "ab".repeat(32),
        }
    }

    fn change(verb: &str, object: &str, before: Option<Value>, after: Option<Value>) -> AuditEntry {
        AuditEntry {
            id: 9,
            at_ms: 0,
            actor: "token:tests".into(),
            source: "192.0.2.9".into(),
            verb: verb.into(),
            object: object.into(),
            before,
            after,
            generation: 4,
            rev: Some(12),
        }
    }

    #[test]
    fn the_list_says_what_each_did() {
        assert_eq!(list(&[]), "no changeset is kept");
        let text = list(&[changeset(11, &[]), changeset(12, &["change location east", "change coverage zones"])]);
        let rows: Vec<Vec<&str>> =
            text.lines().map(|row| row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
        assert_eq!(rows[0], ["REV", "AT", "WHO", "FROM", "DID", "GENERATION"]);
        assert_eq!(rows[1], ["11", "1970-01-01 00:00:00Z", "token:tests", "192.0.2.9", "-", "4"]);
        assert_eq!(rows[2][4], "change location east, change coverage zones");
        assert_eq!(
            line(&changeset(12, &["change location east"])),
            "12  1970-01-01 00:00:00Z  token:tests  192.0.2.9  change location east  4"
        );
    }

    #[test]
    fn one_in_full() {
        let east = |parent: &str| Some(json!({"name": "east", "parent": parent}));
        let mut detail = ChangesetDetail {
            changeset: changeset(12, &["change location east", "delete location west"]),
            entries: vec![
                change("change", "location east", east("core"), east("west")),
                change("delete", "location west", Some(json!({"name": "west", "parent": null})), None),
            ],
            undo_refused: None,
        };
        let expected = format!(
            "changeset 12: change location east, delete location west\n\
             at           1970-01-01 00:00:00Z\n\
             by           token:tests from 192.0.2.9\n\
             generation   4, of term 1\n\
             hash         {}\n\
             change location east\n  \
               parent: core -> west\n\
             delete location west\n  \
               name: west -> -\n\
             it can be taken back: `weir undo 12`\n",
            "ab".repeat(32)
        );
        assert_eq!(one(&detail), expected);
        detail.changeset.undoes = Some(9);
        assert!(one(&detail).contains("\ntakes back   changeset 9\n"), "{}", one(&detail));
        let problem = Problem::new(Reason::NotUndoable, "changeset 12 changed a device").next_step("use `weir device activate`");
        detail.undo_refused = Some(problem);
        let refused = "it cannot be taken back: changeset 12 changed a device (not_undoable); use `weir device activate`\n";
        assert!(one(&detail).ends_with(refused), "{}", one(&detail));
    }

    #[test]
    fn of_many_fields_the_first_are_shown() {
        let fields: serde_json::Map<_, _> = (0..FIELDS_MAX + 2).map(|n| (format!("f{n}"), json!(n))).collect();
        let text = entry(&change("create", "software file 1", None, Some(Value::Object(fields))));
        assert_eq!(text.lines().count(), FIELDS_MAX + 2);
        assert!(text.ends_with("  and 2 more; `--output json` has them all\n"), "{text}");
        assert_eq!(entry(&change("unoffload", "device east-1", Some(json!("x")), None)), "unoffload device east-1\n  x -> -\n");
    }

    #[test]
    fn an_undo_says_what_it_took_back() {
        let (undone, kept) = (changeset(12, &["change location east"]), changeset(17, &["undo change location east"]));
        assert_eq!(taken_back(&undone, &kept), "changeset 17 takes back changeset 12: change location east");
    }
}
