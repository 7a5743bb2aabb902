//! Enrolment of all devices over the device API, some at a time.

use crate::{
    device::Device,
    network::{Bench, location},
    plan::Plan,
};
use anyhow::{Context, ensure};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Semaphore, task::JoinSet};
use weir_net::{
    identity::{CertificateRequest, Subject},
    tls,
};

/// Enrolments under way at once.
const ENROLLING_MAX: usize = 32;
/// Patience for one: they wait for each other.
const PATIENCE: Duration = Duration::from_secs(120);
/// Port of a device's listener for viewers.
const HTTP_PORT: u16 = 8080;
/// The first of their addresses; there is one for each.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);

/// Enrols the devices of the plan, dealt to its locations in turn.
pub(crate) async fn enrol(network: &Bench, plan: &Plan) -> anyhow::Result<Vec<Device>> {
    let places = plan.locations.min(plan.count);
    let mut tokens = Vec::new();
    for place in 0..places {
        tokens.push(network.token(plan.count.div_ceil(places), &location(place)).await?);
    }
    let ca = tokens.first().and_then(|token| token.rsplit('.').next()).context("a token names its CA")?;
    let mut fingerprint = [0; 32];
    hex::decode_to_slice(ca, &mut fingerprint)?;
    let mut config = tls::pinned_client_config(fingerprint)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .http2_prior_knowledge()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .build()?;
    let room = Arc::new(Semaphore::new(ENROLLING_MAX));
    let mut enrolling = JoinSet::new();
    for index in 0..plan.count {
        let http_address = plan.listed.then(|| address(index));
        let (http, token, manager) = (http.clone(), tokens[index % places].clone(), network.manager());
        let place = Arc::clone(&room).acquire_owned().await?;
        enrolling.spawn(async move {
            let device = one(&http, manager, index, &token, http_address).await;
            drop(place);
            device
        });
    }
    enrolling.join_all().await.into_iter().collect()
}

fn address(index: usize) -> SocketAddr {
    let index = u32::try_from(index).expect("a plan has fewer devices than there are addresses");
    (Ipv4Addr::from_bits(FIRST_ADDRESS.to_bits() + index), HTTP_PORT).into()
}

async fn one(
    http: &reqwest::Client,
    manager: SocketAddr,
    index: usize,
    token: &str,
    address: Option<SocketAddr>,
) -> anyhow::Result<Device> {
    let name = format!("engine-{index}");
    let request = CertificateRequest::create(&Subject { device: name.clone(), role: "engine".to_owned() })?;
    let listeners = json!({ "http": address });
    let body = json!({
        "hello": crate::device::hello(&name, (0, 0)),
        "token": token,
        "certificate_request": request.request_pem,
        "listeners": listeners,
    });
    let answer = http.post(format!("https://{manager}/device/v1/enrol")).json(&body).send().await?;
    let status = answer.status();
    let answer: Value = answer.json().await?;
    ensure!(status.is_success() && answer["activated"] == true, "enrolment of {name}: {status}: {answer}");
    let text = |field: &str| answer[field].as_str().with_context(|| format!("{field} in {answer}"));
    let mut tls = tls::client_config(text("ca")?, Some((text("certificate")?, &request.key_pem)))?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Device { index, name, listeners, tls: Arc::new(tls) })
}
