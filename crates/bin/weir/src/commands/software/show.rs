//! Software files, as a person reads them.

use crate::output::{self, bytes, or_dash, time};
use weir_model::{Line, Verdict, Version};
use weir_operator_api::{
    SoftwareChoice, SoftwareChoices, SoftwareFile, SoftwareSources,
    software::{Direction, SoftwareCheckRow, SoftwareReasonShown, SoftwareRelease, SoftwareSource},
};

/// The verified version, else the stated one.
pub(in crate::commands) fn version(file: &SoftwareFile) -> Option<Version> {
    file.release.as_ref().map(|r| r.version).or(file.version)
}

fn source(source: &SoftwareSource) -> &str {
    match source {
        SoftwareSource::Url { url, .. } => url,
        SoftwareSource::Upload { file_name } => file_name,
    }
}

fn why(reason: Option<&SoftwareReasonShown>) -> String {
    or_dash(reason.map(|r| r.reason))
}

pub(super) fn list(files: &[SoftwareFile]) -> String {
    if files.is_empty() {
        return "no software files yet: `weir software register URL --version VERSION` names one, `--file PATH` sends one".into();
    }
    output::table(
        ["ID", "VERSION", "STATE", "WHY", "METHOD", "AUTO RELOAD", "SIZE", "SOURCE", "COMMENT"],
        files.iter().map(|f| {
            [
                f.id.to_string(),
                or_dash(version(f)),
                f.state.to_string(),
                why(f.reason.as_ref()),
                f.method.to_string(),
                yes(f.auto_reload).to_owned(),
                or_dash(f.release.as_ref().map(|r| bytes(r.archive_bytes)).or_else(|| f.bytes.map(bytes))),
                source(&f.source).to_owned(),
                f.comment.clone(),
            ]
        }),
    )
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// The one line about where it stands.
pub(super) fn settled(file: &SoftwareFile) -> String {
    let version = version(file).map(|v| format!(" ({v})")).unwrap_or_default();
    let stands = format!("software file {}{version} is {}", file.id, file.state);
    match &file.reason {
        None => stands,
        Some(reason) => format!("{stands}: {}", sentence(reason)),
    }
}

fn sentence(reason: &SoftwareReasonShown) -> String {
    output::sentence(&reason.detail, reason.reason.as_str(), &reason.next)
}

/// Where it stands, for somebody who does not wait.
pub(super) fn begun(file: &SoftwareFile) -> String {
    format!("software file {} is {}; `weir software show {} --wait` shows its checks", file.id, file.state, file.id)
}

/// What goes on at this moment.
pub(super) fn now(file: &SoftwareFile) -> String {
    let running = file.checks.iter().find(|row| row.verdict == Verdict::Running);
    let what = running.map_or_else(|| file.state.to_string(), |row| row.check.to_string());
    match file.progress {
        None => what,
        Some(progress) => {
            let of = progress.total.map(|total| format!(" of {}", bytes(total))).unwrap_or_default();
            format!("{what}: {}{of}", bytes(progress.done))
        }
    }
}

/// One check in one line.
pub(super) fn row(row: &SoftwareCheckRow) -> String {
    format!("{:<8} {:<11} {}", row.verdict, row.check, found(row)).trim_end().to_owned()
}

fn found(row: &SoftwareCheckRow) -> String {
    match row.reason {
        None => row.detail.clone(),
        Some(reason) if row.detail.is_empty() => reason.to_string(),
        Some(reason) => format!("{} ({reason})", row.detail.trim_end_matches('.')),
    }
}

pub(super) fn one(file: &SoftwareFile) -> String {
    let mut text = format!("{}\n", settled(file));
    let mut field = |name: &str, value: String| text += &format!("{name:<12} {value}\n");
    field("source", source(&file.source).to_owned());
    if let SoftwareSource::Url { username: Some(username), .. } = &file.source {
        field("user", format!("{username}, with a password"));
    }
    if let SoftwareSource::Url { header: Some(header), .. } = &file.source {
        field("header", format!("{header}, with a secret value"));
    }
    field("stated", format!("version {}, size {}", or_dash(file.version), or_dash(file.bytes.map(|b| format!("{b} B")))));
    field("method", format!("{}, auto reload: {}", file.method, yes(file.auto_reload)));
    if !file.comment.is_empty() {
        field("comment", file.comment.clone());
    }
    field("registered", format!("{} by {}", time(file.created_ms), file.created_by));
    field("checked", or_dash(file.validated_ms.map(time)));
    if file.progress.is_some() {
        field("now", now(file));
    }
    if let Some(release) = &file.release {
        text += &show_release(release);
    }
    text + "\n" + &checks(&file.checks)
}

fn show_release(release: &SoftwareRelease) -> String {
    let mut text = String::new();
    let mut field = |name: &str, value: String| text += &format!("{name:<12} {value}\n");
    field("release", format!("{}, line {}, {}", release.version, release.line, release.arch));
    field("archive", format!("{}, sha256 {}", bytes(release.archive_bytes), release.archive_sha256));
    field("image", format!("sha256 {}", release.image_sha256));
    field("manifest", format!("sha256 {}", release.manifest_sha256));
    field("schema", format!("steps {} to {}", release.schema.0, release.schema.1));
    field("gates", if release.gates.is_empty() { "-".to_owned() } else { release.gates.join(", ") });
    if !release.notes.is_empty() {
        field("notes", release.notes.clone());
    }
    text
}

fn checks(rows: &[SoftwareCheckRow]) -> String {
    if rows.is_empty() {
        return "no check was made yet".into();
    }
    let cells = |r: &SoftwareCheckRow| [r.check.to_string(), r.verdict.to_string(), found(r)];
    output::table(["CHECK", "VERDICT", "FOUND"], rows.iter().map(cells))
}

/// The word of the API.
pub(in crate::commands) fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Upgrade => "upgrade",
        Direction::Downgrade => "downgrade",
        Direction::Same => "same",
    }
}

pub(super) fn choices(choices: &SoftwareChoices) -> String {
    let running = format!("the primary manager runs {}", choices.running);
    if choices.choices.is_empty() {
        return format!("{running}; no software files yet");
    }
    let path = |lines: &[Line]| lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(" > ");
    let cells = |c: &SoftwareChoice| {
        [
            c.id.to_string(),
            or_dash(c.version),
            or_dash(c.direction.map(direction)),
            or_dash(Some(path(&c.path)).filter(|p| !p.is_empty())),
            yes(c.selectable).to_owned(),
            c.name.clone(),
            c.reason.as_ref().map(sentence).unwrap_or_default(),
        ]
    };
    let table = output::table(["ID", "VERSION", "DIRECTION", "PATH", "SELECTABLE", "NAME", "WHY NOT"], choices.choices.iter().map(cells));
    format!("{running}\n\n{table}")
}

pub(super) fn sources(sources: &SoftwareSources) -> String {
    if sources.allow.is_empty() {
        return "software may be fetched from public addresses only".into();
    }
    let networks = sources.allow.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("software may be fetched from public addresses and from {networks}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use weir_model::{DownloadMethod, FetchReason, InvalidReason, SoftwareCheck, SoftwareReason, SoftwareState, software::OwnReason};
    use weir_operator_api::software::SoftwareProgress;

    pub(in crate::commands::software) fn checked(check: SoftwareCheck, verdict: Verdict, detail: &str) -> SoftwareCheckRow {
        SoftwareCheckRow { check, verdict, reason: None, detail: detail.into() }
    }

    pub(in crate::commands::software) fn file(state: SoftwareState) -> SoftwareFile {
        SoftwareFile {
            id: 3,
            source: SoftwareSource::Url { url: "https://example.com/a.weir".into(), username: None, header: None },
            version: Some("1.1.0-b1".parse().unwrap()),
            bytes: None,
            auto_reload: true,
            method: DownloadMethod::Default,
            comment: String::new(),
            state,
            reason: None,
            checks: Vec::new(),
            progress: None,
            release: None,
            created_ms: 0,
            created_by: "admin".into(),
            validated_ms: None,
        }
    }

    fn refused() -> SoftwareFile {
        let reason = FetchReason::PrivateTarget.into();
        let failed =
            SoftwareCheckRow { reason: Some(reason), ..checked(SoftwareCheck::Resolve, Verdict::Failed, "a.example is 10.0.0.1.") };
        SoftwareFile {
            reason: Some(SoftwareReasonShown { reason, detail: "a.example is 10.0.0.1.".into(), next: "allow it".into() }),
            checks: vec![failed, checked(SoftwareCheck::Connect, Verdict::Skipped, "")],
            ..file(SoftwareState::Invalid)
        }
    }

    #[test]
    fn where_it_stands_in_one_line() {
        assert_eq!(settled(&file(SoftwareState::Ready)), "software file 3 (1.1.0-b1) is ready");
        let wanted = "software file 3 (1.1.0-b1) is invalid: a.example is 10.0.0.1 (private_target); allow it";
        assert_eq!(settled(&refused()), wanted);
        let draft = SoftwareFile { version: None, ..file(SoftwareState::Draft) };
        assert_eq!(settled(&draft), "software file 3 is draft");
    }

    #[test]
    fn what_goes_on_now() {
        let mut seen = file(SoftwareState::Validating);
        assert_eq!(now(&seen), "validating");
        seen.checks = vec![checked(SoftwareCheck::Resolve, Verdict::Passed, ""), checked(SoftwareCheck::Download, Verdict::Running, "")];
        assert_eq!(now(&seen), "download");
        for (total, text) in [(Some(2048), "download: 1.0 KiB of 2.0 KiB"), (None, "download: 1.0 KiB")] {
            seen.progress = Some(SoftwareProgress { done: 1024, total });
            assert_eq!(now(&seen), text);
        }
    }

    #[test]
    fn a_failed_check_names_its_reason_in_its_row() {
        let text = one(&refused());
        let row = text.lines().find(|l| l.trim_start().starts_with("resolve")).unwrap();
        assert!(row.contains("failed") && row.ends_with("a.example is 10.0.0.1 (private_target)"), "{text}");
        assert!(text.lines().any(|l| l.trim_start().starts_with("connect") && l.ends_with("skipped")), "{text}");
    }

    #[test]
    fn no_secret_but_that_there_is_one() {
        let source = |username: Option<&str>, header: Option<&str>| SoftwareSource::Url {
            url: "https://example.com/a.weir".into(),
            username: username.map(Into::into),
            header: header.map(Into::into),
        };
        let shown = |source| one(&SoftwareFile { source, ..file(SoftwareState::Ready) });
        assert!(shown(source(Some("u"), None)).contains("u, with a password"));
        assert!(shown(source(None, Some("X-Key"))).contains("X-Key, with a secret value"));
        assert!(!shown(source(None, None)).contains("with a"));
    }

    #[test]
    fn the_list_has_a_row_each_and_says_how_to_begin() {
        assert!(list(&[]).contains("weir software register"));
        let text = list(&[refused(), SoftwareFile { id: 4, ..file(SoftwareState::Ready) }]);
        let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|l| l.split_whitespace().collect()).collect();
        assert_eq!(rows[0][..5], ["3", "1.1.0-b1", "invalid", "private_target", "default"]);
        assert_eq!(rows[1][..5], ["4", "1.1.0-b1", "ready", "-", "default"]);
    }

    #[test]
    fn choices_say_why_not() {
        let line = |minor| Line::new(1, minor);
        let choice = |id, version: &str, direction, path, reason: Option<OwnReason>| SoftwareChoice {
            id,
            name: "a.weir".into(),
            version: Some(version.parse().unwrap()),
            direction: Some(direction),
            path,
            selectable: reason.is_none(),
            reason: reason.map(|r| SoftwareReasonShown { reason: r.into(), detail: "it runs".into(), next: String::new() }),
        };
        let shown = choices(&SoftwareChoices {
            running: "1.0.0-b1".parse().unwrap(),
            choices: vec![
                choice(1, "1.1.0-b1", Direction::Upgrade, vec![line(0), line(1)], None),
                choice(2, "1.0.0-b1", Direction::Same, vec![], Some(OwnReason::SameVersion)),
            ],
        });
        assert!(shown.starts_with("the primary manager runs 1.0.0-b1\n"), "{shown}");
        let rows: Vec<&str> = shown.lines().skip(3).collect();
        assert_eq!(rows[0].split_whitespace().collect::<Vec<_>>(), ["1", "1.1.0-b1", "upgrade", "1.0", ">", "1.1", "yes", "a.weir"]);
        assert!(rows[1].contains("same") && rows[1].ends_with("no          a.weir  it runs (same_version)"), "{}", rows[1]);
    }

    #[test]
    fn sources_are_said_in_a_sentence() {
        let networks = |texts: &[&str]| SoftwareSources { allow: texts.iter().map(|t| t.parse().unwrap()).collect() };
        assert_eq!(sources(&networks(&[])), "software may be fetched from public addresses only");
        assert!(sources(&networks(&["10.0.0.0/8", "fd00::/8"])).ends_with("and from 10.0.0.0/8, fd00::/8"));
    }

    #[test]
    fn every_reason_is_explained_where_operators_look() {
        const HOW_TO: &str = include_str!("../../../../../../docs/how-to/publish-and-register-a-release.md");
        let own = [
            OwnReason::AwaitingUpload,
            OwnReason::Validating,
            OwnReason::NotPrepositioned,
            OwnReason::ContentChanged,
            OwnReason::NoReleaseRoot,
            OwnReason::NoSpace,
            OwnReason::Interrupted,
            OwnReason::SameVersion,
            OwnReason::NoPath,
        ];
        let fetch = FetchReason::ALL.map(SoftwareReason::from);
        let archive = InvalidReason::ALL.map(SoftwareReason::from);
        for reason in own.map(SoftwareReason::from).into_iter().chain(fetch).chain(archive) {
            let words = |line: &str| line.split('|').nth(1).is_some_and(|words| words.contains(&format!("`{reason}`")));
            assert_eq!(HOW_TO.lines().filter(|line| words(line)).count(), 1, "{reason}");
        }
    }
}
