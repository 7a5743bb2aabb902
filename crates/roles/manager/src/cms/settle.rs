//! Which CMS state a box is in, why, and what to do next: a pure function of what was found. The table is in decision 0008.

use super::{Fence, downgrade};
use weir_model::DeviceName;
use weir_operator_api::CmsState;

/// What `config.db` says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Config {
    /// There is none, or none a network was ever made in.
    Absent,
    /// It opened and was checked.
    Present {
        /// Whom it names as primary.
        primary: DeviceName,
        /// Its term.
        term: u64,
        /// Whether it knows this box as a manager.
        on_record: bool,
    },
    /// A newer build migrated it; the words say which step and who wrote it.
    Ahead(String),
    /// It fails its check, or a step of this build does.
    Damaged(String),
    /// It cannot be opened for another reason: the disk, a permission.
    Refused(String),
}

/// The network key of this box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// It opens what is sealed, or nothing is sealed yet.
    Opens,
    /// There is none.
    Missing,
    /// It does not open what is sealed, or cannot be read; the words say which.
    Wrong(String),
}

/// Everything a state follows from.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) name: DeviceName,
    /// Disabled by an operator: why, in their words, which may be none.
    pub(super) disabled: Option<Option<String>>,
    /// Held disabled for a verb that has `config.db` alone; why.
    pub(super) held: Option<String>,
    pub(super) config: Config,
    pub(super) key: Key,
    /// The manager it was enrolled with, or itself if it made the network; absent: it never was. Or why nobody can say.
    pub(super) enrolled_with: Result<Option<DeviceName>, String>,
    /// What lies there is of a network, whatever else is missing.
    pub(super) had_network: bool,
    pub(super) fence: Option<Fence>,
}

/// A state with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) state: CmsState,
    pub(super) why: Option<String>,
    pub(super) next: Vec<String>,
}

impl Settled {
    fn plain(state: CmsState) -> Self {
        Self { state, why: None, next: Vec::new() }
    }

    pub(super) fn because(state: CmsState, why: impl Into<String>, next: &[&str]) -> Self {
        Self { state, why: Some(why.into()), next: next.iter().map(ToString::to_string).collect() }
    }
}

/// Decides.
pub(super) fn settle(facts: &Facts) -> Settled {
    if let Some(why) = &facts.held {
        return Settled::because(CmsState::Disabled, why.as_str(), &["wait until it has ended, or `weir cms enable`"]);
    }
    if let Some(why) = &facts.disabled {
        let why = match why.as_deref() {
            None => "an operator disabled it".to_owned(),
            // It said so itself.
            Some(why) if [downgrade::WHY_BEFORE, downgrade::WHY].contains(&why) => why.to_owned(),
            Some(why) => format!("an operator disabled it: {why}"),
        };
        return Settled::because(CmsState::Disabled, why, &["weir cms enable"]);
    }
    match &facts.config {
        Config::Ahead(why) => {
            let next = ["weir cms database downgrade", "weir cms enable"];
            Settled::because(CmsState::DisabledSchemaAhead, why.as_str(), &next)
        }
        Config::Damaged(why) => damaged(why),
        Config::Refused(why) => Settled::because(CmsState::Disabled, why.as_str(), &["mend what it says", "weir cms enable"]),
        Config::Absent => without_config(facts),
        Config::Present { primary, term, on_record } => with_config(facts, primary, *term, *on_record),
    }
}

fn damaged(why: &str) -> Settled {
    let next = ["weir cms database restore FILE (or promote the other manager: there `weir cms role primary`)", "weir cms enable"];
    Settled::because(CmsState::DisabledDamaged, why, &next)
}

fn without_config(facts: &Facts) -> Settled {
    match &facts.enrolled_with {
        // A network made over one that is only out of reach would take its name, its key and its devices.
        Err(why) => unread_identity(why),
        Ok(None) if facts.had_network => damaged("config.db is not there, and what lies beside it is of a network"),
        Ok(None) => Settled::plain(CmsState::Primary),
        Ok(Some(with)) if *with == facts.name => damaged("config.db is not there, and this box had one"),
        Ok(Some(_)) => keyed(facts, CmsState::Standby),
    }
}

fn unread_identity(why: &str) -> Settled {
    let why = format!("this box's identity cannot be read: {why}");
    Settled::because(CmsState::Disabled, why, &["mend what it says", "weir cms enable"])
}

fn with_config(facts: &Facts, primary: &DeviceName, term: u64, on_record: bool) -> Settled {
    if !on_record {
        let why = format!("config.db is of the network of {primary}, which does not know a manager {}", facts.name);
        return Settled::because(
            CmsState::Disabled,
            why,
            &["give this box the name it has there, or enrol it as a new one in a directory of its own"],
        );
    }
    let fenced = facts.fence.as_ref().is_some_and(|fence| fence.term > term);
    if *primary == facts.name && !fenced {
        return keyed(facts, CmsState::Primary);
    }
    match &facts.enrolled_with {
        Err(why) => unread_identity(why),
        Ok(_) => keyed(facts, CmsState::Standby),
    }
}

/// A state that needs the network key.
fn keyed(facts: &Facts, state: CmsState) -> Settled {
    let next = ["weir cms key import", "weir cms enable"];
    match &facts.key {
        Key::Opens => Settled::plain(state),
        Key::Missing => Settled::because(CmsState::DisabledKeyMissing, "there is no network key on this box", &next),
        Key::Wrong(why) => Settled::because(CmsState::DisabledKeyMissing, why.as_str(), &next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DeviceName {
        text.parse().expect("name")
    }

    fn present(primary: &str, term: u64) -> Config {
        Config::Present { primary: name(primary), term, on_record: true }
    }

    fn facts(config: Config) -> Facts {
        Facts {
            name: name("manager-1"),
            disabled: None,
            held: None,
            config,
            key: Key::Opens,
            enrolled_with: Ok(None),
            had_network: false,
            fence: None,
        }
    }

    fn fence(term: u64) -> Option<Fence> {
        Some(Fence { term, name: None, address: None })
    }

    #[test]
    fn every_row_of_the_table() {
        use CmsState::*;
        let own = facts(present("manager-1", 3));
        let rows: Vec<(&str, Facts, CmsState)> = vec![
            ("a new network", facts(Config::Absent), Primary),
            ("it is named", own.clone(), Primary),
            ("another is named", facts(present("manager-2", 3)), Standby),
            ("fenced by a higher term", Facts { fence: fence(4), ..own.clone() }, Standby),
            ("a fence of its own term counts no more", Facts { fence: fence(3), ..own.clone() }, Primary),
            ("enrolled, nothing yet", Facts { enrolled_with: Ok(Some(name("manager-2"))), ..facts(Config::Absent) }, Standby),
            ("its identity cannot be read", Facts { enrolled_with: Err("too many open files".into()), ..facts(Config::Absent) }, Disabled),
            (
                "its identity cannot be read, standby",
                Facts { enrolled_with: Err("i/o error".into()), ..facts(present("manager-2", 3)) },
                Disabled,
            ),
            ("a primary needs none", Facts { enrolled_with: Err("i/o error".into()), ..own.clone() }, Primary),
            ("its identity and its database are gone", Facts { had_network: true, ..facts(Config::Absent) }, DisabledDamaged),
            ("its database is gone", Facts { enrolled_with: Ok(Some(name("manager-1"))), ..facts(Config::Absent) }, DisabledDamaged),
            (
                "enrolled, no key",
                Facts { enrolled_with: Ok(Some(name("manager-2"))), key: Key::Missing, ..facts(Config::Absent) },
                DisabledKeyMissing,
            ),
            ("no key", Facts { key: Key::Missing, ..own.clone() }, DisabledKeyMissing),
            ("no key, standby", Facts { key: Key::Missing, ..facts(present("manager-2", 3)) }, DisabledKeyMissing),
            ("another key", Facts { key: Key::Wrong("it is another one".into()), ..own.clone() }, DisabledKeyMissing),
            ("no key needed to begin", Facts { key: Key::Missing, ..facts(Config::Absent) }, Primary),
            ("schema ahead", facts(Config::Ahead("step 8".into())), DisabledSchemaAhead),
            (
                "schema ahead counts before the key",
                Facts { key: Key::Missing, ..facts(Config::Ahead("step 8".into())) },
                DisabledSchemaAhead,
            ),
            ("damaged", facts(Config::Damaged("page 3".into())), DisabledDamaged),
            ("cannot be opened", facts(Config::Refused("permission".into())), Disabled),
            ("not on record", facts(Config::Present { primary: name("manager-2"), term: 1, on_record: false }), Disabled),
            ("disabled", Facts { disabled: Some(None), ..own.clone() }, Disabled),
            (
                "disabled counts before damage",
                Facts { disabled: Some(Some("moving".into())), ..facts(Config::Damaged("page 3".into())) },
                Disabled,
            ),
            ("held", Facts { held: Some("a restore runs".into()), ..own.clone() }, Disabled),
        ];
        for (row, facts, expected) in rows {
            let settled = settle(&facts);
            assert_eq!(settled.state, expected, "{row}");
            let works = matches!(expected, Primary | Standby);
            assert_eq!((settled.why.is_none(), settled.next.is_empty()), (works, works), "{row}: {settled:?}");
        }
    }

    #[test]
    fn the_way_out_is_named_in_order() {
        let next = |config| settle(&facts(config)).next;
        assert_eq!(next(Config::Ahead("step 8".into())), ["weir cms database downgrade", "weir cms enable"]);
        assert!(next(Config::Damaged("page 3".into()))[0].starts_with("weir cms database restore"));
        let disabled = settle(&Facts { disabled: Some(Some("moving".into())), ..facts(present("manager-1", 1)) });
        assert_eq!(disabled.why.as_deref(), Some("an operator disabled it: moving"));
        assert_eq!(disabled.next, ["weir cms enable"]);
    }
}
