//! rustls configurations. One provider (aws-lc-rs), installed once by `main`; TLS 1.2 and 1.3.

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::aws_lc_rs,
    server::WebPkiClientVerifier,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use std::sync::Arc;

/// Why a TLS configuration could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM text holds no certificate or key.
    #[error("no {0} in PEM text")]
    Pem(&'static str),
    /// rustls refused it.
    #[error("configure TLS")]
    Rustls(#[from] rustls::Error),
    /// The verifier of client certificates could not be built.
    #[error("configure client certificates")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Whom a server asks for a certificate.
pub enum ClientAuth<'a> {
    /// Nobody.
    None,
    /// Everybody may show one of this CA's; without one the connection stands, unauthenticated.
    Optional {
        /// The CA.
        ca_pem: &'a str,
    },
}

/// Installs the provider for crates that use the process default. Later calls do nothing.
pub fn install_provider() {
    // An error means that it is installed already.
    let _ = aws_lc_rs::default_provider().install_default();
}

/// The first certificate of a PEM text.
pub fn first_certificate(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).next()?.ok()
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|_| TlsError::Pem("certificate"))?;
    if chain.is_empty() { Err(TlsError::Pem("certificate")) } else { Ok(chain) }
}

fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| TlsError::Pem("private key"))
}

fn roots(ca_pem: &str) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(ca_pem)? {
        store.add(certificate)?;
    }
    Ok(Arc::new(store))
}

/// A server's configuration. The chain should end with the CA certificate, so that an enrolling device can pin it.
pub fn server_config(chain_pem: &str, key_pem: &str, client_auth: ClientAuth<'_>, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        ClientAuth::Optional { ca_pem } => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(ca_pem)?, provider).allow_unauthenticated().build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(certificates(chain_pem)?, private_key(key_pem)?)?;
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    Ok(Arc::new(config))
}

/// A client that trusts this CA, and shows its own certificate when it has one: `(chain PEM, key PEM)`.
pub fn client_config(ca_pem: &str, identity: Option<(&str, &str)>) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(ca_pem)?);
    Ok(match identity {
        Some((chain, key)) => builder.with_client_auth_cert(certificates(chain)?, private_key(key)?)?,
        None => builder.with_no_client_auth(),
    })
}

/// A client that trusts exactly the CA whose certificate has this SHA-256 and is part of the server's chain: what an
/// enrolling device has is the fingerprint in its token, and nothing else.
pub fn pinned_client_config(ca_fingerprint: [u8; 32]) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(PinnedCa { fingerprint: ca_fingerprint, provider: provider.clone() });
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

#[derive(Debug)]
struct PinnedCa {
    fingerprint: [u8; 32],
    provider: Arc<rustls::crypto::CryptoProvider>,
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let unknown = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let ca = intermediates.iter().find(|c| crate::identity::fingerprint_of(c) == self.fingerprint).ok_or_else(unknown)?;
        let mut store = RootCertStore::empty();
        store.add(ca.clone().into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), self.provider.clone()).build().map_err(|_| unknown())?;
        verifier.verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Authority, Subject};
    use std::net::IpAddr;
    use tokio::net::{TcpListener, TcpStream};

    async fn handshake(server: Arc<ServerConfig>, client: ClientConfig) -> Result<(), std::io::Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let accept = async {
            let (stream, _) = listener.accept().await.expect("accept");
            let _ = tokio_rustls::TlsAcceptor::from(server).accept(stream).await;
        };
        let connect = async {
            let stream = TcpStream::connect(address).await.expect("connect");
            let name = ServerName::from(address.ip());
            tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, stream).await.map(|_| ())
        };
        tokio::join!(accept, connect).1
    }

    fn server_of(ca: &Authority) -> Arc<ServerConfig> {
        let subject = Subject { device: "manager-1".into(), role: "manager".into() };
        let pair = ca.issue(&subject, &[IpAddr::from([127, 0, 0, 1])], weir_clock::wall()).expect("issue");
        let chain = format!("{}{}", pair.certificate_pem, ca.certificate_pem());
        server_config(&chain, &pair.key_pem, ClientAuth::Optional { ca_pem: ca.certificate_pem() }, &[b"h2"]).expect("config")
    }

    #[tokio::test]
    async fn a_pinned_client_trusts_its_ca_and_no_other() {
        let ca = Authority::create("one", weir_clock::wall()).expect("ca");
        let other = Authority::create("two", weir_clock::wall()).expect("ca");
        assert!(handshake(server_of(&ca), pinned_client_config(ca.fingerprint()).expect("client")).await.is_ok());
        assert!(handshake(server_of(&other), pinned_client_config(ca.fingerprint()).expect("client")).await.is_err());
    }

    #[tokio::test]
    async fn a_client_of_another_network_trusts_nothing_here() {
        let ca = Authority::create("one", weir_clock::wall()).expect("ca");
        let other = Authority::create("two", weir_clock::wall()).expect("ca");
        assert!(handshake(server_of(&ca), client_config(ca.certificate_pem(), None).expect("client")).await.is_ok());
        assert!(handshake(server_of(&ca), client_config(other.certificate_pem(), None).expect("client")).await.is_err());
    }
}
