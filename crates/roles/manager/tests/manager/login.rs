//! Signing in: the first time, wrongly, too often, from elsewhere; signing out.

use crate::{
    browser::{Browser, PASSWORD, Seen, audited, one_time_password},
    harness::Running,
};
use hyper::Method;
use std::os::unix::fs::PermissionsExt;

const SESSION: &str = "__Host-weir-session";

#[tokio::test]
async fn the_first_sign_in_must_choose_a_password() {
    let running = Running::start().await;
    let file = running.dir.path().join("state/manager/one-time-password");
    let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let one_time = one_time_password(&running);
    assert!(one_time.len() >= 16, "{one_time}");

    let mut browser = Browser::new(&running);
    assert_eq!(browser.get("/devices?role=engine").await.location(), "/login?next=%2Fdevices%3Frole%3Dengine");
    assert_eq!(browser.get("/").await.location(), "/login");
    let page = browser.get("/login?next=%2Fdevices").await;
    assert_eq!(page.hidden("next"), "/devices");
    assert_eq!(browser.sign_in("admin", &one_time).await.location(), "/");
    for path in ["/", "/devices", "/alarms", "/lights"] {
        assert_eq!(browser.get(path).await.location(), "/password", "{path}");
    }

    let page = browser.get("/password").await;
    assert!(page.page(200).contains("one-time password") && !page.text.contains("Current password"));
    for (new, again, message) in [
        ("short", "short", "a password has 12 to 128 characters, this one has 5"),
        ("adminadminadmin", "adminadminadmin", "a password is not the user&#39;s name"),
        (one_time.as_str(), one_time.as_str(), "the new password is the one before"),
        (PASSWORD, "another one of length", "the two are not the same"),
    ] {
        let refused = browser.submit("/password", &page, &[("new", new), ("again", again)]).await;
        assert!(refused.page(422).contains(message), "{message}: {}", refused.text);
        assert!(refused.text.contains("aria-invalid=\"true\"") && !refused.text.contains(PASSWORD));
    }
    let before = browser.cookies[SESSION].clone();
    assert_eq!(browser.submit("/password", &page, &[("new", PASSWORD), ("again", PASSWORD)]).await.location(), "/");
    assert_ne!(browser.cookies[SESSION], before, "a new session");
    assert!(browser.get("/").await.page(200).contains("The password is changed."));
    assert!(!browser.get("/").await.page(200).contains("The password is changed."), "said once");
    assert!(!file.exists());

    let mut other = Browser::new(&running);
    other.sign_in("admin", &one_time).await.page(403);
    assert_eq!(other.sign_in("admin", PASSWORD).await.location(), "/");
    assert_eq!(audited(&running, "login").await.len(), 2);
    assert_eq!(audited(&running, "change password").await[0]["actor"], "user:admin");
    let audit = running.get("/api/v1/audit").await.to_string();
    assert!(!audit.contains("argon2") && !audit.contains(&one_time));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    let running = Running::start().await;
    let mut browser = Browser::new(&running);
    let wrong = browser.sign_in("admin", "wrong").await;
    let unknown = browser.sign_in("nobody", "wrong").await;
    let plain = |seen: &Seen, user: &str| seen.page(403).replace(user, "USER").replace(&seen.hidden("csrf"), "TOKEN");
    assert_eq!(plain(&wrong, "value=\"admin\""), plain(&unknown, "value=\"nobody\""));
    assert!(wrong.text.contains("This user and password do not match."));
    let row = audited(&running, "login refused").await.remove(0);
    assert_eq!((row["actor"].as_str(), row["source"].as_str()), (Some("visitor"), Some("127.0.0.1")));
    assert_eq!(row["after"], serde_json::json!({"user": "admin", "why": "wrong user or password", "refusals": 1}));
    // A password typed into the wrong field is written nowhere.
    let mut careless = Browser::new(&running);
    careless.from = "127.0.0.8";
    careless.sign_in(PASSWORD, "").await.page(403);
    let rows = audited(&running, "login refused").await;
    assert_eq!((rows.len(), rows[1]["after"]["user"].as_str()), (2, Some("unknown user")));
    let shown = browser.sign_in("<script>alert(1)</script>", "wrong").await;
    assert!(!shown.page(403).contains("<script>alert"), "{}", shown.text);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_does_not_flood_the_audit() {
    let running = Running::start().await;
    let mut browser = Browser::new(&running);
    browser.from = "127.0.0.7";
    let page = browser.get("/login").await;
    let mut refused = None;
    for _ in 0..30 {
        let seen = browser.submit("/login", &page, &[("user", "admin"), ("password", "guess")]).await;
        if seen.status == 429 {
            refused = Some(seen);
        } else {
            seen.page(403);
        }
    }
    let refused = refused.expect("too many");
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(refused.page(429).contains(&format!("Try again in {wait} s.")));
    let seen = browser.submit("/login", &page, &[("user", "admin"), ("password", &one_time_password(&running))]).await;
    assert_eq!(seen.status, 429, "not even the right one while it waits");
    let rows = audited(&running, "login refused").await;
    let counts: Vec<u64> = rows.iter().map(|r| r["after"]["refusals"].as_u64().expect("count")).collect();
    assert_eq!(counts, [1, 10, 20, 30]);
    assert!(rows.iter().all(|r| r["source"] == "127.0.0.7"));
}

#[tokio::test]
async fn signing_out_makes_a_stolen_cookie_worthless_even_after_a_restart() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let thief = browser.clone();
    let other = {
        let mut other = Browser::new(&running);
        other.sign_in("admin", PASSWORD).await.location();
        other
    };
    thief.clone().get("/").await.page(200);
    let page = browser.get("/").await;
    assert_eq!(browser.submit("/logout", &page, &[]).await.location(), "/login");
    assert!(!browser.cookies.contains_key(SESSION));
    assert_eq!(thief.clone().get("/").await.location(), "/login");
    let running = running.restart().await;
    assert_eq!(thief.clone().get("/").await.location(), "/login");
    other.clone().get("/").await.page(200);
    assert_eq!(audited(&running, "logout").await.len(), 1);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let mut other = Browser::new(&running);
    other.sign_in("admin", PASSWORD).await.location();
    other.get("/").await.page(200);
    let page = browser.get("/password").await;
    let refused = browser.submit("/password", &page, &[("current", "not this"), ("new", "x"), ("again", "x")]).await;
    assert!(refused.page(422).contains("this is not the current password"));
    let next = "another horse battery";
    let changed = browser.submit("/password", &page, &[("current", PASSWORD), ("new", next), ("again", next)]).await;
    assert_eq!(changed.location(), "/");
    browser.get("/").await.page(200);
    assert_eq!(other.get("/").await.location(), "/login");
    other.sign_in("admin", PASSWORD).await.page(403);
}

#[tokio::test]
async fn forms_of_other_sites_are_refused_and_audited() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let page = browser.get("/password").await;
    let csrf = page.hidden("csrf");
    let mut other = Browser::new(&running);
    other.sign_in("admin", PASSWORD).await.location();
    let foreign = other.get("/password").await.hidden("csrf");
    let good = [("csrf", csrf.as_str()), ("current", PASSWORD), ("new", "evil password here"), ("again", "evil password here")];
    for (token, headers) in [
        (csrf.as_str(), vec![("origin", "https://evil.example")]),
        (csrf.as_str(), vec![("origin", "null")]),
        (csrf.as_str(), vec![("sec-fetch-site", "cross-site")]),
        (csrf.as_str(), vec![("sec-fetch-site", "same-site")]),
        (foreign.as_str(), vec![]),
        ("", vec![]),
        (&csrf[1..], vec![]),
    ] {
        let mut fields = good;
        fields[0].1 = token;
        let refused = browser.post("/password", &fields, &headers).await;
        assert!(refused.page(403).contains("form_refused"), "{token} {headers:?}");
    }
    let refused = browser.post("/password", &good[1..], &[]).await;
    assert!(refused.page(403).contains("form_refused"), "no token at all");
    let json = browser.post("/password", &good, &[("content-type", "application/json")]).await;
    assert!(json.page(415).contains("not a form"));
    // The first of the burst has a row; the others are a count, written when the minute or the manager ends.
    let rows = audited(&running, "refused form").await;
    assert_eq!((rows.len(), rows[0]["actor"].as_str()), (1, Some("user:admin")));
    let running = running.restart().await;
    let rows = audited(&running, "login refused").await;
    assert_eq!(rows[0]["after"], serde_json::json!({"why": "not listed one by one", "refusals": 7}));
    // The password is as it was, and a form that says nothing of its site is judged by its token.
    assert_eq!(Browser::new(&running).sign_in("admin", PASSWORD).await.location(), "/");
    let quiet = browser.post("/logout", &[("csrf", &csrf)], &[("origin", ""), ("sec-fetch-site", "")]).await;
    assert_eq!(quiet.location(), "/login");
}

#[tokio::test]
async fn the_sign_in_form_has_a_token_of_its_own() {
    let running = Running::start().await;
    let one_time = one_time_password(&running);
    let mut browser = Browser::new(&running);
    let fields = [("user", "admin"), ("password", one_time.as_str())];
    assert!(browser.post("/login", &fields, &[]).await.page(403).contains("form_refused"));
    let page = browser.get("/login").await;
    let mut stranger = Browser::new(&running);
    assert!(stranger.submit("/login", &page, &fields).await.page(403).contains("form_refused"), "the cookie is another browser's");
    let csrf = page.hidden("csrf");
    let with_token = [fields[0], fields[1], ("csrf", csrf.as_str())];
    assert!(browser.post("/login", &with_token, &[("origin", "https://evil.example")]).await.page(403).contains("form_refused"));
    assert_eq!(browser.post("/login", &with_token, &[]).await.location(), "/");
    assert!(!browser.cookies.contains_key("__Host-weir-login"));
    assert_eq!(audited(&running, "refused form").await[0]["actor"], "visitor");
}

#[tokio::test]
async fn one_goes_where_one_wanted_but_never_elsewhere() {
    let running = Running::start().await;
    Browser::signed_in(&running).await;
    for (next, to) in [
        ("/alarms?state=all", "/alarms?state=all"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/logout", "/"),
    ] {
        let mut browser = Browser::new(&running);
        let page = browser.get("/login").await;
        let fields = [("user", "admin"), ("password", PASSWORD), ("next", next)];
        assert_eq!(browser.submit("/login", &page, &fields).await.location(), to, "{next}");
        let query: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        assert_eq!(browser.get(&format!("/login?next={query}")).await.location(), to, "signed in already: {next}");
    }
}

#[tokio::test]
async fn signing_in_does_not_take_over_a_session_somebody_prepared() {
    let running = Running::start().await;
    let owner = Browser::signed_in(&running).await;
    // The browser shows a cookie somebody else put there; what it signs in to is another session, and that one ends.
    let mut victim = Browser::new(&running);
    victim.cookies.insert(SESSION.into(), owner.cookies[SESSION].clone());
    let page = {
        let mut fresh = Browser::new(&running);
        let page = fresh.get("/login").await;
        victim.cookies.extend(fresh.cookies);
        page
    };
    victim.submit("/login", &page, &[("user", "admin"), ("password", PASSWORD)]).await.location();
    assert_ne!(victim.cookies[SESSION], owner.cookies[SESSION]);
    assert_eq!(owner.clone().get("/").await.location(), "/login");
    victim.cookies.insert(SESSION.into(), "f".repeat(64));
    assert_eq!(victim.get("/").await.location(), "/login", "a made-up token is none");
}

#[tokio::test]
async fn who_is_locked_out_gets_a_one_time_password_on_the_box_only() {
    let running = Running::start().await;
    let mut browser = Browser::signed_in(&running).await;
    let path = "/api/v1/users/admin/one-time-password";
    let refused = running.call(Method::POST, path, None).await;
    assert_eq!((refused.status, refused.refusal()), (403, ("local_only".into(), None)));
    let missing = running.local(Method::POST, "/api/v1/users/nobody/one-time-password", None).await;
    assert_eq!((missing.status, missing.refusal()), (404, ("not_found".into(), None)));
    browser.get("/").await.page(200);
    let made = running.local(Method::POST, path, None).await.expect(200);
    let one_time = made["one_time_password"].as_str().expect("password").to_owned();
    assert_eq!(one_time_password(&running), one_time);
    assert_eq!(browser.get("/").await.location(), "/login", "sessions end");
    let mut again = Browser::new(&running);
    again.sign_in("admin", PASSWORD).await.page(403);
    let running = running.restart().await;
    assert_eq!(again.sign_in("admin", &one_time).await.location(), "/");
    assert_eq!(again.get("/").await.location(), "/password");
    assert_eq!(audited(&running, "reset password").await[0]["actor"], "local");
}

#[tokio::test]
async fn a_restart_makes_no_second_user_and_keeps_the_password() {
    let running = Running::start().await;
    let one_time = one_time_password(&running);
    let running = running.crash_and_restart().await;
    assert_eq!(one_time_password(&running), one_time);
    Browser::signed_in(&running).await;
    let running = running.restart().await;
    assert!(!running.dir.path().join("state/manager/one-time-password").exists());
    assert_eq!(Browser::new(&running).sign_in("admin", PASSWORD).await.location(), "/");
}

#[tokio::test]
async fn a_sign_in_under_way_does_not_survive_a_reset() {
    let running = Running::start().await;
    Browser::signed_in(&running).await;
    // All of them read the old hash and wait for their turn to be checked; the reset is computed before most.
    let sign_in = || async {
        let mut browser = Browser::new(&running);
        let page = browser.get("/login").await;
        let status = browser.submit("/login", &page, &[("user", "admin"), ("password", PASSWORD)]).await.status;
        (browser, status)
    };
    let reset = running.local(Method::POST, "/api/v1/users/admin/one-time-password", None);
    let (made, a, b, c, d, e) = tokio::join!(reset, sign_in(), sign_in(), sign_in(), sign_in(), sign_in());
    made.expect(200);
    for (mut browser, status) in [a, b, c, d, e] {
        assert!([303, 403].contains(&status), "{status}");
        assert_eq!(browser.get("/").await.location(), "/login", "signed in with {status} and the old password");
    }
}

#[tokio::test]
async fn a_reset_that_was_cut_off_is_finished_by_the_next_start() {
    let running = Running::start().await;
    Browser::signed_in(&running).await;
    let made = running.local(Method::POST, "/api/v1/users/admin/one-time-password", None).await.expect(200);
    let directory = running.dir.path().join("state/manager");
    let (file, next) = (directory.join("one-time-password"), directory.join("one-time-password.next"));
    assert!(file.exists() && !next.exists());
    // As if it had ended between the commit and the move.
    std::fs::rename(&file, &next).expect("moved");
    let running = running.crash_and_restart().await;
    assert_eq!(Some(one_time_password(&running).as_str()), made["one_time_password"].as_str());
    assert!(!next.exists());
    // And before the commit: what waits there is nobody's password.
    std::fs::write(&next, "not-committed\n").expect("written");
    let running = running.crash_and_restart().await;
    assert_eq!(Some(one_time_password(&running).as_str()), made["one_time_password"].as_str());
    assert!(!next.exists());
}
