//! TLS for deliveries: the certificates that are trusted, and this client's own. Files are read for each connection, so
//! that a renewed certificate counts at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::config::Tls;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// A file is not what it should be.
    #[error("cannot read {path}")]
    File { path: PathBuf, source: pem::Error },
    /// The system trusts no certificate.
    #[error("the system has no certificates to trust{0}; name some as tls.ca_file")]
    NothingTrusted(String),
    /// The certificates do not fit.
    #[error("the certificates cannot be used")]
    Rustls(#[from] rustls::Error),
}

/// Reads the files and makes a connector.
pub(super) fn connector(tls: &Tls) -> Result<TlsConnector, TlsError> {
    let mut roots = RootCertStore::empty();
    match &tls.ca_file {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
        }
        None => {
            let native = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(native.certs);
            if roots.is_empty() {
                let why = native.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
                return Err(TlsError::NothingTrusted(why));
            }
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots);
    let config = match (&tls.cert_file, &tls.key_file) {
        (Some(certificate), Some(key)) => builder.with_client_auth_cert(certificates(certificate)?, private_key(key)?)?,
        _ => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |source| TlsError::File { path: path.to_owned(), source };
    let read: Vec<_> = CertificateDer::pem_file_iter(path).map_err(fault)?.collect::<Result<_, _>>().map_err(fault)?;
    if read.is_empty() { Err(fault(pem::Error::NoItemsFound)) } else { Ok(read) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}
