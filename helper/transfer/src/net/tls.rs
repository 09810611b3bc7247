//! TLS 1.3 with certificates made for one run: each helper makes its own at start, tells its SHA-256 fingerprint over
//! its control line, and accepts exactly the fingerprint it was told. No names, no authorities, no expiry to get wrong;
//! the handshake's signature is still checked, so a copied certificate without its key is refused.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use ::ring::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, ServerConfig,
    ServerConnection, SignatureScheme,
};

use crate::error::{FailureKind, HelperError, Result};

/// Plaintext TLS may hold back on its way out, in bytes: one whole batch of frames.
const HELD_BACK: usize = 640 * 1024;
/// Read from the socket at once: several records, where rustls alone would read one.
const READ_AHEAD: usize = 128 * 1024;
/// The certificates' only name; no one looks at it.
const NAME: &str = "ferry";

/// This process's key and certificate.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    fingerprint: String,
}

impl Identity {
    /// # Errors
    /// `link/identity` when no key could be made.
    pub fn generate() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).map_err(|error| {
            HelperError::of(FailureKind::Link, "link/identity", format!("cannot make a certificate: {error}"))
        })?;
        let certificate = made.cert.der().clone();
        let fingerprint = fingerprint(&certificate);
        Ok(Self { certificate, key: made.key_pair.serialize_der(), fingerprint })
    }

    /// SHA-256 of the certificate, lower-case hex.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn key(&self) -> rustls::pki_types::PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// The source's end of a connection to the helper with this fingerprint.
    pub fn source(&self, peer: &str) -> Result<ClientConnection> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(fail)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned::new(peer)?))
            .with_client_auth_cert(vec![self.certificate.clone()], self.key())
            .map_err(fail)?;
        config.resumption = rustls::client::Resumption::disabled();
        let name = ServerName::try_from(NAME)
            .map_err(|error| HelperError::of(FailureKind::Link, "link/identity", error.to_string()))?;
        let mut connection = ClientConnection::new(Arc::new(config), name).map_err(fail)?;
        connection.set_buffer_limit(Some(HELD_BACK));
        Ok(connection)
    }

    /// The destination's end.
    pub fn destination(&self, peer: &str) -> Result<ServerConnection> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(fail)?
            .with_client_cert_verifier(Arc::new(Pinned::new(peer)?))
            .with_single_cert(vec![self.certificate.clone()], self.key())
            .map_err(fail)?;
        config.send_tls13_tickets = 0;
        let mut connection = ServerConnection::new(Arc::new(config)).map_err(fail)?;
        connection.set_buffer_limit(Some(HELD_BACK));
        Ok(connection)
    }
}

fn fail(error: rustls::Error) -> HelperError {
    HelperError::of(FailureKind::Link, "link/identity", format!("TLS cannot be set up: {error}"))
}

/// AES-128-GCM alone: every CPU that has VFIO has it in hardware, and it is twice as fast as the rest.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { cipher_suites: vec![TLS13_AES_128_GCM_SHA256], ..ring::default_provider() })
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    sha256(certificate)
}

/// SHA-256, lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, bytes);
    hash.as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Accepts one certificate, from any peer, if the handshake proves the key.
#[derive(Debug)]
struct Pinned {
    fingerprint: String,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn new(fingerprint: &str) -> Result<Self> {
        if fingerprint.len() != 64 || !fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(HelperError::new("request/bad-params", "the peer's fingerprint is not 64 hex digits"));
        }
        Ok(Self { fingerprint: fingerprint.to_ascii_lowercase(), provider: provider() })
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> std::result::Result<(), rustls::Error> {
        if fingerprint(certificate) == self.fingerprint {
            return Ok(());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> std::result::Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The socket under TLS, read in large pieces. Writes pass through, gathered.
pub struct ReadAhead {
    tcp: TcpStream,
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
    /// Bytes that went through in either direction.
    moved: u64,
}

impl ReadAhead {
    pub fn new(tcp: TcpStream) -> Self {
        Self { tcp, buffer: vec![0; READ_AHEAD].into_boxed_slice(), from: 0, to: 0, moved: 0 }
    }

    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Changes whenever bytes came or left.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    fn left(&mut self, written: std::io::Result<usize>) -> std::io::Result<usize> {
        self.moved += written.as_ref().map_or(0, |count| *count as u64);
        written
    }

    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }
}

impl Read for ReadAhead {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.is_empty() {
            self.from = 0;
            self.to = 0;
            self.to = self.tcp.read(&mut self.buffer)?;
            self.moved += self.to as u64;
        }
        let count = into.len().min(self.to - self.from);
        into[..count].copy_from_slice(&self.buffer[self.from..self.from + count]);
        self.from += count;
        Ok(count)
    }
}

impl Write for ReadAhead {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.tcp.write(bytes);
        self.left(written)
    }

    fn write_vectored(&mut self, parts: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
        let written = self.tcp.write_vectored(parts);
        self.left(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
