//! TLS to a database, checked as far as `sslmode` says.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::keys::Host;

/// The largest file with certificates, in bytes.
const MAX_PEM: usize = 4 * 1024 * 1024;

/// What of a server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Nothing: `sslmode=require`, the default. It hides what is sent from whoever only listens.
    Nothing,
    /// Who has signed it: `verify-ca`.
    Authority,
    /// That, and for which name: `verify-full`.
    Name,
}

/// Returns what connects by TLS. The authorities are those of `root`, else the system's.
pub(super) fn connector(
    host: &dyn Host,
    check: Check,
    root: Option<&Path>,
    client: Option<(&Path, &Path)>,
) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let authorities = match check {
        Check::Nothing => None,
        Check::Authority | Check::Name => {
            let roots = Arc::new(roots(host, root)?);
            let checked = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|error| error.to_string())?;
            Some(checked)
        }
    };
    let verifier = Arc::new(Verifier { check, authorities, provider });
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(host, "sslcert", certificate)?;
            let wrong = |_| format!("`sslkey`: `{}` holds no private key", key.display());
            let key = PrivateKeyDer::from_pem_slice(&read(host, "sslkey", key)?).map_err(wrong)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("`sslcert`: {error}"))?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn roots(host: &dyn Host, file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let all = match file {
        Some(path) => certificates(host, "sslrootcert", path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    if roots.add_parsable_certificates(all).0 == 0 {
        return Err(match file {
            Some(path) => {
                format!("`sslrootcert`: `{}` holds no usable certificate", path.display())
            }
            None => "the system trusts no authority: name one in `sslrootcert`".to_owned(),
        });
    }
    Ok(roots)
}

fn certificates(
    host: &dyn Host,
    name: &str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(host, name, path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(format!("`{name}`: `{}` holds no certificate", path.display())),
    }
}

fn read(host: &dyn Host, name: &str, path: &Path) -> Result<crate::secret::SecretBytes, String> {
    host.read_file(path, MAX_PEM)
        .map_err(|error| format!("`{name}`: `{}` cannot be read: {error}", path.display()))
}

/// Checks as much as `sslmode` says, and always that the server has the key of its certificate.
#[derive(Debug)]
struct Verifier {
    check: Check,
    /// `None` if nothing is checked.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        match authorities.verify_server_cert(certificate, chain, name, ocsp, now) {
            // The name is looked at last: everything else is right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Authority => Ok(ServerCertVerified::assertion()),
            answer => answer,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
