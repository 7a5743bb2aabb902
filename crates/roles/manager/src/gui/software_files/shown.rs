//! How a software file is shown: its states, checks and reasons in words.

use crate::gui::figures::{Bytes, Moment};
use weir_model::{DownloadMethod, Line, ReleaseCheck, SoftwareCheck, SoftwareState, Verdict, Version};
use weir_operator_api::{Direction, SoftwareFile, SoftwareProgress, SoftwareSource};

/// A software file as a row.
pub(super) struct Listed {
    pub(super) file: SoftwareFile,
}

impl Listed {
    pub(super) fn new(file: SoftwareFile) -> Self {
        Self { file }
    }

    /// Its URL, or the name of the uploaded file.
    pub(super) fn name(&self) -> &str {
        match &self.file.source {
            SoftwareSource::Url { url, .. } => url,
            SoftwareSource::Upload { file_name } => file_name,
        }
    }

    /// Whether it was sent to the manager.
    pub(super) fn is_upload(&self) -> bool {
        matches!(self.file.source, SoftwareSource::Upload { .. })
    }

    /// What it asks its source with, without the secret; empty when with nothing.
    pub(super) fn credentials(&self) -> String {
        match &self.file.source {
            SoftwareSource::Url { username: Some(user), .. } => format!("user name {user} and a password"),
            SoftwareSource::Url { header: Some(header), .. } => format!("a secret in the header {header}"),
            SoftwareSource::Url { .. } | SoftwareSource::Upload { .. } => String::new(),
        }
    }

    /// Its version as it was verified, else as it was stated.
    pub(super) fn version(&self) -> Option<Version> {
        self.file.release.as_ref().map(|r| r.version).or(self.file.version)
    }

    /// The size of its archive as it is, else as it was stated.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.file.release.as_ref().map(|r| r.archive_bytes).or(self.file.bytes)
    }

    pub(super) fn size(&self) -> String {
        self.bytes().map(|b| Bytes(b).to_string()).unwrap_or_default()
    }

    pub(super) fn badge(&self) -> &'static str {
        state_badge(&self.file.state)
    }

    pub(super) fn method(&self) -> &'static str {
        method_name(&self.file.method)
    }

    pub(super) fn validated(&self) -> Option<Moment> {
        self.file.validated_ms.map(Moment::at)
    }

    pub(super) fn registered(&self) -> Moment {
        Moment::at(self.file.created_ms)
    }

    pub(super) fn progress(&self) -> Option<Progress> {
        self.file.progress.map(Progress)
    }

    /// Whether its bytes may be sent: they have not come, or are none that were ever proven.
    pub(super) fn takes_upload(&self) -> bool {
        let unproven = self.file.state == SoftwareState::Invalid && self.file.release.is_none();
        self.is_upload() && (self.file.state == SoftwareState::Draft || unproven)
    }

    /// Whether its checks may be made again.
    pub(super) fn may_validate(&self) -> bool {
        !matches!(self.file.state, SoftwareState::Draft | SoftwareState::Validating)
    }

    /// What is typed to delete it: its version, or its number where that is not known.
    pub(super) fn token(&self) -> String {
        self.version().map_or_else(|| self.file.id.to_string(), |v| v.to_string())
    }
}

/// How far a download or an upload is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress(SoftwareProgress);

impl Progress {
    /// Bytes that came, and those there will be; nothing when nobody knows.
    pub(super) fn of(&self) -> Option<(u64, u64)> {
        self.0.total.filter(|t| *t > 0).map(|total| (self.0.done.min(total), total))
    }

    pub(super) fn text(&self) -> String {
        match self.of() {
            Some((done, total)) => {
                let percent = u128::from(done) * 100 / u128::from(total);
                format!("{} of {}, {percent} %", Bytes(done), Bytes(total))
            }
            None => format!("{} so far", Bytes(self.0.done)),
        }
    }
}

/// The class of a state's badge.
pub(super) fn state_badge(state: &SoftwareState) -> &'static str {
    match state {
        SoftwareState::Draft => "off",
        SoftwareState::Validating | SoftwareState::Prepositioning => "busy",
        SoftwareState::Verified => "info",
        SoftwareState::Ready => "ok",
        SoftwareState::Withdrawn => "major",
        SoftwareState::Invalid | SoftwareState::Quarantined => "critical",
    }
}

/// What a state means.
pub(super) fn state_sentence(state: &SoftwareState) -> &'static str {
    match state {
        SoftwareState::Draft => "It is registered, and its file has not come whole yet.",
        SoftwareState::Validating => "Its checks are being made.",
        SoftwareState::Invalid => "A check failed: it cannot be chosen.",
        SoftwareState::Verified => "Every check passed. Its method waits for copies in the network.",
        SoftwareState::Prepositioning => "Every check passed, and copies are being made in the network.",
        SoftwareState::Ready => "Every check passed: it can be chosen on Update Software.",
        SoftwareState::Withdrawn => "Its publisher took it off the signed list: it cannot be chosen any longer.",
        SoftwareState::Quarantined => {
            "Something else is behind its URL than what was verified: it cannot be chosen until somebody has looked."
        }
    }
}

/// The class of a verdict's badge.
pub(super) fn verdict_badge(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pending | Verdict::Skipped => "off",
        Verdict::Running => "busy",
        Verdict::Passed => "ok",
        Verdict::Failed => "critical",
    }
}

/// What a check looks for.
pub(super) fn check_words(check: &SoftwareCheck) -> &'static str {
    match check {
        SoftwareCheck::Resolve => "Its name leads to an address that may be fetched from",
        SoftwareCheck::Connect => "The server answers, with TLS if the URL says so",
        SoftwareCheck::Redirects => "Every redirect leads where it may",
        SoftwareCheck::Download => "The file arrives whole, in time and within its limit",
        SoftwareCheck::Size => "It has the stated size",
        SoftwareCheck::Release(ReleaseCheck::Archive) => "It is a whole release archive",
        SoftwareCheck::Release(ReleaseCheck::Signature) => "The network's release keys signed it",
        SoftwareCheck::Release(ReleaseCheck::Listed) => "The newest signed list has it",
        SoftwareCheck::Release(ReleaseCheck::Content) => "Length and digest are the listed ones",
        SoftwareCheck::Release(ReleaseCheck::Manifest) => "Every file in it is the one its MANIFEST lists",
        SoftwareCheck::Release(ReleaseCheck::Version) => "It has the stated version",
        SoftwareCheck::Release(ReleaseCheck::Arch) => "It is built for this architecture",
        SoftwareCheck::Release(ReleaseCheck::Lineage) => "Its line is in the signed lineage",
        SoftwareCheck::Release(ReleaseCheck::Migrations) => "Each schema step has its way up and its way down",
    }
}

/// A download method as an operator knows it.
pub(super) fn method_name(method: &DownloadMethod) -> &'static str {
    match method {
        DownloadMethod::Default => "Default",
        DownloadMethod::PrepositionedOnly => "Prepositioned Only",
        DownloadMethod::DirectDownloadOnly => "Direct Download Only",
    }
}

/// What a download method means.
pub(super) fn method_sentence(method: &DownloadMethod) -> &'static str {
    match method {
        DownloadMethod::Default => "Devices take it from a copy in the network if there is one, else from its source.",
        DownloadMethod::PrepositionedOnly => {
            "Devices take it from a copy in the network only. Copies are made by the next version of Weir: with this method it is \
             checked, rests at verified, and cannot be chosen yet."
        }
        DownloadMethod::DirectDownloadOnly => "Each device takes it from its source.",
    }
}

/// Every download method, in the order of the form.
pub(super) const METHODS: [DownloadMethod; 3] =
    [DownloadMethod::Default, DownloadMethod::PrepositionedOnly, DownloadMethod::DirectDownloadOnly];

/// What choosing a release would be.
pub(in crate::gui) fn direction(direction: &Direction) -> &'static str {
    match direction {
        Direction::Upgrade => "upgrade",
        Direction::Downgrade => "downgrade",
        Direction::Same => "same version",
    }
}

/// The lines on the way to a release, in words; empty when there is no way.
pub(in crate::gui) fn path_words(path: &[Line]) -> String {
    let lines: Vec<String> = path.iter().map(ToString::to_string).collect();
    match lines.as_slice() {
        [] => String::new(),
        [line] => format!("within line {line}"),
        [_, _] => format!("{}, one step", lines.join(" → ")),
        _ => format!("{}, {} steps", lines.join(" → "), lines.len() - 1),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use weir_operator_api::SoftwareRelease;

    /// A software file that is ready.
    pub(in crate::gui::software_files) fn file(id: i64) -> SoftwareFile {
        let version: Version = "1.1.0-b7".parse().expect("version");
        SoftwareFile {
            id,
            source: SoftwareSource::Url { url: format!("https://host.test/{id}.weir"), username: None, header: None },
            version: Some(version),
            bytes: None,
            auto_reload: true,
            method: DownloadMethod::Default,
            comment: String::new(),
            state: SoftwareState::Ready,
            reason: None,
            checks: Vec::new(),
            progress: None,
            release: None,
            created_ms: 1,
            created_by: "user:admin".into(),
            validated_ms: Some(2),
        }
    }

    pub(in crate::gui::software_files) fn release() -> SoftwareRelease {
        let version: Version = "1.1.0-b7".parse().expect("version");
        SoftwareRelease {
            version,
            line: version.line,
            arch: "x86_64".into(),
            archive_sha256: "a".repeat(64),
            archive_bytes: 31_400_000,
            image_sha256: "b".repeat(64),
            manifest_sha256: "c".repeat(64),
            schema: (4, 5),
            gates: vec!["next".into()],
            notes: "What is new".into(),
        }
    }

    #[test]
    fn progress_is_told_with_and_without_a_total() {
        let text = |done, total| Progress(SoftwareProgress { done, total }).text();
        assert_eq!(text(5_000, Some(20_000)), "5.0 kB of 20.0 kB, 25 %");
        assert_eq!(text(5_000, None), "5.0 kB so far");
        assert_eq!(text(30, Some(20)), "20 B of 20 B, 100 %");
        assert_eq!(text(0, Some(0)), "0 B so far");
        assert_eq!(text(u64::MAX, Some(u64::MAX)), "18446 PB of 18446 PB, 100 %");
    }

    #[test]
    fn a_way_is_told_line_by_line() {
        let line = |l: &str| l.parse::<Line>().expect("line");
        assert_eq!(path_words(&[]), "");
        assert_eq!(path_words(&[line("1.0")]), "within line 1.0");
        assert_eq!(path_words(&[line("1.0"), line("1.1")]), "1.0 → 1.1, one step");
        assert_eq!(path_words(&[line("1.0"), line("1.1"), line("2.0")]), "1.0 → 1.1 → 2.0, 2 steps");
    }

    #[test]
    fn what_is_verified_comes_before_what_was_stated() {
        let mut stated = file(7);
        stated.version = None;
        stated.bytes = Some(1);
        let listed = Listed::new(stated.clone());
        assert_eq!((listed.token(), listed.bytes()), ("7".to_owned(), Some(1)));
        let verified = Listed::new(SoftwareFile { release: Some(release()), ..stated });
        assert_eq!((verified.token(), verified.size()), ("1.1.0-b7".to_owned(), "31.4 MB".to_owned()));
    }

    #[test]
    fn bytes_are_taken_until_some_are_proven() {
        let source = SoftwareSource::Upload { file_name: "a.weir".into() };
        let takes = |state, release| Listed::new(SoftwareFile { state, release, source: source.clone(), ..file(1) }).takes_upload();
        assert!(takes(SoftwareState::Draft, None) && takes(SoftwareState::Invalid, None));
        assert!(!takes(SoftwareState::Invalid, Some(release())) && !takes(SoftwareState::Ready, Some(release())));
        assert!(!Listed::new(SoftwareFile { state: SoftwareState::Invalid, ..file(1) }).takes_upload(), "it comes from its URL");
    }

    #[test]
    fn only_what_rests_is_validated_again() {
        let may = |state| Listed::new(SoftwareFile { state, ..file(1) }).may_validate();
        assert!(may(SoftwareState::Ready) && may(SoftwareState::Quarantined) && may(SoftwareState::Invalid));
        assert!(!may(SoftwareState::Draft) && !may(SoftwareState::Validating));
    }
}
