//! Boxes whose files cannot be opened, and one that is on record and not active: what others make of them, and the way back.

use super::{Second, info_of};
use crate::harness::{Answer, DEADLINE, Running, own_identity, request, send_tls, until};
use hyper::Method;
use serde_json::json;
use std::path::Path;
use weir_device_api::paths;
use weir_net::tls::client_config;

/// Stops the first box and starts it again, in its directory and at its addresses, once `between` has done something to it.
async fn restarted(running: Running, between: impl FnOnce(&Path)) -> Running {
    let Running { dir, manager, api, device, token, .. } = running;
    assert!(manager.stop(DEADLINE).await);
    drop(manager);
    between(&dir.path().join("state/manager"));
    Running::start_in(dir, [&api.to_string(), &device.to_string()], Some(token)).await
}

/// Asks the second box for its HELLO, as the first one.
async fn hello(running: &Running, second: &Second) -> Answer {
    let kept = (own_identity(running.dir.path()).read)().expect("read").expect("kept");
    let tls = client_config(&kept.ca_pem, Some((&kept.certificate_pem, &kept.key_pem))).expect("client");
    let uri = format!("https://{}{}", second.device, paths::PAIR_HELLO);
    send_tls(second.device, tls, request(Method::GET, &uri, None)).await
}

#[tokio::test]
async fn a_box_that_cannot_open_its_database_is_not_taken_for_one_that_has_none() {
    let running = Running::start().await;
    running.two_locations().await;
    let second = Second::start(&running).await;
    second.matched().await;
    // The first one is down while the second becomes the primary, and a newer build takes that one's database up.
    let Running { dir, manager, api, device, token, .. } = running;
    assert!(manager.stop(DEADLINE).await);
    drop(manager);
    until("the second is the primary", || async {
        second.local(Method::POST, "/cms/v1/role", Some(json!({"role": "primary", "accept_loss": 0}))).await.status == 200
    })
    .await;
    let second = second
        .restart(|data| {
            let sql = "INSERT INTO schema_ledger (id, name, sha256, applied_ms) VALUES (9999, 'of a later build', '', 1)";
            let config = rusqlite::Connection::open(data.join("state/manager/config.db")).expect("opens");
            config.execute(sql, []).expect("written");
        })
        .await;
    let info = second.info().await;
    assert_eq!((info["state"].as_str(), info["term"].as_u64()), (Some("disabled_schema_ahead"), Some(2)), "{info}");
    assert_eq!(info["step"], 9999);
    let running = Running::start_in(dir, [&api.to_string(), &device.to_string()], Some(token)).await;
    assert_eq!(info_of(&running).await["state"], "standby", "the other one has a higher term");
    assert_eq!(hello(&running, &second).await.expect(200)["term"], 2);
    // One that nobody can read at all does not say where it stands.
    let second = second
        .restart(|data| {
            std::fs::write(data.join("state/manager/config.db"), [0x5a; 8192]).expect("written");
        })
        .await;
    assert_eq!(second.info().await["state"], "disabled_damaged");
    let refused = hello(&running, &second).await;
    assert_eq!((refused.status, refused.refusal().0.as_str()), (503, "cms_disabled"));
    assert!(second.manager.stop(DEADLINE).await);
}

#[tokio::test]
async fn a_standby_that_is_not_active_starts_and_is_not_promoted() {
    let running = Running::start().await;
    running.two_locations().await;
    let second = Second::start(&running).await;
    second.matched().await;
    running.call(Method::POST, "/api/v1/devices/manager-2/deactivate", None).await.expect(200);
    let second = second
        .restart(|data| {
            // Its poll may have been refused before the change came.
            let config = rusqlite::Connection::open(data.join("state/manager/config.db")).expect("opens");
            config.execute("UPDATE device SET active = 0, location = NULL WHERE name = 'manager-2'", []).expect("written");
        })
        .await;
    let info = second.info().await;
    assert_eq!(info["state"], "standby", "it is on record: {info}");
    let refused = second.local(Method::POST, "/cms/v1/role", Some(json!({"role": "primary", "accept_loss": 0}))).await;
    assert!(refused.json["next"].as_str().expect("next").contains("weir device activate manager-2"), "{}", refused.json);
    assert_eq!(refused.refusal().0, "cms_state");
    assert_eq!(second.info().await["state"], "standby");
    assert_eq!(info_of(&running).await["state"], "primary");
    assert!(second.manager.stop(DEADLINE).await);
}

#[tokio::test]
async fn a_state_that_cannot_be_opened_at_a_start_leaves_the_box_disabled_with_the_reason() {
    let running = Running::start().await;
    running.two_locations().await;
    let aside = |state: &Path| state.join("state.db.aside");
    let running = restarted(running, |state| {
        std::fs::rename(state.join("state.db"), aside(state)).expect("moved");
        std::fs::create_dir(state.join("state.db")).expect("made");
    })
    .await;
    let info = info_of(&running).await;
    assert!(info["state"] == "disabled" && info["why"].as_str().is_some_and(|why| !why.is_empty()), "{info}");
    let refused = running.call(Method::GET, "/api/v1/locations", None).await;
    assert_eq!((refused.status, refused.refusal().0.as_str()), (503, "cms_disabled"));
    let state = running.dir.path().join("state/manager");
    std::fs::remove_dir(state.join("state.db")).expect("removed");
    std::fs::rename(aside(&state), state.join("state.db")).expect("moved back");
    let info = running.local(Method::POST, "/cms/v1/enable", Some(json!({}))).await.expect(200);
    assert_eq!(info["state"], "primary");
}
