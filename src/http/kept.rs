//! Answers that are kept, given ahead of the router: what a reader's software asks for every minute costs a look-up and
//! little else.
//!
//! Nothing differs from what the router would answer but the time it takes: rates are taken, the answer is counted and
//! logged. Whatever isn't plain (a method other than GET, parameters, an address that comes too often, an actor named by
//! a proxy) and whatever isn't kept goes to the router.

use std::time::Instant;

use axum::http::{Method, Request};
use axum::response::Response;

use super::doors::Peer;
use super::{Gateway, guard, observe, readers};

/// What is kept for a request; none where the router is to answer.
pub(super) fn answer<B>(gateway: &Gateway, peer: Peer, request: &Request<B>) -> Option<Response> {
    let readers = gateway.readers.as_ref()?;
    if request.method() != Method::GET || request.uri().query().is_some() {
        return None;
    }
    let started = Instant::now();
    let path = request.uri().path();
    let route = readers::kept_route(path)?;
    let response = readers::kept(readers, path, request.headers())?;
    // Last, so that a request that goes on to the router isn't counted twice.
    if !guard::admits(gateway, peer, request.headers()) {
        return None;
    }
    observe::note(gateway, "GET", route, response.status().as_u16(), started);
    Some(response)
}
