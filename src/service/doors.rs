//! What the configuration says of how requests come in.

use std::sync::Arc;

use crate::config::{BehindProxy, Http};
use crate::http::Doors;
use crate::http::doors::{Proxies, Rates};
use crate::http::tls::{Tls, TlsError};

/// The doors of a configuration.
pub(super) fn doors(http: &Http) -> Doors {
    let proxies = match &http.behind_proxy {
        BehindProxy::No => Proxies::None,
        BehindProxy::Somewhere => Proxies::Unknown,
        BehindProxy::At(networks) => Proxies::At(networks.clone()),
    };
    let (actor, address, failed) = (http.limits.actor, http.limits.address, http.limits.failed);
    // That it is a header's name was checked with the file.
    let actor_header = http.actor_header.as_ref().and_then(|header| header.parse().ok());
    Doors::new(proxies, actor_header, Rates { actor, address, failed })
}

/// The certificate of a configuration, if it has one.
///
/// # Errors
/// Where it can't be used.
pub(super) fn tls(http: &Http) -> Result<Option<Arc<Tls>>, TlsError> {
    let open = |files: &crate::config::TlsFiles| Tls::open(&files.certificate, &files.key).map(Arc::new);
    http.tls.as_ref().map(open).transpose()
}
