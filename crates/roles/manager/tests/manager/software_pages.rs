//! Software Files and Update Software in a browser: registered by URL, sent with and without a script, explained, deleted.

use crate::{
    browser::{Browser, Seen, audited},
    harness::{DEADLINE, Running, until},
};
use hyper::Method;
use serde_json::json;

const BOUNDARY: &str = "----weir-test";
const TYPE: &str = "multipart/form-data; boundary=----weir-test";

/// A part of a form: name, file name if it is a file, content.
type Part<'a> = (&'a str, Option<&'a str>, &'a str);

fn body(parts: &[Part<'_>]) -> String {
    let part = |(name, file, content): &Part<'_>| {
        let file = file.map(|f| format!("; filename=\"{f}\"\r\nContent-Type: application/octet-stream")).unwrap_or_default();
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n")
    };
    format!("{}--{BOUNDARY}--\r\n", parts.iter().map(part).collect::<String>())
}

async fn send(browser: &mut Browser, path: &str, body: String, headers: &[(&str, &str)]) -> Seen {
    let origin = format!("https://{}", browser.address);
    let mut all = vec![("content-type", TYPE), ("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
    all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
    all.extend(headers);
    browser.send(browser.request(Method::POST, path, &all, body)).await
}

async fn files(running: &Running) -> Vec<serde_json::Value> {
    running.get("/api/v1/software-files").await["items"].as_array().expect("items").clone()
}

/// The page of a software file once its checks have ended.
async fn rested(browser: &mut Browser, id: i64) -> Seen {
    let deadline = weir_clock::monotonic() + DEADLINE;
    let mut tries = tokio::time::interval(std::time::Duration::from_millis(20));
    loop {
        let seen = browser.get(&format!("/software-files/{id}")).await;
        if !seen.page(200).contains(">validating<") {
            return seen;
        }
        assert!(weir_clock::monotonic() < deadline, "it is still validating: {}", seen.text);
        tries.tick().await;
    }
}

#[tokio::test]
async fn an_empty_list_teaches_and_every_page_is_confined() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    for (path, facts) in [
        ("/software-files", vec!["No software file yet", "weir release build", "Register a URL", "public addresses only"]),
        ("/new/software-file", vec!["Auto Reload", "Prepositioned Only", "type=\"password\"", "Direct Download Only"]),
        ("/new/software-upload", vec!["multipart/form-data", "Release archive"]),
        ("/update-software", vec!["No release to choose", "No device was assigned a version yet"]),
        ("/devices/manager-1/update-software", vec!["pair_update_required", "changes nothing"]),
    ] {
        let seen = browser.get(path).await;
        for fact in facts {
            assert!(seen.page(200).contains(fact), "{path}: {fact}: {}", seen.text);
        }
        assert_eq!(seen.text.matches("<h1").count(), 1, "{path}");
        for inline in ["<style", "style=\"", " onclick", "<script>", "javascript:"] {
            assert!(!seen.text.contains(inline), "{path}: {inline}");
        }
        assert!(seen.text.contains("href=\"/software-files\"") && seen.text.contains("href=\"/update-software\""), "{path}: navigation");
        assert!(Browser::new(&running).get(path).await.location().starts_with("/login?next=%2F"), "{path}");
    }
    browser.get("/software-files/7").await.page(404);
    browser.get("/software-files/seven").await.page(404);
}

#[tokio::test]
async fn a_wrong_url_is_refused_at_its_field_and_secrets_are_not_sent_back() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let blank = browser.get("/new/software-file").await;
    let typed = [
        ("url", "file:///etc/passwd"),
        ("version", "1.1.0-b7"),
        ("username", "reader"),
        ("password", "hunter2-hunter2"),
        ("comment", "a & b"),
    ];
    let refused = browser.submit("/new/software-file", &blank, &typed).await;
    let page = refused.page(422);
    assert!(page.contains("id=\"url-error\"") && page.contains("upload the file"), "{page}");
    for kept in ["value=\"file:///etc/passwd\"", "value=\"1.1.0-b7\"", "value=\"reader\"", "value=\"a &#38; b\""] {
        assert!(page.contains(kept), "{kept}: {page}");
    }
    assert!(!page.contains("hunter2"));
    let refused =
        browser.submit("/new/software-file", &blank, &[("url", "https://h.test/a"), ("version", "1.1.0-b7"), ("bytes", "31 MB")]).await;
    assert!(refused.page(422).contains("id=\"bytes-error\""));
    assert!(files(&running).await.is_empty(), "nothing was registered");
}

#[tokio::test]
async fn a_url_that_may_not_be_fetched_says_so_on_every_page() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let blank = browser.get("/new/software-file").await;
    let typed = [("url", "http://127.0.0.1:9/a.weir"), ("version", "1.1.0-b7"), ("username", "reader"), ("password", "hunter2-hunter2")];
    let done = browser.submit("/new/software-file", &blank, &typed).await;
    assert_eq!(done.location(), "/software-files/1");
    let seen = rested(&mut browser, 1).await;
    for fact in [">invalid<", "private_target", ">failed<", ">skipped<", "Validate again", "user name reader and a password"] {
        assert!(seen.text.contains(fact), "{fact}: {}", seen.text);
    }
    for path in ["/software-files", "/update-software", "/devices/manager-1/update-software", "/update-software?file=1"] {
        let seen = browser.get(path).await;
        assert!(seen.page(200).contains("private_target") && seen.text.contains("127.0.0.1:9/a.weir"), "{path}: {}", seen.text);
        assert!(!seen.text.contains("hunter2"), "{path}");
    }
    let choices = browser.get("/update-software").await;
    assert!(choices.text.contains("disabled aria-describedby=\"why-1\"") && choices.text.contains("None of them can be chosen now"));
    assert!(browser.get("/audit").await.text.contains("href=\"/software-files/1\""));
    let page = browser.get("/software-files/1").await;
    assert_eq!(browser.submit("/software-files/1/validate", &page, &[]).await.location(), "/software-files/1");
    rested(&mut browser, 1).await;

    let page = browser.get("/software-files/1/delete").await;
    let refused = browser.submit("/software-files/1/delete", &page, &[("name", "1.1.0-b8")]).await;
    assert!(refused.page(422).contains("id=\"name-error\"") && !refused.text.contains("name=\"override\""));
    let deleted = browser.submit("/software-files/1/delete", &page, &[("name", "1.1.0-b7")]).await;
    assert_eq!(deleted.location(), "/software-files");
    assert!(browser.get("/software-files").await.page(200).contains("No software file yet"));
    // A page that still shows what choosing it would mean finds the part to draw anew, empty.
    assert!(browser.get("/update-software?file=1").await.page(200).contains("<div id=\"chosen\""));
}

#[tokio::test]
async fn a_file_is_sent_without_a_script_and_with_one() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let token = browser.get("/new/software-upload").await.hidden("csrf");
    let parts = [("csrf", None, token.as_str()), ("bytes", None, ""), ("comment", None, "first"), ("file", Some("a.weir"), "no archive")];
    let done = send(&mut browser, "/new/software-upload", body(&parts), &[]).await;
    assert_eq!(done.location(), "/software-files/1");
    let told = browser.get("/software-files/1").await;
    assert!(told.page(200).contains("a.weir has come whole"), "{}", told.text);
    assert!(rested(&mut browser, 1).await.text.contains(">invalid<"));
    let file = &files(&running).await[0];
    assert_eq!((&file["comment"], &file["source"]["file_name"], &file["auto_reload"]), (&json!("first"), &json!("a.weir"), &json!(false)));

    // The script says how long the file is, and is told where to go.
    let parts = [("csrf", None, token.as_str()), ("bytes", None, "10"), ("file", Some("C:\\x\\b.weir"), "no archive")];
    let done = send(&mut browser, "/new/software-upload", body(&parts), &[("x-weir-upload", "1")]).await;
    assert_eq!((done.status, done.header("location"), done.text.as_str()), (204, "/software-files/2", ""));
    rested(&mut browser, 2).await;
    assert_eq!(files(&running).await[1]["source"]["file_name"], "b.weir");

    // Another length than was said: the software file stays, and its page takes the file.
    let parts = [("csrf", None, token.as_str()), ("bytes", None, "11"), ("file", Some("c.weir"), "no archive")];
    assert_eq!(send(&mut browser, "/new/software-upload", body(&parts), &[]).await.location(), "/software-files/3");
    let seen = browser.get("/software-files/3").await;
    assert!(seen.page(200).contains("c.weir was not taken") && seen.text.contains(">draft<"), "{}", seen.text);
    assert!(seen.text.contains("action=\"/software-files/3/archive\"") && seen.text.contains("awaiting_upload"));
    let parts = [("csrf", None, token.as_str()), ("file", Some("c.weir"), "no archive")];
    assert_eq!(send(&mut browser, "/software-files/3/archive", body(&parts), &[]).await.location(), "/software-files/3");
    assert!(rested(&mut browser, 3).await.text.contains(">invalid<"));
}

#[tokio::test]
async fn no_byte_is_taken_from_a_form_of_another_session() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let token = browser.get("/new/software-upload").await.hidden("csrf");
    let file = ("file", Some("a.weir"), "no archive");
    let late = [file, ("csrf", None, token.as_str())];
    for (parts, headers) in [
        (vec![file], vec![]),
        (vec![("csrf", None, "0000"), file], vec![]),
        // The token has to come first.
        (late.to_vec(), vec![]),
        (vec![("csrf", None, token.as_str()), file], vec![("sec-fetch-site", "cross-site")]),
        (vec![("csrf", None, token.as_str()), file], vec![("origin", "https://other.test")]),
    ] {
        let refused = send(&mut browser, "/new/software-upload", body(&parts), &headers).await;
        assert!(refused.page(403).contains("form_refused"), "{parts:?} {headers:?}");
    }
    assert!(files(&running).await.is_empty());
    assert!(!audited(&running, "refused form").await.is_empty());
    let mut stranger = Browser::new(&running);
    assert_eq!(send(&mut stranger, "/new/software-upload", body(&[file]), &[]).await.status, 401);
}

#[tokio::test]
async fn a_form_without_a_file_and_one_that_is_too_large_are_refused() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let token = browser.get("/new/software-upload").await.hidden("csrf");
    let csrf = ("csrf", None, token.as_str());
    for parts in [vec![csrf, ("version", None, "1.1.0-b7")], vec![csrf, ("version", None, "1.1.0-b7"), ("file", Some(""), "")]] {
        let refused = send(&mut browser, "/new/software-upload", body(&parts), &[]).await;
        assert!(refused.page(422).contains("id=\"file-error\"") && refused.text.contains("value=\"1.1.0-b7\""), "{}", refused.text);
    }
    let refused =
        send(&mut browser, "/new/software-upload", body(&[csrf, ("version", None, "one"), ("file", Some("a.weir"), "x")]), &[]).await;
    assert!(refused.page(422).contains("id=\"version-error\""));
    let long = "x".repeat(17 * 1024);
    send(&mut browser, "/new/software-upload", body(&[csrf, ("comment", None, &long)]), &[]).await.page(413);
    let many: Vec<Part<'_>> = std::iter::repeat_n(csrf, 40).collect();
    send(&mut browser, "/new/software-upload", body(&many), &[]).await.page(422);
    let cut = body(&[csrf, ("comment", None, "x")]);
    send(&mut browser, "/new/software-upload", cut[..cut.len() - 20].to_owned(), &[]).await.page(400);
    send(&mut browser, "/new/software-upload", "csrf=1".into(), &[("content-type", "application/x-www-form-urlencoded")]).await.page(415);
    assert!(files(&running).await.is_empty());
}

#[tokio::test]
async fn a_form_that_does_not_come_to_its_file_is_not_gathered() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let token = browser.get("/new/software-upload").await.hidden("csrf");
    let large = "x".repeat(5 * 1024 * 1024);
    let csrf = body(&[("csrf", None, &token)]).replace("--\r\n", "\r\n");
    // No boundary, and the head of a part without an end.
    for form in [large.clone(), format!("{csrf}X-Long: {large}")] {
        let refused = send(&mut browser, "/new/software-upload", form, &[]).await;
        assert!(refused.page(413).contains("before its file"), "{}", refused.text);
    }
    // Another site is judged by before anything is read.
    let refused = send(&mut browser, "/new/software-upload", large.clone(), &[("sec-fetch-site", "cross-site")]).await;
    assert!(refused.page(403).contains("form_refused"), "{}", refused.text);
    assert!(files(&running).await.is_empty(), "nothing was registered");

    // A file may be as large as an archive.
    let parts = [("csrf", None, token.as_str()), ("file", Some("a.weir"), large.as_str())];
    assert_eq!(send(&mut browser, "/new/software-upload", body(&parts), &[]).await.location(), "/software-files/1");
    let told = browser.get("/software-files/1").await;
    assert!(told.page(200).contains("a.weir has come whole"), "{}", told.text);
}

#[tokio::test]
async fn networks_software_may_be_fetched_from_are_set() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let page = browser.get("/software-files").await;
    let wrong = browser.submit("/software-files/sources", &page, &[("allow", "10.0.0.0/8\nhere")]).await;
    assert!(wrong.page(422).contains("id=\"allow-error\"") && wrong.text.contains("10.0.0.0/8\nhere"), "{}", wrong.text);
    let done = browser.submit("/software-files/sources", &page, &[("allow", "127.0.0.0/8\r\n2001:db8::/32")]).await;
    assert_eq!(done.location(), "/software-files");
    let seen = browser.get("/software-files").await;
    assert!(seen.page(200).contains("<li class=\"mono\">127.0.0.0/8</li>") && seen.text.contains("2001:db8::/32"), "{}", seen.text);
    // Now that loopback is allowed, nothing listens there: another reason.
    let blank = browser.get("/new/software-file").await;
    browser.submit("/new/software-file", &blank, &[("url", "http://127.0.0.1:9/a.weir"), ("version", "1.1.0-b7")]).await.location();
    assert!(rested(&mut browser, 1).await.text.contains("connect_failed"));
}

#[tokio::test]
async fn open_pages_are_told_of_software() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let (_, mut open) = browser.open(browser.request(Method::GET, "/events", &[], String::new())).await;
    running.post("/api/v1/software-files", json!({"file_name": "a.weir"})).await;
    let mut text = String::new();
    let told = async {
        while !text.contains("\"software\"") {
            let frame = http_body_util::BodyExt::frame(&mut open.body).await.expect("it goes on").expect("a frame");
            text.push_str(std::str::from_utf8(&frame.into_data().expect("data")).expect("text"));
        }
    };
    tokio::time::timeout(DEADLINE, told).await.expect("told in time");
    until("the list has it", || async { files(&running).await.len() == 1 }).await;
}
