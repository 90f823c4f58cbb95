//! Kerberos logins (SASL mechanism `GSSAPI`) for `amqp091-client`.
//!
//! ```no_run
//! use amqp091_client::{ConnectOptions, Mechanism};
//! use amqp091_gssapi::Gssapi;
//!
//! // The ticket of `kinit`, for the service amqp@broker.example.
//! let options = ConnectOptions::default()
//!     .host("broker.example")
//!     .mechanisms([Gssapi::new().into_mechanism(), Mechanism::Plain]);
//! ```
//!
//! Whether host names are canonicalised by DNS before they become part of the service's name is up to
//! `krb5.conf` (`dns_canonicalize_hostname`, `rdns`). Building takes the library's headers and libclang:
//! on Debian `libkrb5-dev` and `libclang-dev`.
//!
//! Getting the service's ticket may ask the key distribution centre over the network, and blocks the
//! connection's task meanwhile: use a runtime of several threads where other tasks must go on.

use std::fmt;

use amqp091_client::{Login, Mechanism, Sasl, SaslError, SaslExchange};
use libgssapi::context::{ClientCtx, CtxFlags};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE, OidSet};

/// A login by the Kerberos ticket that the user or the process has.
#[derive(Clone, Debug)]
pub struct Gssapi {
    service: String,
    host: Option<String>,
}

impl Default for Gssapi {
    fn default() -> Self {
        Self { service: "amqp".to_owned(), host: None }
    }
}

impl Gssapi {
    /// For the service `amqp` of the host that is connected to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another service than `amqp`.
    #[must_use]
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = name.into();
        self
    }

    /// Another host than the one that is connected to: behind a tunnel or a load balancer.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.host = Some(name.into());
        self
    }

    /// Whether there is a ticket to log in with. Without, offer the server another mechanism: one that
    /// fails ends the attempt to connect.
    pub fn is_available(&self) -> bool {
        credential().is_ok()
    }

    /// For [`ConnectOptions::mechanisms`](amqp091_client::ConnectOptions::mechanisms).
    pub fn into_mechanism(self) -> Mechanism {
        Mechanism::custom(self)
    }

    fn context(&self, host: &str) -> Result<ClientCtx, libgssapi::error::Error> {
        let host = self.host.as_deref().unwrap_or(host);
        let target = format!("{}@{host}", self.service);
        let target = Name::new(target.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE))?;
        let flags = CtxFlags::GSS_C_MUTUAL_FLAG;
        Ok(ClientCtx::new(Some(credential()?), target, flags, Some(GSS_MECH_KRB5)))
    }
}

fn credential() -> Result<Cred, libgssapi::error::Error> {
    let mechanisms = OidSet::singleton(GSS_MECH_KRB5)?;
    Cred::acquire(None, None, CredUsage::Initiate, Some(&mechanisms))
}

impl Sasl for Gssapi {
    fn name(&self) -> &str {
        "GSSAPI"
    }

    fn begin(&self, login: &Login<'_>) -> Box<dyn SaslExchange> {
        // An error is told when the first response is asked for.
        Box::new(Exchange(self.context(login.host)))
    }
}

struct Exchange(Result<ClientCtx, libgssapi::error::Error>);

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GSSAPI")
    }
}

impl SaslExchange for Exchange {
    fn respond(&mut self, challenge: Option<&[u8]>) -> Result<Vec<u8>, SaslError> {
        let context = self.0.as_mut().map_err(|error| *error)?;
        let token = context.step(challenge, None)?;
        // The last step of mutual authentication has nothing to say.
        Ok(token.map(|token| token.to_vec()).unwrap_or_default())
    }
}
