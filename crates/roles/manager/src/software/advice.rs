//! What an operator does about each reason, one sentence.

use weir_model::{FetchReason, InvalidReason, OwnReason, SoftwareReason};

/// The next step of a reason.
pub(super) fn next_step(reason: SoftwareReason) -> &'static str {
    match reason {
        SoftwareReason::Fetch(reason) => of_source(reason),
        SoftwareReason::Archive(reason) => of_archive(reason),
        SoftwareReason::Own(reason) => own(reason),
    }
}

fn of_source(reason: FetchReason) -> &'static str {
    match reason {
        FetchReason::BadUrl => "register it again with the right URL",
        FetchReason::SchemeNotAllowed => "use an http or https URL, or upload the file",
        FetchReason::Unresolvable => "check the name in the URL and the manager's resolver, then validate again",
        FetchReason::PrivateTarget => "allow its network with `weir software sources`, or upload the file",
        FetchReason::ConnectFailed => "check that the server runs and that the manager reaches it, then validate again",
        FetchReason::TlsFailed => "give the server a certificate that the manager's box trusts, then validate again",
        FetchReason::Timeout | FetchReason::TooSlow => "validate again when the server is faster, or upload the file",
        FetchReason::Unauthorized => "register it again with the right user name and password, or header",
        FetchReason::FileNotFound => "put the file there and validate again, or register it again with the right URL",
        FetchReason::HttpStatus => "read the server's log, then validate again",
        FetchReason::TooManyRedirects | FetchReason::RedirectRefused => "register it again with the URL the file is really at",
        FetchReason::FileTooLarge => "name a release archive; no archive is that large",
        FetchReason::FileSizeDiffers => "register it again with the right size, or without one",
        FetchReason::CutShort | FetchReason::BadResponse => "mend the server, then validate again",
    }
}

fn of_archive(reason: InvalidReason) -> &'static str {
    match reason {
        InvalidReason::Unreadable => "read the manager's log, then validate again",
        InvalidReason::NotAnArchive | InvalidReason::UnsafeEntry | InvalidReason::TooLarge => {
            "name a file that `weir release build` made; this one is something else"
        }
        InvalidReason::Truncated => "put the whole file there and validate again",
        InvalidReason::MetadataMalformed | InvalidReason::MetadataMissing | InvalidReason::MetadataMixed => {
            "ask the publisher for an archive that `weir release verify` accepts"
        }
        InvalidReason::Unsigned | InvalidReason::DuplicateSignature => {
            "get the archive from the publisher whose root this network has pinned"
        }
        InvalidReason::Rollback => "ask the publisher for an archive with the newest metadata",
        InvalidReason::Expired => "check the manager's clock; if it is right, ask the publisher to renew the metadata",
        InvalidReason::Delisted => {
            "choose another release: the publisher no longer lists this build; it was withdrawn, or another build of the same version took its place"
        }
        InvalidReason::WrongSize | InvalidReason::WrongDigest | InvalidReason::WrongFile => {
            "do not use this file; get it from the publisher again"
        }
        InvalidReason::ManifestMalformed => "ask the publisher to build the release again",
        InvalidReason::WrongVersion => "register it again with the version it has",
        InvalidReason::WrongArch => "get the archive for this architecture",
        InvalidReason::UnknownLine => "ask the publisher for metadata whose lineage has this line",
        InvalidReason::MigrationOneWay => "do not use this release: there would be no way back from it",
    }
}

fn own(reason: OwnReason) -> &'static str {
    match reason {
        OwnReason::AwaitingUpload => "send the file",
        OwnReason::Validating => "wait until the checks have ended",
        OwnReason::NotPrepositioned => {
            "wait until every engine that is online holds it; help one that says why not, or register it with method default"
        }
        OwnReason::ContentChanged => {
            "find out who changed the file behind the URL; then validate it again, or register the new content by itself"
        }
        OwnReason::NoReleaseRoot => "run `weir install --release-root FILE` on the manager's box, restart the manager, then validate again",
        OwnReason::NoSpace => {
            "free space in the manager's data directory, or delete software files that are not needed, then validate again"
        }
        OwnReason::Interrupted => "validate again",
        OwnReason::SameVersion => "choose another version",
        OwnReason::NoPath => "install the lines on the way first; if there are none, ask the publisher for them",
    }
}
