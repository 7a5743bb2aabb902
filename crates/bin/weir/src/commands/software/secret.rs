//! Secrets of a source, from where no other user of the box reads them: a file, standard input, the environment.

use crate::commands::Misconfigured;
use anyhow::{Context, bail};
use std::{
    io::Read,
    path::{Path, PathBuf},
};
use weir_operator_api::software::SOURCE_SECRET_BYTES_MAX;

/// Where one secret comes from.
pub(super) struct Place<'a> {
    /// What it is, for messages.
    pub(super) what: &'static str,
    /// The option that names its file.
    pub(super) option: &'static str,
    /// The variable that holds it when there is no such option.
    pub(super) variable: &'static str,
    /// What the option says.
    pub(super) file: Option<&'a PathBuf>,
}

impl Place<'_> {
    /// The secret, without the line end that editors add.
    pub(super) fn read(&self) -> anyhow::Result<String> {
        match self.file {
            None => self.of_environment(std::env::var(self.variable).ok()),
            Some(path) if path.as_os_str() == "-" => self.bounded(std::io::stdin().lock()),
            Some(path) => self.in_file(path),
        }
    }

    fn of_environment(&self, value: Option<String>) -> anyhow::Result<String> {
        let missing =
            || Misconfigured(format!("which {}? give {} FILE, or - for standard input, or set {}", self.what, self.option, self.variable));
        Ok(value.filter(|v| !v.is_empty()).ok_or_else(missing)?)
    }

    fn in_file(&self, path: &Path) -> anyhow::Result<String> {
        let file = std::fs::File::open(path).with_context(|| format!("open {} with the {}", path.display(), self.what))?;
        self.bounded(file)
    }

    fn bounded(&self, from: impl Read) -> anyhow::Result<String> {
        const LINE_END_BYTES: usize = 2;
        let mut text = String::new();
        let most = u64::try_from(SOURCE_SECRET_BYTES_MAX + LINE_END_BYTES + 1)?;
        from.take(most).read_to_string(&mut text).with_context(|| format!("read the {} as text", self.what))?;
        let secret = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
        if secret.is_empty() {
            bail!("the {} is empty", self.what);
        }
        if secret.len() > SOURCE_SECRET_BYTES_MAX {
            bail!("the {} is longer than {SOURCE_SECRET_BYTES_MAX} bytes", self.what);
        }
        Ok(secret.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(file: Option<&PathBuf>) -> Place<'_> {
        Place { what: "password", option: "--password-file", variable: "WEIR_SOURCE_PASSWORD", file }
    }

    #[test]
    fn one_line_end_is_not_part_of_a_secret() {
        let longest = "x".repeat(SOURCE_SECRET_BYTES_MAX);
        for (text, secret) in [
            ("secret".to_owned(), Some("secret")),
            ("secret\n".to_owned(), Some("secret")),
            ("secret\r\n".to_owned(), Some("secret")),
            (" two words \n\n".to_owned(), Some(" two words \n")),
            (longest.clone(), Some(&*longest)),
            (format!("{longest}\r\n"), Some(&*longest)),
            (format!("{longest}y"), None),
            (longest.repeat(3), None),
            ("\n".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(place(None).bounded(text.as_bytes()).ok().as_deref(), secret, "{text:?}");
        }
        assert!(place(None).bounded(&b"\xff"[..]).is_err(), "no text");
    }

    #[test]
    fn a_missing_secret_says_where_it_may_come_from() {
        for value in [None, Some(String::new())] {
            let error = place(None).of_environment(value).unwrap_err();
            assert!(error.is::<Misconfigured>());
            let text = error.to_string();
            assert!(text.contains("--password-file") && text.contains("WEIR_SOURCE_PASSWORD"), "{text}");
        }
        assert_eq!(place(None).of_environment(Some("s".into())).unwrap(), "s");
    }

    #[test]
    fn a_file_is_read_and_its_name_is_in_the_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        assert!(format!("{:#}", place(Some(&path)).read().unwrap_err()).contains("password"));
        std::fs::write(&path, "secret\n").unwrap();
        assert_eq!(place(Some(&path)).read().unwrap(), "secret");
    }
}
