use super::*;
use crate::software::record::Secret;
use serde_json::{Value, json};

fn read(body: Value) -> Result<Registration, Problem> {
    registration(serde_json::from_value(body).expect("a request"))
}

/// A request that is right, with these fields in it.
fn with(change: Value) -> Value {
    let mut body = json!({"url": "https://files.example/weir.weir", "version": "1.1.0-b1"});
    for (key, value) in change.as_object().expect("object") {
        body[key] = value.clone();
    }
    body
}

#[test]
fn what_is_left_out_has_a_default() {
    let read = read(with(json!({}))).expect("registration");
    let expected = Registration {
        origin: Origin::Url { url: "https://files.example/weir.weir".to_owned(), secret: None },
        version: Some("1.1.0-b1".parse().expect("version")),
        bytes: None,
        auto_reload: true,
        method: DownloadMethod::Default,
        comment: String::new(),
    };
    assert_eq!(read, expected);
}

#[test]
fn both_written_forms_of_a_version_and_every_method_are_read() {
    let typed = read(with(json!({"version": "1.1.0.b.1", "method": "direct_download_only", "auto_reload": false}))).expect("registration");
    assert_eq!(typed.version.map(|v| v.to_string()).as_deref(), Some("1.1.0-b1"));
    assert_eq!((typed.method, typed.auto_reload), (DownloadMethod::DirectDownloadOnly, false));
}

#[test]
fn an_upload_may_leave_its_version_to_the_archive() {
    let upload = read(json!({"file_name": "weir.weir"})).expect("registration");
    assert_eq!((upload.origin, upload.version), (Origin::Upload { file_name: "weir.weir".to_owned() }, None));
}

#[test]
fn secrets_are_kept_and_not_shown() {
    let basic = read(with(json!({"username": "ann", "password": "open sesame"}))).expect("registration");
    assert!(!format!("{basic:?}").contains("sesame"));
    let header = read(with(json!({"header": "Authorization", "header_value": "Bearer sesame"}))).expect("registration");
    assert!(!format!("{header:?}").contains("sesame"));
    let Origin::Url { secret: Some(SourceSecret::Header { name, value: Secret(value) }), .. } = header.origin else { panic!("a header") };
    assert_eq!((name.as_str(), value.as_str()), ("Authorization", "Bearer sesame"));
}

#[test]
fn the_field_that_is_wrong_is_named() {
    let long = "a".repeat(5000);
    let cases = [
        (json!({"version": "1.1.0-b1"}), "missing_field", "url"),
        (with(json!({"file_name": "a.weir"})), "invalid_field", "file_name"),
        (with(json!({"url": "file:///etc/passwd"})), "source_refused", "url"),
        (with(json!({"url": "ftp://a/b"})), "source_refused", "url"),
        (with(json!({"url": "nonsense"})), "invalid_field", "url"),
        (with(json!({"url": "http://ann:x@a/b"})), "invalid_field", "url"),
        (with(json!({"url": "http://a/b#c"})), "invalid_field", "url"),
        (with(json!({"url": "http://a/b\r\nHost: c"})), "invalid_field", "url"),
        (with(json!({"url": format!("http://a/{long}")})), "invalid_field", "url"),
        (with(json!({"url": format!("http://a/{}", "\u{e9}".repeat(1000))})), "invalid_field", "url"),
        (json!({"url": "http://a/b"}), "missing_field", "version"),
        (with(json!({"version": "1.1"})), "invalid_field", "version"),
        (with(json!({"bytes": 0})), "invalid_field", "bytes"),
        (with(json!({"bytes": ARCHIVE_MAX_BYTES + 1})), "invalid_field", "bytes"),
        (with(json!({"method": "carrier_pigeon"})), "invalid_field", "method"),
        (with(json!({"comment": long})), "invalid_field", "comment"),
        (with(json!({"comment": "a\u{0}b"})), "invalid_field", "comment"),
        (with(json!({"username": "ann"})), "missing_field", "password"),
        (with(json!({"password": "x"})), "missing_field", "username"),
        (with(json!({"header": "x-key"})), "missing_field", "header_value"),
        (with(json!({"header_value": "x"})), "missing_field", "header"),
        (with(json!({"username": "a:b", "password": "x"})), "invalid_field", "username"),
        (with(json!({"username": "", "password": "x"})), "invalid_field", "username"),
        (with(json!({"username": "ann", "password": ""})), "invalid_field", "password"),
        (with(json!({"username": "ann", "password": long})), "invalid_field", "password"),
        (with(json!({"username": "ann", "password": "a\nb"})), "invalid_field", "password"),
        (with(json!({"username": "ann", "password": "x", "header": "x-key", "header_value": "y"})), "invalid_field", "header"),
        (with(json!({"username": "ann", "header": "x-key"})), "invalid_field", "header"),
        (with(json!({"password": "x", "header_value": "y"})), "invalid_field", "header"),
        (with(json!({"header": "x key", "header_value": "y"})), "invalid_field", "header"),
        (with(json!({"header": "Content-Length", "header_value": "y"})), "invalid_field", "header"),
        (with(json!({"header": "Trailer", "header_value": "y"})), "invalid_field", "header"),
        (with(json!({"header": "hOST", "header_value": "y"})), "invalid_field", "header"),
        (with(json!({"header": "x-key", "header_value": "y\r\nx: z"})), "invalid_field", "header_value"),
        (with(json!({"header": "x-key", "header_value": " y"})), "invalid_field", "header_value"),
        (json!({"file_name": "../a.weir"}), "invalid_field", "file_name"),
        (json!({"file_name": ""}), "invalid_field", "file_name"),
        (json!({"file_name": "a\nb"}), "invalid_field", "file_name"),
        (json!({"file_name": "a.weir", "username": "ann", "password": "x"}), "invalid_field", "username"),
        (json!({"file_name": "a.weir", "header": "x-key", "header_value": "x"}), "invalid_field", "header"),
    ];
    for (body, reason, field) in cases {
        let problem = read(body.clone()).expect_err(&body.to_string());
        assert_eq!((problem.reason.as_str(), problem.field.as_deref()), (reason, Some(field)), "{body}");
    }
}
