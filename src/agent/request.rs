//! One request to a model: the only way from an agent to a provider.
//!
//! Invariant: nothing is sent but from here, so that whatever bounds requests bounds
//! all of them. Nothing here tries twice.

use crate::model::{Bounds, Client, Failure, Progress, Reply, Request};
use crate::plan::{ModelName, Provider};

/// Makes the requests of one ask.
pub(super) struct Requests<'a> {
    pub(super) client: &'a Client,
}

impl Requests<'_> {
    /// Sends one request to `name` at its `provider` and reads its answer to the end.
    ///
    /// `on_progress` is called after every chunk of the body. Dropping the future closes
    /// the connection.
    ///
    /// # Errors
    /// A [`Failure`] with its class; its `partial` holds the text that came before.
    pub(super) async fn send(
        &self,
        _name: &ModelName,
        provider: &Provider,
        request: &Request,
        bounds: Bounds,
        on_progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Reply, Box<Failure>> {
        self.client.ask(provider, request, bounds, on_progress).await
    }
}
