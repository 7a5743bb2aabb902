//! What is typed into the forms that register a software file, and the request it means.

use crate::gui::form::Secret;
use serde::Deserialize;
use weir_model::DownloadMethod;
use weir_operator_api::{Problem, Reason, SoftwareFileRequest};

/// The forms; that of an upload has no source.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    pub(super) url: String,
    pub(super) username: String,
    /// Never shown again, not even after a mistake elsewhere in the form.
    password: Secret,
    pub(super) header: String,
    /// Likewise.
    header_value: Secret,
    pub(super) version: String,
    pub(super) bytes: String,
    pub(super) auto_reload: bool,
    pub(super) method: String,
    pub(super) comment: String,
}

/// What was typed, or nothing.
fn given(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|t| !t.is_empty())
}

/// A secret as it was typed: blanks may be part of it.
fn secret(secret: &Secret) -> Option<String> {
    Some(secret.0.as_str().to_owned()).filter(|t| !t.is_empty())
}

/// A size in bytes; digits may be in groups.
pub(super) fn size(text: &str) -> Result<Option<u64>, Problem> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '_').collect();
    let wrong = |_| Problem::new(Reason::InvalidField, format!("{:?} is not a whole number of bytes", text.trim())).at("bytes");
    if digits.is_empty() { Ok(None) } else { digits.parse().map(Some).map_err(wrong) }
}

impl Typed {
    /// The form as it is first shown.
    pub(super) fn blank() -> Self {
        Self { auto_reload: true, ..Self::default() }
    }

    /// Whether a download method is chosen; the default one unless another is.
    pub(super) fn has_method(&self, method: &DownloadMethod) -> bool {
        let chosen = super::shown::METHODS.into_iter().find(|m| m.as_str() == self.method).unwrap_or_default();
        chosen == *method
    }

    /// A software file that is fetched from a URL.
    pub(super) fn of_url(&self) -> Result<SoftwareFileRequest, Problem> {
        Ok(SoftwareFileRequest {
            url: Some(self.url.trim().to_owned()),
            username: given(&self.username),
            password: secret(&self.password),
            header: given(&self.header),
            header_value: secret(&self.header_value),
            bytes: size(&self.bytes)?,
            ..self.release()
        })
    }

    /// A software file that is sent: `file_name` is what its sender calls it.
    pub(super) fn of_upload(&self, file_name: &str) -> SoftwareFileRequest {
        SoftwareFileRequest { file_name: Some(file_name.to_owned()), ..self.release() }
    }

    fn release(&self) -> SoftwareFileRequest {
        SoftwareFileRequest {
            version: given(&self.version),
            auto_reload: Some(self.auto_reload),
            method: given(&self.method),
            comment: given(&self.comment),
            ..SoftwareFileRequest::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gui::form::{Fields, read};

    fn typed(pairs: &[(&str, &str)]) -> Typed {
        let mut fields = Fields::new();
        for (name, value) in pairs {
            fields.entry((*name).to_owned()).or_default().push((*value).to_owned());
        }
        read(fields).expect("read")
    }

    #[test]
    fn a_form_means_a_request() {
        let pairs =
            [("url", " https://h.test/a.weir "), ("username", "u"), ("password", " p "), ("version", "1.1.0-b7"), ("bytes", "31 400")];
        let request = typed(&pairs).of_url().expect("read");
        let expected = SoftwareFileRequest {
            url: Some("https://h.test/a.weir".into()),
            username: Some("u".into()),
            password: Some(" p ".into()),
            version: Some("1.1.0-b7".into()),
            bytes: Some(31_400),
            auto_reload: Some(false),
            ..SoftwareFileRequest::default()
        };
        assert_eq!(request, expected);
        let upload = typed(&[("auto_reload", "on"), ("method", "direct_download_only"), ("comment", " ")]).of_upload("a.weir");
        let expected = SoftwareFileRequest {
            file_name: Some("a.weir".into()),
            auto_reload: Some(true),
            method: Some("direct_download_only".into()),
            ..SoftwareFileRequest::default()
        };
        assert_eq!(upload, expected);
    }

    #[test]
    fn a_size_is_digits() {
        for (text, bytes) in [("", None), (" ", None), ("12", Some(12)), ("31\u{202f}400\u{202f}000", Some(31_400_000)), ("1_0", Some(10))]
        {
            assert_eq!(size(text).expect("read"), bytes, "{text:?}");
        }
        for text in ["31 MB", "-1", "1.5", "99999999999999999999999"] {
            assert_eq!(size(text).expect_err("refused").field.as_deref(), Some("bytes"), "{text:?}");
        }
    }

    #[test]
    fn the_default_method_is_chosen_until_another_is() {
        assert!(Typed::blank().has_method(&DownloadMethod::Default) && Typed::blank().auto_reload);
        assert!(typed(&[("method", "prepositioned_only")]).has_method(&DownloadMethod::PrepositionedOnly));
        assert!(!typed(&[("method", "prepositioned_only")]).has_method(&DownloadMethod::Default));
    }
}
