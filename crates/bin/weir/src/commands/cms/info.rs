//! `weir cms info`: what a box is, why, how the pair stands, and what to do next.

use super::{ThisBox, path};
use crate::{cli::Format, output};
use anyhow::bail;
use std::fmt::Write;
use weir_operator_api::{CmsInfo, PairInfo, Problem};

/// Bytes of a digest that people compare, in hex digits.
const DIGEST_SHOWN: usize = 12;

/// Asks the box.
pub(super) async fn show(this: &ThisBox, format: Format) -> anyhow::Result<()> {
    if !this.answers().await {
        bail!(down(this));
    }
    let info: CmsInfo = this.api.get(&path("/info")).await?;
    output::print(format, &info, text)
}

/// Why a box that does not answer does not, as far as its directory says.
fn down(this: &ThisBox) -> String {
    let data = this.data.display();
    if !this.data.join("device.toml").exists() {
        return format!(
            "{data} is no device's data directory: there is no device.toml; give --data DIR, or --network DIR --box manager|standby"
        );
    }
    format!(
        "nobody answers at the control socket of {data}: the box is down; start it with `weir keeper --data {data}`, and read {data}/log when it does not stay up"
    )
}

/// An error of a call as it is told: a refusal as it is, no answer with what to do about that.
pub(super) fn of_silence(this: &ThisBox, error: anyhow::Error) -> anyhow::Error {
    let answered =
        error.is::<Problem>() || std::os::unix::net::UnixStream::connect(this.data.join(weir_operator_api::paths::LOCAL_SOCKET)).is_ok();
    if answered { error } else { anyhow::anyhow!(down(this)) }
}

/// The same for a verb that does more than ask: what failed without the box is told as it is.
pub(super) fn of_call(this: &ThisBox, error: anyhow::Error) -> anyhow::Error {
    let is_of_box = error.chain().any(|cause| cause.is::<reqwest::Error>());
    if is_of_box { of_silence(this, error) } else { error }
}

/// For people.
pub(super) fn text(info: &CmsInfo) -> String {
    let mut text =
        format!("{} · {} · version {} · configuration {}.{}\n", info.name, info.state.as_str(), info.version, info.term, info.generation);
    // Writing to a String cannot fail.
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<13}{value}");
    };
    if let Some(why) = &info.why {
        row("why", why.clone());
    }
    if !info.digest.is_empty() {
        row("changesets", format!("{}, digest {}", info.rev, info.digest.get(..DIGEST_SHOWN).unwrap_or(&info.digest)));
    }
    row("schema", format!("step {}; this build runs on {} to {}", info.step, info.step_min, info.step_max));
    row("network key", info.key_fingerprint.clone().unwrap_or_else(|| "none on this box".to_owned()));
    if let Some(pair) = &info.pair {
        row("pair", pair_line(pair));
        row("", pair.detail.clone());
    }
    for file in &info.unreplicated {
        row(
            "unreplicated",
            format!(
                "{}: changesets {} to {} of term {}, kept {}",
                file.name,
                file.first_rev,
                file.last_rev,
                file.term,
                output::time(file.kept_ms)
            ),
        );
        for did in &file.did {
            row("", did.clone());
        }
    }
    for (at, next) in info.next.iter().enumerate() {
        row(if at == 0 { "next" } else { "" }, next.clone());
    }
    text
}

fn pair_line(pair: &PairInfo) -> String {
    let heard = pair.silent_ms.map_or_else(|| "never heard".to_owned(), |ms| format!("heard {}.{} s ago", ms / 1000, ms % 1000 / 100));
    let digest = match pair.digest_equal {
        Some(true) => ", digests equal",
        Some(false) => ", digests differ",
        None => "",
    };
    let version = output::or_dash(pair.version.as_ref());
    format!(
        "{} with {} (version {version}), {heard}, standby at {} of {}{digest}",
        pair.condition.as_str(),
        pair.name,
        pair.standby_rev,
        pair.primary_rev
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use weir_operator_api::{CmsState, PairCondition};

    pub(in crate::commands::cms) fn info() -> CmsInfo {
        CmsInfo {
            name: "manager-2".parse().expect("name"),
            state: CmsState::Standby,
            why: None,
            next: vec![],
            version: "1.0.0-b1".into(),
            term: 2,
            generation: 41,
            rev: 40,
            digest: "0123456789abcdef".into(),
            step: 7,
            step_min: 7,
            step_max: 7,
            key_fingerprint: Some("0011223344556677".into()),
            pair: None,
            unreplicated: vec![],
        }
    }

    #[test]
    fn a_standby_is_told_with_its_pair_and_a_disabled_box_with_what_to_do() {
        let pair = PairInfo {
            name: "manager-1".parse().expect("name"),
            condition: PairCondition::Lagging,
            detail: "the primary is silent".into(),
            version: Some("1.0.0-b1".into()),
            standby_rev: 40,
            primary_rev: 42,
            silent_ms: Some(3_450),
            digest_equal: None,
            url: None,
        };
        let standby = text(&CmsInfo { pair: Some(pair), ..info() });
        assert!(standby.contains("lagging with manager-1 (version 1.0.0-b1), heard 3.4 s ago, standby at 40 of 42"), "{standby}");
        assert!(standby.contains("digest 0123456789ab\n"), "{standby}");
        let next = vec!["weir cms database downgrade".to_owned(), "weir cms enable".to_owned()];
        let why = Some("step 8 is of a newer build".to_owned());
        let ahead = text(&CmsInfo { state: CmsState::DisabledSchemaAhead, why, next, key_fingerprint: None, ..info() });
        for line in [
            "disabled_schema_ahead",
            "why          step 8",
            "next         weir cms database downgrade\n             weir cms enable\n",
            "none on this box",
        ] {
            assert!(ahead.contains(line), "{line:?} in {ahead}");
        }
    }
}
