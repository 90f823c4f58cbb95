//! Credentials that are asked for: tokens that expire, passwords from a vault.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error::{ConnectError, Stage};
use crate::options::{ConnectOptions, Secret};

/// A user and a password, or a token in its place, and how long they are good for.
///
/// Debug doesn't show the password.
#[derive(Clone, Debug)]
pub struct Credentials {
    user: String,
    password: Secret,
    valid_for: Option<Duration>,
}

impl Credentials {
    /// Credentials that don't expire.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: Secret::new(password), valid_for: None }
    }

    /// They expire so long after now: after 4/5 of it, new ones are asked for.
    #[must_use]
    pub const fn valid_for(mut self, time: Duration) -> Self {
        self.valid_for = Some(time);
        self
    }
}

/// Why a [`CredentialsProvider`] has none. Strings become one. Its text is shown in errors and events,
/// so it mustn't hold a secret.
pub type CredentialsError = Box<dyn StdError + Send + Sync>;

/// What a [`CredentialsProvider`] returns.
pub type CredentialsFuture =
    Pin<Box<dyn Future<Output = Result<Credentials, CredentialsError>> + Send>>;

/// Where credentials come from, when they aren't known once and for all: see
/// [`ConnectOptions::credentials_provider`].
///
/// Functions that return a future are one:
///
/// ```
/// use std::time::Duration;
/// use amqp091_client::{ConnectOptions, Credentials};
///
/// # async fn fetch_token() -> Result<String, std::io::Error> { Ok("token".to_owned()) }
/// let options = ConnectOptions::default().credentials_provider(|| async {
///     let token = fetch_token().await?;
///     Ok::<_, std::io::Error>(Credentials::new("", token).valid_for(Duration::from_secs(3600)))
/// });
/// # let _ = options;
/// ```
pub trait CredentialsProvider: Send + Sync {
    /// Fetches credentials.
    ///
    /// It is asked whenever a connection is opened, in the time of
    /// [`connect_timeout`](ConnectOptions::connect_timeout), and again before they expire. Then the
    /// future runs on the connection's own task: it must not block, and a panic in it ends the
    /// connection. It is dropped when it takes too long or the connection ends.
    fn credentials(&self) -> CredentialsFuture;
}

impl<F, T, E> CredentialsProvider for F
where
    F: Fn() -> T + Send + Sync,
    T: Future<Output = Result<Credentials, E>> + Send + 'static,
    E: Into<CredentialsError>,
{
    fn credentials(&self) -> CredentialsFuture {
        let future = self();
        Box::pin(async move { future.await.map_err(Into::into) })
    }
}

/// The provider among the options.
#[derive(Clone)]
pub(crate) struct Provider(pub(crate) Arc<dyn CredentialsProvider>);

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a provider)")
    }
}

/// What a provider gave, and when.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) credentials: Credentials,
    received: Instant,
}

impl Issued {
    /// Asks the options' provider, if they have one.
    pub(crate) async fn ask(
        options: &ConnectOptions,
        deadline: Instant,
    ) -> Result<Option<Self>, ConnectError> {
        let Some(Provider(provider)) = &options.provider else { return Ok(None) };
        let asked = timeout_at(deadline, provider.credentials()).await.map_err(|_| {
            let after = options.connect_timeout;
            ConnectError::Timeout { stage: Stage::Credentials, after }
        })?;
        let credentials = asked
            .and_then(Credentials::checked)
            .map_err(|error| ConnectError::Credentials { problem: error.to_string() })?;
        Ok(Some(Self { credentials, received: Instant::now() }))
    }

    pub(crate) fn has_expired(&self) -> bool {
        self.credentials.valid_for.is_some_and(|time| self.received.elapsed() >= time)
    }

    /// The options with these credentials.
    pub(crate) fn apply(&self, options: &mut ConnectOptions) {
        options.user.clone_from(&self.credentials.user);
        options.password = self.credentials.password.clone();
    }

    /// How long they are good for from now on.
    pub(crate) fn valid_for(&self) -> Option<Duration> {
        Some(self.credentials.valid_for?.saturating_sub(self.received.elapsed()))
    }
}

impl Credentials {
    /// What the mechanisms can't carry is found here.
    fn checked(self) -> Result<Self, CredentialsError> {
        if self.user.contains('\0') || self.password.expose().contains('\0') {
            return Err("user and password must not contain NUL".into());
        }
        Ok(self)
    }

    pub(crate) fn password(&self) -> &str {
        self.password.expose()
    }

    pub(crate) const fn validity(&self) -> Option<Duration> {
        self.valid_for
    }
}

/// Asks for new credentials while a connection lives.
#[derive(Default)]
pub(crate) struct Asker {
    provider: Option<Provider>,
    asking: Option<CredentialsFuture>,
}

impl Asker {
    pub(crate) fn new(options: &ConnectOptions) -> Self {
        Self { provider: options.provider.clone(), asking: None }
    }

    /// Asks while that `is_wanted`, and gives the question up when it isn't any more.
    pub(crate) fn poll(
        &mut self,
        is_wanted: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Credentials, String>> {
        let Some(Provider(provider)) = self.provider.as_ref().filter(|_| is_wanted) else {
            self.asking = None;
            return Poll::Pending;
        };
        let asking = self.asking.get_or_insert_with(|| provider.credentials());
        let answer = ready!(asking.as_mut().poll(cx));
        self.asking = None;
        let checked = answer.and_then(Credentials::checked);
        Poll::Ready(checked.map_err(|error| error.to_string()))
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").field("provider", &self.provider).finish_non_exhaustive()
    }
}
