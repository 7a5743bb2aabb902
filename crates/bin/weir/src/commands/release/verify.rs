//! `weir release verify`: every check of an archive, from a root alone.

use crate::{
    cli::{Format, VerifyArgs},
    commands::Misconfigured,
    output,
};
use anyhow::bail;
use serde_json::json;
use std::error::Error;
use weir_model::ReleaseCheck;
use weir_release::{Archive, Expected, Invalid, Verified, check_root, verify_from};

pub(super) fn run(format: Format, arguments: &VerifyArgs) -> anyhow::Result<()> {
    let shown = arguments.root.display();
    let root = std::fs::read(&arguments.root).map_err(|error| Misconfigured(format!("cannot read the root {shown}: {error}")))?;
    check_root(&root).map_err(|error| Misconfigured(format!("{shown} is no root of release keys: {error}")))?;
    if let Err(error) = std::fs::metadata(&arguments.archive) {
        return Err(Misconfigured(format!("cannot read the archive {}: {error}", arguments.archive.display())).into());
    }
    let expected = Expected { version: arguments.version, arch: arguments.arch.clone() };
    let verified = Archive::open(&arguments.archive)
        .map_err(Invalid::from)
        .and_then(|archive| verify_from(&root, archive, &expected, weir_clock::wall_seconds()));
    print(format, &verified)?;
    match verified {
        Ok(_) => Ok(()),
        Err(invalid) => bail!("{} may not be installed: {}", arguments.archive.display(), invalid.reason().as_str()),
    }
}

fn print(format: Format, verified: &Result<Verified, Invalid>) -> anyhow::Result<()> {
    let rows = rows(verified.as_ref().err());
    let json = json!({
        "valid": verified.is_ok(),
        "reason": verified.as_ref().err().map(Invalid::reason),
        "checks": rows.iter().map(|[check, verdict, detail]| json!({ "check": check, "verdict": verdict, "detail": detail })).collect::<Vec<_>>(),
        "release": verified.as_ref().ok().map(|verified| &verified.release),
    });
    output::print(format, &json, |_| {
        let table = output::table(["CHECK", "VERDICT", "DETAIL"], rows);
        match verified {
            Ok(verified) => format!("{table}\n\n{} for {} may be installed", verified.release.version, verified.release.arch),
            Err(_) => table,
        }
    })
}

/// Check, verdict and detail of every check.
fn rows(invalid: Option<&Invalid>) -> Vec<[String; 3]> {
    let failed = invalid.map(Invalid::check);
    let row = |check: ReleaseCheck| {
        let (verdict, detail) = match (failed, invalid) {
            (Some(failed), Some(invalid)) if check == failed => ("failed", format!("{}: {}", invalid.reason().as_str(), chain(invalid))),
            (Some(failed), _) if check > failed => ("skipped", String::new()),
            _ => ("passed", String::new()),
        };
        [check.to_string(), verdict.to_owned(), detail]
    };
    ReleaseCheck::ALL.map(row).into()
}

/// An error and what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_after_the_failed_one_are_not_made() {
        let invalid = Invalid::Delisted { name: "weir-1.0.0-b1-x86_64.image".to_owned() };
        let verdicts: Vec<String> = rows(Some(&invalid)).into_iter().map(|[_, verdict, _]| verdict).collect();
        assert_eq!(verdicts, ["passed", "passed", "failed", "skipped", "skipped", "skipped", "skipped", "skipped", "skipped"]);
        assert!(rows(None).iter().all(|[_, verdict, _]| verdict == "passed"));
    }
}
