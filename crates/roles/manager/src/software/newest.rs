//! The newest signed metadata, as the software files are judged by it.

use super::{outcome::ListedImages, shelf::Shelf};
use std::path::Path;
use weir_model::Lineage;
use weir_release::{TrustError, TrustStore};
use weir_telemetry::Chain;

/// The newest signed metadata.
#[derive(Debug)]
pub(super) struct Newest {
    /// Root and timestamp: of two of one trust store the higher is the newer.
    pub(super) version: (u64, u64),
    pub(super) images: ListedImages,
    pub(super) lineage: Lineage,
}

/// The newest signed metadata of a trust store; `None` before the first was loaded.
pub(super) fn read(trust: &Path) -> Result<Option<Newest>, TrustError> {
    let store = TrustStore::open(trust)?;
    // What is stored holds, or this says how not; what comes in after it was verified before it was stored.
    store.listing()?;
    let Some(set) = store.metadata()? else { return Ok(None) };
    let claims = set.claims()?;
    Ok(Some(Newest {
        version: (claims.root, claims.timestamp),
        images: claims.listing.images.into_iter().map(|(name, listed)| (name, listed.sha256.to_string())).collect(),
        lineage: claims.listing.lineage,
    }))
}

/// Has the shelf judge by what is trusted now. Blocks on files and signatures.
pub(super) fn learn(shelf: &Shelf) {
    match read(&shelf.trust) {
        Ok(Some(newest)) => shelf.learn(newest),
        Ok(None) | Err(TrustError::NotPinned(_)) => {}
        Err(error) => {
            tracing::error!(error = %Chain(&error), "the release trust store cannot be read; software files cannot be verified");
        }
    }
}
