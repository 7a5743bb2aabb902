//! The device's HTTP/2 client to the managers: mutual TLS, one address at a time, the next one when it fails.
//!
//! It obeys the highest term it has heard: what a manager of a lower one answers is passed over, and the next manager is asked.

mod content;

pub use content::ContentError;

use crate::device_state::{DeviceState, Identity};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;
use weir_device_api::{Answer, Poll, Report, ReportAnswer, paths};
use weir_model::{Stamp, configuration::ManagerEntry};
use weir_telemetry::Chain;

/// Patience for a connection to a manager.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Patience for an answer beyond what the call itself asks to wait.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Patience for a manager that is knocked at: it is not the one that is asked.
const KNOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest part of a refusal's body that is logged, in bytes.
const REFUSAL_BYTES: usize = 2048;

/// Why a call to the manager failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client could not be made from this identity.
    #[error("use this device's identity")]
    Identity(#[from] weir_net::tls::TlsError),
    /// No answer.
    #[error("ask manager at {address}")]
    Unreachable {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It answered something that is no answer.
    #[error("read what manager at {address} answered")]
    Unreadable {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: ContentError,
    },
    /// A manager that was primary once: somebody is since, with a higher term.
    #[error("manager at {address} speaks for term {term}, and term {heard} was heard")]
    Overtaken {
        /// Which.
        address: SocketAddr,
        /// The term it answered with.
        term: u64,
        /// The highest one this device has heard.
        heard: u64,
    },
    /// An answer that says no.
    #[error("manager at {address} answered {status}: {body}")]
    Refused {
        /// Which.
        address: SocketAddr,
        /// HTTP status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
}

impl ClientError {
    /// Whether another manager is the one to ask, at once.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(self, ClientError::Overtaken { .. } | ClientError::Refused { status: MISDIRECTED, .. })
    }
}

/// RFC 9110 section 15.5.20: what a standby answers.
const MISDIRECTED: u16 = 421;

/// A client that knows the managers.
pub struct ManagerClient {
    http: reqwest::Client,
    /// The one that is asked, then the others in order.
    managers: watch::Sender<Vec<SocketAddr>>,
    /// The highest term any manager has named; 0 before the first.
    heard: AtomicU64,
    /// Where it is kept: a device that starts anew must not obey a lower one.
    kept: Option<Arc<KeptTerm>>,
}

/// The highest term heard, on the disk.
struct KeptTerm {
    state: DeviceState,
    term: Mutex<u64>,
}

impl KeptTerm {
    /// Blocks. A disk that refuses keeps no device from obeying.
    fn keep(&self, heard: u64) {
        let mut term = self.term.lock().unwrap_or_else(PoisonError::into_inner);
        if heard <= *term {
            return;
        }
        match self.state.keep_heard(heard) {
            Ok(()) => *term = heard,
            Err(error) => tracing::error!(error = %Chain(&error), heard, "the term this device obeys is not kept on disk"),
        }
    }
}

/// A client for this TLS configuration: HTTP/2 only, no proxy, no redirects.
pub(crate) fn http_client(mut tls: rustls::ClientConfig) -> Result<reqwest::Client, reqwest::Error> {
    tls.alpn_protocols = vec![b"h2".to_vec()];
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .http2_prior_knowledge()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
}

async fn json<T>((address, response): (SocketAddr, reqwest::Response)) -> Result<T, ClientError>
where
    T: serde::de::DeserializeOwned + Send + 'static,
{
    content::json(response, content::CONTENT_BYTES_MAX).await.map_err(|source| ClientError::Unreadable { address, source })
}

pub(crate) async fn refusal(address: SocketAddr, response: reqwest::Response) -> ClientError {
    let status = response.status().as_u16();
    let mut body = response.text().await.unwrap_or_else(|error| format!("(no body: {error})"));
    let end = (0..=REFUSAL_BYTES.min(body.len())).rev().find(|i| body.is_char_boundary(*i)).expect("0 is a boundary");
    body.truncate(end);
    ClientError::Refused { address, status, body }
}

impl ManagerClient {
    /// A client that shows `identity`.
    pub fn new(identity: &Identity) -> Result<Self, ClientError> {
        let tls = weir_net::tls::client_config(&identity.ca, Some((&identity.certificate, &identity.key)))?;
        let http = http_client(tls).map_err(|source| ClientError::Unreachable { address: identity.manager, source })?;
        Ok(Self { http, managers: watch::Sender::new(vec![identity.manager]), heard: AtomicU64::new(0), kept: None })
    }

    /// The same, which begins with the highest term this device has heard before, and keeps it. Blocks.
    pub(crate) fn remembering(self, state: &DeviceState) -> Self {
        let term = state.heard().unwrap_or_else(|error| {
            tracing::error!(error = %Chain(&error), "the term this device obeyed is lost; the configuration on disk says which");
            0
        });
        let kept = Some(Arc::new(KeptTerm { state: state.clone(), term: Mutex::new(term) }));
        Self { heard: AtomicU64::new(term), kept, ..self }
    }

    /// Takes the managers a configuration lists; an empty list changes nothing.
    pub fn set_managers(&self, managers: &[ManagerEntry]) {
        if !managers.is_empty() {
            self.managers.send_modify(|known| {
                let current = known[0];
                *known = managers.iter().map(|m| m.device).collect();
                if let Some(at) = known.iter().position(|a| *a == current) {
                    known.rotate_left(at);
                }
            });
        }
    }

    /// Waits until another manager than the one at `address` is asked.
    pub(crate) async fn turned_from(&self, address: SocketAddr) {
        // An error means that the client is gone, and whoever waits with it.
        let _ = self.managers.subscribe().wait_for(|known| known[0] != address).await;
    }

    /// The manager that is asked now.
    pub(crate) fn asked(&self) -> SocketAddr {
        self.managers.borrow()[0]
    }

    /// Takes a term that a configuration names; whether it is as high as any heard before. 0 says nothing. Blocks on the disk when it
    /// is a new one.
    pub(crate) fn hears(&self, term: u64) -> bool {
        if term > 0
            && let Some(kept) = &self.kept
        {
            kept.keep(term);
        }
        term == 0 || self.heard.fetch_max(term, Ordering::Relaxed) <= term
    }

    /// The same for an answer: what is obeyed from then on is on disk before.
    async fn hears_answer(&self, term: u64) -> bool {
        if term > self.heard.load(Ordering::Relaxed)
            && let Some(kept) = self.kept.clone()
        {
            // A failure is logged where it comes from.
            let _ = tokio::task::spawn_blocking(move || kept.keep(term)).await;
        }
        term == 0 || self.heard.fetch_max(term, Ordering::Relaxed) <= term
    }

    /// Passes over an answer of a lower term, and its manager with it.
    async fn of_highest<T>(&self, address: SocketAddr, term: u64, answer: T) -> Result<T, ClientError> {
        if self.hears_answer(term).await {
            return Ok(answer);
        }
        self.fail_over(address);
        Err(ClientError::Overtaken { address, term, heard: self.heard.load(Ordering::Relaxed) })
    }

    /// Moves on to the next manager: this one is out of reach, fails, or is not the primary. A refusal of one request
    /// says nothing against the manager.
    fn fail_over(&self, from: SocketAddr) {
        self.managers.send_if_modified(|known| {
            let turns = known[0] == from && known.len() > 1;
            known.rotate_left(usize::from(turns));
            turns
        });
    }

    /// Reports to the managers this device does not ask. One that answers for a term as high as any heard is the primary: it is asked
    /// from now on. One that was primary hears the higher term so. The others refuse, which is no news.
    pub(crate) async fn knock(&self, report: &Report) {
        let others: Vec<SocketAddr> = self.managers.borrow().iter().skip(1).copied().collect();
        for address in others {
            let url = format!("https://{address}{}", paths::REPORT);
            let Ok(response) = self.http.post(url).timeout(KNOCK_TIMEOUT).json(report).send().await else { continue };
            if !response.status().is_success() {
                continue;
            }
            let Ok(answer) = response.json::<ReportAnswer>().await else { continue };
            let term = answer.hello.stamp.term;
            if term > 0 && self.hears_answer(term).await {
                tracing::info!(%address, term, "another manager is the primary");
                self.turn_to(address);
                return;
            }
        }
    }

    fn turn_to(&self, address: SocketAddr) {
        self.managers.send_if_modified(|known| match known.iter().position(|a| *a == address) {
            Some(at) if at > 0 => {
                known.rotate_left(at);
                true
            }
            _ => false,
        });
    }

    pub(crate) async fn send(
        &self,
        request: impl FnOnce(&reqwest::Client, String) -> reqwest::RequestBuilder,
        path: &str,
        wait: Duration,
    ) -> Result<(SocketAddr, reqwest::Response), ClientError> {
        let address = self.asked();
        let url = format!("https://{address}{path}");
        match request(&self.http, url).timeout(wait + ANSWER_TIMEOUT).send().await {
            Ok(response) if response.status().is_success() => Ok((address, response)),
            Ok(response) => {
                let turns = response.status().is_server_error() || response.status().as_u16() == MISDIRECTED;
                // Heard to its end first: a turn gives up what waits for this manager, and that would be this very refusal.
                let error = refusal(address, response).await;
                if turns {
                    self.fail_over(address);
                }
                Err(error)
            }
            Err(source) => {
                self.fail_over(address);
                Err(ClientError::Unreachable { address, source })
            }
        }
    }

    /// Reports.
    pub async fn report(&self, report: &Report) -> Result<ReportAnswer, ClientError> {
        let sent = self.send(|http, url| http.post(url).json(report), paths::REPORT, Duration::ZERO).await?;
        let address = sent.0;
        let answer: ReportAnswer = json(sent).await?;
        self.of_highest(address, answer.hello.stamp.term, answer).await
    }

    /// Waits at most `wait` for a configuration newer than `stamp`, another word about the update than the one of revision
    /// `update`, or a question.
    pub async fn poll(&self, stamp: Stamp, update: u64, wait: Duration) -> Result<Poll, ClientError> {
        let Stamp { term, generation } = stamp;
        let path = format!("{}?term={term}&generation={generation}&update={update}&wait_ms={}", paths::CONFIGURATION, wait.as_millis());
        let get = |http: &reqwest::Client, url| http.get(url).header(reqwest::header::ACCEPT_ENCODING, content::ACCEPTED);
        let sent = self.send(get, &path, wait).await?;
        let address = sent.0;
        let poll: Poll = json(sent).await?;
        let term = poll.configuration.as_ref().map_or(poll.term, |configuration| configuration.stamp.term);
        self.of_highest(address, term, poll).await
    }

    /// The newest signed metadata of the network's releases, as `MetadataSet::to_bytes` of `weir_release` writes it; `None` when
    /// the manager has none.
    pub async fn release_metadata(&self, bytes_max: u64) -> Result<Option<Vec<u8>>, ClientError> {
        let (address, mut response) = match self.send(|http, url| http.get(url), paths::RELEASE_METADATA, Duration::ZERO).await {
            Err(ClientError::Refused { status: 404, .. }) => return Ok(None),
            answered => answered?,
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|source| ClientError::Unreachable { address, source })? {
            if (bytes.len() + chunk.len()) as u64 > bytes_max {
                let body = format!("over {bytes_max} bytes of release metadata");
                return Err(ClientError::Refused { address, status: response.status().as_u16(), body });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }

    /// Whether a manager answers at all, with yes or no.
    pub async fn reach(&self) -> Result<(), ClientError> {
        match self.send(|http, url| http.get(url), paths::RELEASE_METADATA, Duration::ZERO).await {
            Ok(_) | Err(ClientError::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Answers a question.
    pub async fn answer(&self, id: u64, answer: &Answer) -> Result<(), ClientError> {
        let path = format!("{}/{id}", paths::ANSWERS);
        self.send(|http, url| http.post(url).json(answer), &path, Duration::ZERO).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_model::Role;

    #[tokio::test]
    async fn a_device_that_starts_anew_obeys_no_lower_term_than_before() {
        let dir = tempfile::tempdir().expect("dir");
        let state = || DeviceState::open(dir.path(), "east-1".parse().expect("name"), Role::Engine).expect("opened");
        let client = || ManagerClient::new(&crate::agent::tests::identity()).expect("client").remembering(&state());
        assert!(client().hears_answer(3).await, "the first it hears");
        let again = client();
        assert!(!again.hears(2) && again.hears(0) && again.hears(3) && again.hears(4));
        assert!(!client().hears_answer(3).await);
        std::fs::write(dir.path().join("state/engine/heard.json"), "{torn").expect("damage");
        assert!(client().hears(1), "lost: the configuration says which");
    }
}
