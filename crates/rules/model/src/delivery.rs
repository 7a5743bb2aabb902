//! The system delivery service, which carries release archives to devices: its name, its domain and what is at its paths.
//!
//! No document lists it and no router knows it: every engine adds it to the services of its own document. So it is the same in
//! every generation, and a device of a line without it answers that it does not know the domain.

use crate::{DeliveryService, DeviceName, Domain, ServiceName, service::CachePolicy};

/// Its name, which no operator's service has.
pub const SERVICE: &str = "weir-software";
/// Its domain, which no operator's service has; nor has any a name below it.
pub const DOMAIN: &str = "software.weir.internal";
/// What the path of an archive ends with.
const SUFFIX: &str = ".weir";
/// Hexadecimal digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

/// The service as these engines carry it. Its origin is a name nobody asks for: archives come from the managers.
///
/// Name, origin and caching rules begin the keys archives are stored under, in every line: they stay as they are.
pub fn service(engines: Vec<DeviceName>) -> DeliveryService {
    DeliveryService {
        name: SERVICE.parse().expect("a name"),
        domain: DOMAIN.parse().expect("a domain"),
        origin: format!("http://{DOMAIN}").parse().expect("a URL"),
        engines,
        caching: CachePolicy { ignore_query: true, ..CachePolicy::default() },
        #[cfg(feature = "synthetic-next")]
        detail: None,
    }
}

/// Whether a service may not be called so.
pub fn is_reserved_name(name: &ServiceName) -> bool {
    name.as_str() == SERVICE
}

/// Whether a service may not be published so: the system service's domain, and what is below it.
pub fn is_reserved_domain(domain: &Domain) -> bool {
    domain.as_str().strip_suffix(DOMAIN).is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

/// Where the archive with this SHA-256 (64 lower-case hexadecimal digits) is.
pub fn archive_path(sha256: &str) -> String {
    format!("/{sha256}{SUFFIX}")
}

/// The SHA-256 of the archive at a content path, 64 lower-case hexadecimal digits; nothing is at any other path.
pub fn archive_at(path: &str) -> Option<&str> {
    let sha256 = path.strip_prefix('/')?.strip_suffix(SUFFIX)?;
    is_sha256(sha256).then_some(sha256)
}

/// Whether a text is a SHA-256 as it is written here: 64 lower-case hexadecimal digits.
pub fn is_sha256(text: &str) -> bool {
    text.len() == SHA256_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_at_its_path_and_at_no_other() {
        let sha256 = "0123456789abcdef".repeat(4);
        assert_eq!(archive_at(&archive_path(&sha256)), Some(sha256.as_str()));
        let upper = sha256.to_uppercase();
        for path in [
            "/".to_owned(),
            "/.weir".to_owned(),
            sha256.clone(),
            format!("/{sha256}"),
            format!("/{sha256}.weir/"),
            format!("//{sha256}.weir"),
            format!("/a/{sha256}.weir"),
            format!("/{upper}.weir"),
            format!("/{}.weir", &sha256[1..]),
            format!("/{}g.weir", &sha256[1..]),
        ] {
            assert_eq!(archive_at(&path), None, "{path}");
        }
    }

    #[test]
    fn its_name_and_all_below_its_domain_are_reserved() {
        let service = service(Vec::new());
        assert!(is_reserved_name(&service.name) && is_reserved_domain(&service.domain));
        for (domain, reserved) in [
            ("x.software.weir.internal", true),
            ("se.software.weir.internal", true),
            ("xsoftware.weir.internal", false),
            ("weir.internal", false),
            ("software.weir.internal.example.com", false),
        ] {
            assert_eq!(is_reserved_domain(&domain.parse().expect("a domain")), reserved, "{domain}");
        }
        assert!(!is_reserved_name(&"weir-software-2".parse().expect("a name")));
    }
}
