//! The local socket and the lock on the state.

use crate::harness::Running;
use hyper::Method;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn the_local_socket_needs_no_token_and_is_ours_alone() {
    let running = Running::start().await;
    let socket = running.dir.path().join("run/cms.sock");
    assert_eq!(std::fs::metadata(&socket).expect("socket").permissions().mode() & 0o777, 0o600);
    for secret in ["network.key", "ca.pem"] {
        let path = running.dir.path().join("state/manager").join(secret);
        assert_eq!(std::fs::metadata(&path).expect(secret).permissions().mode() & 0o777, 0o600, "{secret}");
    }
    running.local(Method::POST, "/api/v1/locations", Some(json!({"name": "core"}))).await.expect(201);
    let audit = running.get("/api/v1/audit").await;
    let entry = audit["items"].as_array().expect("items").last().expect("entry").clone();
    assert_eq!((&entry["actor"], &entry["source"]), (&json!("local"), &json!("local")));
    let running = running.crash_and_restart().await;
    assert_eq!(running.local(Method::GET, "/api/v1/status", None).await.expect(200)["role"], "primary");
    assert!(running.manager.stop(crate::harness::DEADLINE).await);
    assert!(!socket.exists(), "it goes with the manager");
}

#[tokio::test]
async fn the_state_is_locked_for_as_long_as_a_manager_runs() {
    let running = Running::start().await;
    let lock = std::fs::File::open(running.dir.path().join("state/manager/lock")).expect("lock");
    assert!(lock.try_lock().is_err(), "the running manager holds it");
    assert!(running.manager.stop(crate::harness::DEADLINE).await);
    drop(running.manager);
    assert!(lock.try_lock().is_ok());
}
