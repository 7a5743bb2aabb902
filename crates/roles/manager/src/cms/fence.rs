//! Hearing of a primary with a higher term: from the other manager before serving, from a device at any time.

use super::{Cms, Fence};
use crate::app::App;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::task::JoinSet;
use weir_device_api::{PairHello, paths};
use weir_model::Role;
use weir_net::{identity::Subject, tls::client_config};
use weir_operator_api::Problem;

/// Patience with the other managers, all together, before this one serves as primary.
const ASK_PATIENCE: Duration = Duration::from_secs(1);

/// Asks the other managers on record where they stand; the fence when one is primary with a higher term.
pub(super) async fn ask_others(cms: &Cms, app: &Arc<App>) -> Option<Fence> {
    let network = app.network();
    let others: Vec<_> =
        network.active(Role::Manager).filter(|record| record.name != *cms.name()).filter_map(|record| record.addresses.device).collect();
    if others.is_empty() {
        return None;
    }
    let subject = Subject { device: cms.name().to_string(), role: Role::Manager.to_string() };
    let pair = app.authority.issue(&subject, &[], weir_clock::wall()).ok()?;
    let ca = app.authority.certificate_pem();
    let mut asked = JoinSet::new();
    for address in others {
        let (ca, certificate, key) = (ca.to_owned(), pair.certificate_pem.clone(), pair.key_pem.clone());
        asked.spawn(async move { (address, hello_of(address, &ca, &certificate, &key).await) });
    }
    let own = network.stamp.term;
    while let Some(answered) = asked.join_next().await {
        match answered {
            Ok((address, Some(hello))) if hello.primary && hello.term > own => {
                tracing::warn!(primary = hello.name.as_str(), term = hello.term, own, "another manager is the primary");
                return Some(Fence { term: hello.term, name: Some(hello.name), address: hello.device.or(Some(address)) });
            }
            Ok((address, None)) => tracing::info!(%address, "the other manager does not answer; serving without its word"),
            _ => {}
        }
    }
    None
}

/// Where a manager stands; `None` when it does not say within [`ASK_PATIENCE`].
pub(super) async fn hello_of(address: SocketAddr, ca_pem: &str, certificate_pem: &str, key_pem: &str) -> Option<PairHello> {
    let mut tls = client_config(ca_pem, Some((certificate_pem, key_pem))).ok()?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).http2_prior_knowledge().no_proxy();
    let client = client.redirect(reqwest::redirect::Policy::none()).timeout(ASK_PATIENCE).build().ok()?;
    let response = client.get(format!("https://{address}{}", paths::PAIR_HELLO)).send().await.ok()?;
    if response.status().is_success() { response.json().await.ok() } else { None }
}

/// A device names the term it obeys: with a higher one than ours we are not the primary any more, durably, before it is answered.
///
/// # Errors
/// We were; whoever asks turns to another manager.
pub(crate) async fn heard_of(app: &Arc<App>, term: u64) -> Result<(), Problem> {
    let own = app.network().stamp.term;
    if term <= own {
        return Ok(());
    }
    tracing::warn!(term, own, "a device obeys a higher term");
    crate::pair::step_down(app, Fence { term, name: None, address: None }).await?;
    let detail = format!("{} was the primary in term {own}; a device obeys term {term}", app.name);
    Err(Problem::new(weir_operator_api::Reason::NotPrimary, detail).next_step("ask the other manager"))
}
