//! The standby's HTTP/2 client to the primary's device API: mutual TLS, one address at a time.

use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, net::SocketAddr, time::Duration};
use tokio::time::timeout;
use weir_net::tls::client_config;
use weir_operator_api::Problem;
use weir_telemetry::Chain;

/// Patience for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Patience for an answer, beyond what was asked to wait, and for each part of one.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Patience for a yield: the primary waits for what this box lacks, and counts its rows.
pub(super) const YIELD_PATIENCE: Duration = Duration::from_secs(30);

/// Largest answer that is taken, in bytes; a changeset that does not fit into one comes with a snapshot.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Answered {
    /// It cannot be reached, or does not speak.
    Not(reqwest::Error),
    /// It refuses.
    Refused(Box<Problem>),
    /// Its answer began, and did not come to its end.
    Cut,
    /// It answers with something else.
    Strange(u16),
    /// This box has no certificate that can be used.
    NoIdentity,
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answered::Not(error) => write!(f, "{}", Chain(error)),
            Answered::Refused(problem) => write!(f, "{problem}"),
            Answered::Cut => f.write_str("its answer was cut off"),
            Answered::Strange(status) => write!(f, "it answered {status} without a reason"),
            Answered::NoIdentity => f.write_str("this box has no certificate that can be used"),
        }
    }
}

impl From<reqwest::Error> for Answered {
    fn from(error: reqwest::Error) -> Self {
        Answered::Not(error)
    }
}

/// The client.
pub(super) struct Client(Option<reqwest::Client>);

impl Client {
    /// With an identity that cannot be used it is one that reaches nobody.
    pub(super) fn new(ca_pem: &str, certificate_pem: &str, key_pem: &str) -> Self {
        let tls = client_config(ca_pem, Some((certificate_pem, key_pem)));
        let tls = tls.inspect_err(|error| tracing::error!(error = %Chain(error), "this box's certificate cannot be used"));
        let made = tls.ok().and_then(|mut tls| {
            tls.alpn_protocols = vec![b"h2".to_vec()];
            let client = reqwest::Client::builder()
                .tls_backend_preconfigured(tls)
                .http2_prior_knowledge()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .build();
            client.inspect_err(|error| tracing::error!(error = %Chain(error), "no client can be made")).ok()
        });
        Self(made)
    }

    fn http(&self) -> Result<&reqwest::Client, Answered> {
        self.0.as_ref().ok_or(Answered::NoIdentity)
    }

    /// POST with an answer that begins within `patience`, and goes on within [`ANSWER_TIMEOUT`] each time: a large one may take long.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        to: SocketAddr,
        path: &str,
        body: &impl Serialize,
        patience: Duration,
    ) -> Result<T, Answered> {
        let sent = timeout(patience, self.http()?.post(format!("https://{to}{path}")).json(body).send()).await;
        let response = answered(sent.map_err(|_| Answered::Strange(504))??).await?;
        let bytes = whole(response).await?;
        serde_json::from_slice(&bytes).map_err(|_| Answered::Cut)
    }

    /// GET of something large, from a byte on; the caller bounds the time between its chunks.
    pub(super) async fn get(&self, from: SocketAddr, path: &str, begin: u64) -> Result<reqwest::Response, Answered> {
        let mut request = self.http()?.get(format!("https://{from}{path}"));
        if begin > 0 {
            request = request.header("range", format!("bytes={begin}-"));
        }
        let sent = timeout(YIELD_PATIENCE, request.send()).await;
        answered(sent.map_err(|_| Answered::Strange(504))??).await
    }
}

/// An answer's body, as it comes.
async fn whole(mut response: reqwest::Response) -> Result<Vec<u8>, Answered> {
    let mut bytes = Vec::new();
    loop {
        let Ok(Ok(chunk)) = timeout(ANSWER_TIMEOUT, response.chunk()).await else { return Err(Answered::Cut) };
        let Some(chunk) = chunk else { return Ok(bytes) };
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Answered::Cut);
        }
        bytes.extend_from_slice(&chunk);
    }
}

async fn answered(response: reqwest::Response) -> Result<reqwest::Response, Answered> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let problem = whole(response).await.ok().and_then(|bytes| serde_json::from_slice::<Problem>(&bytes).ok());
    Err(problem.map_or(Answered::Strange(status), |problem| Answered::Refused(Box::new(problem))))
}
