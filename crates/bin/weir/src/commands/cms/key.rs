//! `weir cms key`: the network key as a phrase that is kept elsewhere, and brought onto a box that lost it.

use super::{ThisBox, info, path, role::ROLE_PATIENCE};
use crate::{
    cli::{Format, KeyVerb},
    output,
};
use anyhow::Context;
use std::io::Read;
use weir_operator_api::{CmsInfo, KeyExport, KeyRequest};
use zeroize::Zeroizing;

/// Longest text that is read as a phrase, in bytes: 24 words of at most eight letters, generously spaced.
const PHRASE_BYTES_MAX: u64 = 1024;

pub(super) async fn run(this: &ThisBox, format: Format, verb: KeyVerb) -> anyhow::Result<()> {
    let silent = |error: anyhow::Error| info::of_silence(this, error);
    match verb {
        KeyVerb::Export => {
            let key: KeyExport = this.api.get(&path("/key")).await.map_err(silent)?;
            output::print(format, &key, export_text)
        }
        KeyVerb::Confirm { fingerprint } => {
            let request = KeyRequest { phrase: None, fingerprint: Some(fingerprint) };
            let info: CmsInfo = this.api.post(&path("/key/confirm"), &request).await.map_err(silent)?;
            output::print(format, &info, |_| "confirmed: the phrase is kept elsewhere".to_owned())
        }
        KeyVerb::Import => {
            let request = KeyRequest { phrase: Some(typed()?.as_str().to_owned()), fingerprint: None };
            let info: CmsInfo = this.api.post_kept_back(&path("/key/import"), &request, ROLE_PATIENCE).await.map_err(silent)?;
            output::print(format, &info, |info| format!("the key is on this box; it is {} now", info.state.as_str()))
        }
    }
}

/// The phrase from standard input: in the process list everybody would read it.
fn typed() -> anyhow::Result<Zeroizing<String>> {
    let mut phrase = Zeroizing::new(String::new());
    std::io::stdin().lock().take(PHRASE_BYTES_MAX).read_to_string(&mut phrase).context("read the phrase from standard input")?;
    anyhow::ensure!(!phrase.trim().is_empty(), "no phrase came on standard input: `weir cms key import < FILE`");
    Ok(phrase)
}

fn export_text(key: &KeyExport) -> String {
    let words: Vec<_> = key.phrase.split(' ').collect();
    let lines: Vec<_> = words.chunks(6).map(|line| format!("  {}", line.join(" "))).collect();
    let after = if key.confirmed {
        "somebody confirmed that it is kept elsewhere".to_owned()
    } else {
        format!("keep the words apart from backups, then run `weir cms key confirm {}`", key.fingerprint)
    };
    format!("{}\n\nfingerprint {}; {after}", lines.join("\n"), key.fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_shown_in_lines_and_what_to_do_next() {
        let phrase = (1..=24).map(|number| format!("word{number}")).collect::<Vec<_>>().join(" ");
        let key = KeyExport { phrase, fingerprint: "0011223344556677".into(), confirmed: false };
        let text = export_text(&key);
        assert_eq!(text.lines().filter(|line| line.starts_with("  word")).count(), 4);
        assert!(text.ends_with("weir cms key confirm 0011223344556677`"), "{text}");
        assert!(!export_text(&KeyExport { confirmed: true, ..key }).contains("key confirm"));
    }
}
