//! From an operator's request to a registration, or the problem that names the field.

use super::record::{Origin, Registration, SourceSecret};
use crate::domain::fields;
use url::Url;
use weir_model::{DownloadMethod, Version};
use weir_operator_api::{
    Problem, Reason, SoftwareFileRequest,
    software::{COMMENT_BYTES_MAX, SOURCE_NAME_BYTES_MAX, SOURCE_SECRET_BYTES_MAX, SOURCE_URL_BYTES_MAX},
};
use weir_release::ARCHIVE_MAX_BYTES;

fn invalid(field: &str, detail: impl Into<String>) -> Problem {
    Problem::new(Reason::InvalidField, detail).at(field)
}

fn missing(field: &str, detail: impl Into<String>) -> Problem {
    Problem::new(Reason::MissingField, detail).at(field)
}

/// Reads a request.
///
/// # Errors
/// The first field that is wrong.
pub(super) fn registration(request: SoftwareFileRequest) -> Result<Registration, Problem> {
    let SoftwareFileRequest { url, file_name, username, password, header, header_value, version, bytes, auto_reload, method, comment } =
        request;
    let secret = secret(username, password, header, header_value)?;
    let origin = match (url, file_name) {
        (Some(url), None) => Origin::Url { url: source_url(&url)?, secret },
        (None, Some(file_name)) => match secret {
            None => Origin::Upload { file_name: plain_name(file_name)? },
            Some(SourceSecret::Basic { .. }) => return Err(invalid("username", "an upload has no server that asks for a user name")),
            Some(SourceSecret::Header { .. }) => return Err(invalid("header", "an upload has no server that asks for a header")),
        },
        (Some(_), Some(_)) => return Err(invalid("file_name", "is given together with a URL; a software file has one source")),
        (None, None) => return Err(missing("url", "neither a URL nor the name of a file to upload is given")),
    };
    let version = version.map(|text| fields::read::<Version>("version", &text)).transpose()?;
    if version.is_none() && matches!(origin, Origin::Url { .. }) {
        return Err(missing("version", "a URL must be registered with the version that is expected there"));
    }
    Ok(Registration {
        origin,
        version,
        bytes: bytes.map(|bytes| fields::between("bytes", bytes, 1, ARCHIVE_MAX_BYTES)).transpose()?,
        auto_reload: auto_reload.unwrap_or(true),
        method: method.as_deref().map(download_method).transpose()?.unwrap_or_default(),
        comment: text_of("comment", comment.unwrap_or_default(), COMMENT_BYTES_MAX)?,
    })
}

fn download_method(word: &str) -> Result<DownloadMethod, Problem> {
    let all = [DownloadMethod::Default, DownloadMethod::PrepositionedOnly, DownloadMethod::DirectDownloadOnly];
    let unknown = || invalid("method", format!("{word:?} is none of default, prepositioned_only and direct_download_only"));
    all.into_iter().find(|method| method.as_str() == word).ok_or_else(unknown)
}

/// A URL that may be asked for: http or https, and without credentials, which every list of URLs would show.
fn source_url(text: &str) -> Result<String, Problem> {
    let at = |detail: &str| invalid("url", detail);
    if text.len() > SOURCE_URL_BYTES_MAX {
        return Err(invalid("url", format!("is longer than {SOURCE_URL_BYTES_MAX} bytes")));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(at("has a control character or a space in it"));
    }
    let url = Url::parse(text).map_err(|error| invalid("url", format!("is not a URL: {error}")))?;
    match url.scheme() {
        "http" | "https" => {}
        "file" => {
            let refused = Problem::new(Reason::SourceRefused, "the manager reads no files of its own box").at("url");
            return Err(refused.next_step("upload the file"));
        }
        other => return Err(Problem::new(Reason::SourceRefused, format!("{other} is not a scheme that is fetched")).at("url")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(at("has a user name or password in it; give them in their own fields"));
    }
    if url.fragment().is_some() {
        return Err(at("has a fragment, which no server is sent"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(at("names no host"));
    }
    let url = String::from(url);
    // Escapes make it longer than what was typed.
    if url.len() > SOURCE_URL_BYTES_MAX { Err(invalid("url", format!("is longer than {SOURCE_URL_BYTES_MAX} bytes"))) } else { Ok(url) }
}

fn plain_name(name: String) -> Result<String, Problem> {
    if name.contains('/') {
        return Err(invalid("file_name", "is a path; give the name alone"));
    }
    short("file_name", name, SOURCE_NAME_BYTES_MAX)
}

fn secret(
    username: Option<String>,
    password: Option<String>,
    header: Option<String>,
    header_value: Option<String>,
) -> Result<Option<SourceSecret>, Problem> {
    match (username, password, header, header_value) {
        (None, None, None, None) => Ok(None),
        (Some(username), Some(password), None, None) => {
            let username = short("username", username, SOURCE_NAME_BYTES_MAX)?;
            // RFC 7617 section 2: the first colon ends the user name.
            if username.contains(':') {
                return Err(invalid("username", "has a colon in it"));
            }
            Ok(Some(SourceSecret::Basic { username, password: bounded("password", password)?.into() }))
        }
        (None, None, Some(name), Some(value)) => {
            Ok(Some(SourceSecret::Header { name: header_name(name)?, value: header_text(value)?.into() }))
        }
        (Some(_) | None, Some(_), Some(_), _) | (Some(_), _, Some(_), _) | (Some(_), _, _, Some(_)) | (_, Some(_), _, Some(_)) => {
            Err(invalid("header", "is given together with a user name; a server is asked with one secret"))
        }
        (Some(_), None, None, None) => Err(missing("password", "the user name has no password")),
        (None, Some(_), None, None) => Err(missing("username", "the password has no user name")),
        (None, None, Some(_), None) => Err(missing("header_value", "the header has no value")),
        (None, None, None, Some(_)) => Err(missing("header", "the value has no header")),
    }
}

fn header_name(name: String) -> Result<String, Problem> {
    let name = short("header", name, SOURCE_NAME_BYTES_MAX)?;
    weir_fetch::header_refused(&name).map_or(Ok(name), |why| Err(invalid("header", why)))
}

fn header_text(value: String) -> Result<String, Problem> {
    let value = bounded("header_value", value)?;
    weir_fetch::header_value_refused(&value).map_or(Ok(value), |why| Err(invalid("header_value", why)))
}

/// A secret: some text on one line. What it is must not be in the problem.
fn bounded(field: &str, text: String) -> Result<String, Problem> {
    if text.is_empty() {
        return Err(invalid(field, "is empty"));
    }
    if text.len() > SOURCE_SECRET_BYTES_MAX {
        return Err(invalid(field, format!("is longer than {SOURCE_SECRET_BYTES_MAX} bytes")));
    }
    if text.chars().any(char::is_control) { Err(invalid(field, "has a control character in it")) } else { Ok(text) }
}

/// Some text on one line.
fn short(field: &str, text: String, bytes_max: usize) -> Result<String, Problem> {
    if text.is_empty() {
        return Err(invalid(field, "is empty"));
    }
    if text.contains('\n') { Err(invalid(field, "has a control character in it")) } else { text_of(field, text, bytes_max) }
}

/// Any text, of more than one line perhaps.
fn text_of(field: &str, text: String, bytes_max: usize) -> Result<String, Problem> {
    if text.len() > bytes_max {
        return Err(invalid(field, format!("is longer than {bytes_max} bytes")));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') { Err(invalid(field, "has a control character in it")) } else { Ok(text) }
}

#[cfg(test)]
mod tests;
