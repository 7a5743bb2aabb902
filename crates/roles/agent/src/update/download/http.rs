//! One transfer from an engine or a manager, from where the file ends.

use super::{Broken, Fetch, partial::Partial, source::Source};
use crate::{
    client::{CONNECT_TIMEOUT, ClientError, http_client},
    device_state::Identity,
};
use reqwest::{Client, Response, StatusCode, header, redirect};
use std::{
    net::{IpAddr, UdpSocket},
    time::Duration,
};
use weir_fetch::Pace;

/// How long a source may take to its response's head: an engine asks engines above it, and in the end a manager.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(20);
/// Bytes written at once, except the last.
const WRITE_BYTES: usize = 1 << 20;

/// How engines and managers are spoken to.
pub(super) struct Clients {
    /// Plain HTTP/1.1, from the address the device is known by.
    pub(super) engines: Client,
    /// HTTP/2 with this device's certificate.
    pub(super) managers: Client,
}

impl Clients {
    /// Those of a device that others know by `own`.
    pub(super) fn new(identity: &Identity, own: Option<IpAddr>) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Unreachable { address: identity.manager, source };
        let tls = weir_net::tls::client_config(&identity.ca, Some((&identity.certificate, &identity.key)))?;
        let managers = http_client(tls).map_err(failed)?;
        // Behind address translation the address others know is not one of this machine.
        let own = own.filter(|own| UdpSocket::bind((*own, 0)).is_ok());
        let engines = Client::builder()
            .tls_backend_preconfigured(weir_net::tls::client_config(&identity.ca, None)?)
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .local_address(own)
            .build()
            .map_err(failed)?;
        Ok(Self { engines, managers })
    }
}

impl Fetch<'_> {
    /// What is missing, from `url`. What came before a break is kept.
    pub(super) async fn over(&self, client: &Client, url: &str, (source, partial): (&Source, &mut Partial)) -> Result<(), Broken> {
        let from = partial.length();
        let mut request = client.get(url);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let response = match tokio::time::timeout(self.head, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Broken::Passing(told(error))),
            Err(_) => return Err(Broken::Passing(format!("no answer within {} s", self.head.as_secs()))),
        };
        let begins = begins(&response, from)?;
        if let Some(length) = response.content_length().filter(|length| begins + length != self.place.bytes) {
            let whole = begins + length;
            return Err(Broken::ForGood(format!("its archive has {whole} bytes, and not {}", self.place.bytes)));
        }
        partial.cut(begins).await?;
        self.body(response, source, partial).await
    }

    async fn body(&self, mut response: Response, source: &Source, partial: &mut Partial) -> Result<(), Broken> {
        let (mut gathered, mut pace) = (Vec::new(), Pace::new(&self.limits));
        let ended = loop {
            let before = weir_clock::monotonic();
            let next = tokio::time::timeout(pace.patience(), response.chunk()).await;
            let waited = weir_clock::monotonic().duration_since(before);
            let piece = match next {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => break Ok(()),
                Ok(Err(error)) => break Err(Broken::Passing(told(error))),
                Err(_) => bytes::Bytes::new(),
            };
            let there = partial.length() + gathered.len() as u64 + piece.len() as u64;
            if there > self.place.bytes {
                break Err(Broken::ForGood(format!("more than {} bytes came", self.place.bytes)));
            }
            gathered.extend_from_slice(&piece);
            if gathered.len() >= WRITE_BYTES {
                partial.append(std::mem::take(&mut gathered)).await?;
                self.tell(partial.length(), Some(source));
            }
            if let Err(failure) = pace.wait(waited, piece.len() as u64) {
                break Err(Broken::Passing(failure.to_string()));
            }
            let pause = self.pause(piece.len() as u64);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        };
        if !gathered.is_empty() {
            partial.append(gathered).await?;
            self.tell(partial.length(), Some(source));
        }
        ended
    }
}

/// The byte an answer begins with, when it is one.
fn begins(response: &Response, from: u64) -> Result<u64, Broken> {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let first = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')).and_then(|(first, _)| first.parse().ok());
    match response.status() {
        StatusCode::OK => Ok(0),
        StatusCode::PARTIAL_CONTENT if from > 0 && first == Some(from) => Ok(from),
        StatusCode::PARTIAL_CONTENT => Err(Broken::Passing("another range than the one asked for".into())),
        StatusCode::MISDIRECTED_REQUEST => Err(Broken::Elsewhere("answered 421: another one has it".into())),
        status => {
            let reason = response.headers().get("weir-reason").and_then(|reason| reason.to_str().ok());
            Err(Broken::Passing(format!("answered {}{}", status.as_u16(), reason.map(|r| format!(" {r}")).unwrap_or_default())))
        }
    }
}

/// Without its URL, which says nothing the source's name does not.
fn told(error: reqwest::Error) -> String {
    weir_telemetry::Chain(&error.without_url()).to_string()
}
