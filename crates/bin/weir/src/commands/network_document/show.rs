//! What an apply does, object by object: `+` comes, `~` changes, `-` goes, `!` is refused.

use super::file::File;
use crate::{commands::changesets::fields::differing, output::or_dash};
use weir_operator_api::{ApplyChange, ApplyOutcome};

pub(super) fn outcome(outcome: &ApplyOutcome, file: &File) -> String {
    let ApplyOutcome { changes, applied, confirm, generation } = outcome;
    if changes.is_empty() {
        return format!("nothing differs; generation {generation}");
    }
    let mut text: String = changes.iter().map(|change| self::change(change, file)).collect();
    let count = |sign: char| changes.iter().filter(|change| self::sign(change) == sign).count();
    let counts = [('+', "to come"), ('~', "to change"), ('-', "to go"), ('!', "refused")];
    let counts = counts.map(|(sign, what)| (count(sign), what)).into_iter().filter(|(count, _)| *count > 0);
    text += &counts.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ");
    text += &match applied {
        true => format!("; applied as generation {generation}\n"),
        false => "; nothing was changed\n".to_owned(),
    };
    if let Some(hash) = confirm {
        text += &format!("this takes much away: apply it with `--confirm {hash}`\n");
    }
    text
}

fn sign(change: &ApplyChange) -> char {
    match (change.refused.is_some(), &change.before, &change.after) {
        (true, ..) => '!',
        (false, None, Some(_)) => '+',
        (false, Some(_), None) => '-',
        (false, ..) => '~',
    }
}

fn change(change: &ApplyChange, file: &File) -> String {
    let mut text = format!("{} {} {}\n", sign(change), change.verb, change.object);
    if let Some(problem) = &change.refused {
        let at = problem.field.as_deref().and_then(|place| file.at(place));
        return text + &format!("    {}{problem}\n", at.map(|at| format!("{at}: ")).unwrap_or_default());
    }
    for field in differing(change.before.as_ref(), change.after.as_ref()) {
        text += &match (&change.before, &change.after) {
            (Some(_), Some(_)) => {
                format!("    {}: {} -> {}\n", field.name, or_dash(field.before.as_ref()), or_dash(field.after.as_ref()))
            }
            _ => format!("    {}: {}\n", field.name, or_dash(field.after.or(field.before))),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use weir_operator_api::{Problem, Reason};

    fn told(verb: &str, object: &str, before: Option<Value>, after: Option<Value>) -> ApplyChange {
        ApplyChange { verb: verb.into(), object: object.into(), before, after, refused: None }
    }

    #[test]
    fn a_plan_is_read_at_a_glance() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n.toml");
        std::fs::write(&path, "format = 1\n[[delivery_services]]\nname = \"bad\"\ndomain = \"b.c\"\norigin = \"no\"\n").unwrap();
        let file = File::read(&path).unwrap();
        let refused = Problem::new(Reason::InvalidField, "\"no\" is no URL").at("delivery_services[0].origin");
        let changes = vec![
            told("create", "location east", None, Some(json!({"name": "east", "parent": "core"}))),
            told("change", "delivery_service demo", Some(json!({"origin": "http://a"})), Some(json!({"origin": "http://b"}))),
            ApplyChange { refused: Some(refused), ..told("create", "delivery_service bad", None, None) },
            told("delete", "location west", Some(json!({"name": "west"})), None),
        ];
        let dry = ApplyOutcome { changes, applied: false, confirm: Some("abcd".into()), generation: 7 };
        let text = outcome(&dry, &file);
        let place = path.display();
        let lines = [
            "+ create location east",
            "    name: east",
            "    parent: core",
            "~ change delivery_service demo",
            "    origin: http://a -> http://b",
            "! create delivery_service bad",
            &format!("    {place}:5: delivery_services[0].origin: \"no\" is no URL (invalid_field); correct the field"),
            "- delete location west",
            "    name: west",
            "1 to come, 1 to change, 1 to go, 1 refused; nothing was changed",
            "this takes much away: apply it with `--confirm abcd`",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
        let none = ApplyOutcome { changes: vec![], applied: true, confirm: None, generation: 7 };
        assert_eq!(outcome(&none, &file), "nothing differs; generation 7");
    }
}
