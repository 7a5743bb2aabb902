//! The standby: its status, and 421 for the rest.

use crate::harness::{DEADLINE, Running, TestDevice, request, send_tls};
use hyper::Method;
use std::net::{SocketAddr, TcpListener};
use tempfile::TempDir;
use weir_manager::{StandbyApi, StandbySettings};
use weir_model::Role;
use weir_net::tls::client_config;
use weir_operator_api::PrimaryAddress;

/// A standby with the identity of an enrolled device, and where it serves.
pub(crate) async fn started(running: &Running, device: &TestDevice) -> (StandbyApi, SocketAddr, TempDir) {
    let identity = device.identity.as_ref().expect("enrolled");
    let dir = tempfile::tempdir().expect("dir");
    let standby = StandbyApi::new(StandbySettings {
        data: dir.path().to_owned(),
        name: device.name.parse().expect("name"),
        network_name: "test".into(),
        primary: PrimaryAddress { name: "manager-1".parse().expect("name"), url: format!("https://{}", running.api) },
        certificate_pem: format!("{}{}", identity.certificate, identity.ca),
        key_pem: device.request.key_pem.clone(),
    })
    .expect("standby");
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("address");
    standby.serve(vec![listener]).await.expect("serving");
    (standby, address, dir)
}

#[tokio::test]
async fn a_standby_shows_its_status_and_sends_everything_else_to_the_primary() {
    let running = Running::start().await;
    running.two_locations().await;
    let token = running.enrolment_token("manager", Some("core")).await;
    let mut device = TestDevice::new("manager-2", Role::Manager);
    device.listeners.https = Some("127.0.0.1:9".parse().expect("address"));
    let device = device.enrol(&running, &token).await;
    device.follow(&running).await;
    assert_eq!(running.status_of("manager-2").await, "online");

    let identity = device.identity.clone().expect("enrolled");
    let url = format!("https://{}", running.api);
    let (standby, address, _dir) = started(&running, &device).await;
    let call = async |method: Method, path: &str| {
        let tls = client_config(&identity.ca, None).expect("client");
        send_tls(address, tls, request(method, &format!("https://{address}{path}"), None)).await
    };
    let status = call(Method::GET, "/api/v1/status").await.expect(200);
    assert_eq!((status["role"].as_str(), status["primary"]["url"].as_str()), (Some("standby"), Some(url.as_str())));
    for (method, path) in [(Method::GET, "/api/v1/devices"), (Method::POST, "/api/v1/status"), (Method::DELETE, "/api/v1/locations/core")] {
        let refused = call(method, path).await;
        assert!(refused.json["next"].as_str().expect("next").contains(&format!("{url}{path}")), "{}", refused.json);
        assert_eq!((refused.status, refused.refusal()), (421, ("not_primary".into(), None)));
    }
    assert!(standby.stop(DEADLINE).await);
}
