//! The network's certificate authority, and the certificates it gives to devices.
//!
//! A device's certificate says who it is in its subject: CN is the device's name, OU its role. Keys are ECDSA P-256;
//! the private key of a device never leaves it (it sends a PKCS#10 request).

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair as Key, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use sha2::{Digest, Sha256};
use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};
use x509_parser::prelude::{FromDer, X509Certificate};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a device certificate is valid.
pub const DEVICE_CERTIFICATE_VALIDITY: Duration = DAY.saturating_mul(365);
/// How long the network's CA certificate is valid.
pub const CA_CERTIFICATE_VALIDITY: Duration = DAY.saturating_mul(3650);
/// How far not-before lies in the past, so that a device whose clock is behind accepts a new certificate.
pub const NOT_BEFORE_BACKDATE: Duration = DAY.saturating_mul(2);

/// Why a certificate or request could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Key or certificate generation failed.
    #[error("make certificate")]
    Make(#[source] rcgen::Error),
    /// A PEM text that is not what it should be.
    #[error("read {what}")]
    Read {
        /// Which text.
        what: &'static str,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// A certificate without our subject.
    #[error("certificate names no device and role")]
    Subject,
}

/// Who a certificate belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Device name (CN).
    pub device: String,
    /// Role (OU).
    pub role: String,
}

/// A certificate and its private key, PEM.
pub struct KeyPair {
    /// The certificate.
    pub certificate_pem: String,
    /// PKCS#8.
    pub key_pem: String,
}

/// The network's CA.
pub struct Authority {
    certificate_pem: String,
    fingerprint: [u8; 32],
    issuer: Issuer<'static, Key>,
}

fn subject_name(subject: &Subject) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, subject.device.as_str());
    name.push(DnType::OrganizationalUnitName, subject.role.as_str());
    name
}

fn random_serial() -> Result<SerialNumber, IdentityError> {
    let mut bytes = [0u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| IdentityError::Make(rcgen::Error::RemoteKeyError))?;
    bytes[0] &= 0x7f;
    Ok(SerialNumber::from_slice(&bytes))
}

impl Authority {
    /// A new CA with a new key.
    pub fn create(network_name: &str, now: SystemTime) -> Result<Self, IdentityError> {
        let key = Key::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(IdentityError::Make)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Weir network {network_name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = (now - NOT_BEFORE_BACKDATE).into();
        params.not_after = (now + CA_CERTIFICATE_VALIDITY).into();
        params.serial_number = Some(random_serial()?);
        let certificate = params.self_signed(&key).map_err(IdentityError::Make)?;
        Self::load(&certificate.pem(), &key.serialize_pem())
    }

    /// A CA made earlier.
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, IdentityError> {
        let key = Key::from_pem(key_pem).map_err(|source| IdentityError::Read { what: "CA key", source })?;
        let read = |source| IdentityError::Read { what: "CA certificate", source };
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, key).map_err(read)?;
        let der = crate::tls::first_certificate(certificate_pem).ok_or(read(rcgen::Error::CouldNotParseCertificate))?;
        Ok(Self { certificate_pem: certificate_pem.to_owned(), fingerprint: fingerprint_of(&der), issuer })
    }

    /// The CA certificate.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The CA's private key; for the manager's own 0600 file and nothing else.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// SHA-256 of the CA certificate (DER): what an enrolment token carries.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Signs a device's request: its public key is taken, its wishes are not.
    pub fn sign_request(&self, csr_pem: &str, subject: &Subject, addresses: &[IpAddr], now: SystemTime) -> Result<String, IdentityError> {
        let request = CertificateSigningRequestParams::from_pem(csr_pem)
            .map_err(|source| IdentityError::Read { what: "certificate request", source })?;
        let params = device_params(subject, addresses, now)?;
        Ok(params.signed_by(&request.public_key, &self.issuer).map_err(IdentityError::Make)?.pem())
    }

    /// A certificate with a new key, for the manager itself.
    pub fn issue(&self, subject: &Subject, addresses: &[IpAddr], now: SystemTime) -> Result<KeyPair, IdentityError> {
        let key = Key::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(IdentityError::Make)?;
        let certificate = device_params(subject, addresses, now)?.signed_by(&key, &self.issuer).map_err(IdentityError::Make)?;
        Ok(KeyPair { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

fn device_params(subject: &Subject, addresses: &[IpAddr], now: SystemTime) -> Result<CertificateParams, IdentityError> {
    let mut params = CertificateParams::new(vec![subject.device.clone()]).map_err(IdentityError::Make)?;
    params.subject_alt_names.extend(addresses.iter().map(|a| SanType::IpAddress(*a)));
    params.distinguished_name = subject_name(subject);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = (now - NOT_BEFORE_BACKDATE).into();
    params.not_after = (now + DEVICE_CERTIFICATE_VALIDITY).into();
    params.serial_number = Some(random_serial()?);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// A device's side of enrolment: a new private key and the request for it.
pub struct CertificateRequest {
    /// PKCS#10, PEM.
    pub request_pem: String,
    /// PKCS#8, PEM; stays on the device.
    pub key_pem: String,
}

impl CertificateRequest {
    /// With a new key.
    pub fn create(subject: &Subject) -> Result<Self, IdentityError> {
        let key = Key::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(IdentityError::Make)?;
        Self::for_key(subject, &key)
    }

    /// With the key the device already has, so that a repeated enrolment keeps its identity.
    pub fn with_key(subject: &Subject, key_pem: &str) -> Result<Self, IdentityError> {
        let key = Key::from_pem(key_pem).map_err(|source| IdentityError::Read { what: "device key", source })?;
        Self::for_key(subject, &key)
    }

    fn for_key(subject: &Subject, key: &Key) -> Result<Self, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject_name(subject);
        let request = params.serialize_request(key).and_then(|r| r.pem()).map_err(IdentityError::Make)?;
        Ok(Self { request_pem: request, key_pem: key.serialize_pem() })
    }
}

/// The public key of a request, as DER (SubjectPublicKeyInfo's key bits): the same key is the same device.
pub fn public_key_of_request(csr_pem: &str) -> Result<Vec<u8>, IdentityError> {
    use rcgen::PublicKeyData;
    let request =
        CertificateSigningRequestParams::from_pem(csr_pem).map_err(|source| IdentityError::Read { what: "certificate request", source })?;
    Ok(request.public_key.der_bytes().to_vec())
}

/// Who a certificate (DER) belongs to. Says nothing of whether it is valid: TLS has checked that.
pub fn subject_of(der: &[u8]) -> Result<Subject, IdentityError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityError::Subject)?;
    let name = certificate.subject();
    let device = name.iter_common_name().next().and_then(|a| a.as_str().ok());
    let role = name.iter_organizational_unit().next().and_then(|a| a.as_str().ok());
    match (device, role) {
        (Some(device), Some(role)) => Ok(Subject { device: device.to_owned(), role: role.to_owned() }),
        _ => Err(IdentityError::Subject),
    }
}

/// SHA-256 of a certificate (DER).
pub fn fingerprint_of(der: &[u8]) -> [u8; 32] {
    Sha256::digest(der).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::first_certificate;

    fn subject(device: &str) -> Subject {
        Subject { device: device.into(), role: "engine".into() }
    }

    #[test]
    fn a_signed_request_names_the_subject_the_manager_chose() {
        let now = weir_clock::wall();
        let ca = Authority::create("test", now).expect("ca");
        let request = CertificateRequest::create(&subject("liar")).expect("request");
        let pem = ca.sign_request(&request.request_pem, &subject("east-1"), &[IpAddr::from([127, 0, 0, 1])], now).expect("signed");
        let der = first_certificate(&pem).expect("pem");
        assert_eq!(subject_of(&der).expect("subject"), subject("east-1"));
    }

    #[test]
    fn a_reloaded_ca_is_the_same() {
        let ca = Authority::create("test", weir_clock::wall()).expect("ca");
        let again = Authority::load(ca.certificate_pem(), &ca.key_pem()).expect("load");
        assert_eq!(ca.fingerprint(), again.fingerprint());
    }

    #[test]
    fn a_tampered_request_is_refused() {
        let ca = Authority::create("test", weir_clock::wall()).expect("ca");
        let request = CertificateRequest::create(&subject("east-1")).expect("request").request_pem;
        let mut lines: Vec<String> = request.lines().map(str::to_owned).collect();
        let signature = lines.len() - 2;
        let swapped: String = lines[signature].chars().map(|c| if c == 'A' { 'B' } else { 'A' }).collect();
        lines[signature] = swapped;
        for broken in [lines.join("\n"), request[..request.len() / 2].to_owned(), String::new()] {
            assert!(ca.sign_request(&broken, &subject("east-1"), &[], weir_clock::wall()).is_err());
        }
    }
}
