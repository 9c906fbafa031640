//! What every request passes before anything is done for it, its body not yet read: rates, and who is asking.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use copydesk_article::problem::{Code, Problem};

use super::doors::Peer;
use super::identity::{self, Actor, Identified};
use super::problem::Refusal;
use super::{Gateway, commands, is_newsroom, no_such_route};

/// Parameters by which people are known to send tokens.
const TOKEN_PARAMETERS: &[&str] =
    &["token", "access_token", "api_key", "apikey", "auth", "authorization", "bearer"];

/// Why a request goes no further.
enum Stop {
    /// It came too often.
    Slower(&'static str, Duration),
    /// It is refused.
    Refused(Problem),
}

pub(super) async fn guard(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let stop = match admit(&gateway, &mut request) {
        Ok(()) => return next.run(request).await,
        Err(stop) => stop,
    };
    // A sender that writes all before it reads is to find the refusal and not a broken connection.
    commands::throw_away(request.into_body().into_data_stream());
    match stop {
        Stop::Refused(problem) => Refusal(problem).into_response(),
        Stop::Slower(detail, wait) => {
            let mut response = Refusal(Problem::new(Code::Busy, detail)).into_response();
            let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
            response
        }
    }
}

/// Whether a request for something public, whose address has no parameters, may be answered right away: where not, it
/// goes by [`guard`], which says why. Counts it only where it may.
pub(super) fn admits(gateway: &Gateway, peer: Peer, headers: &HeaderMap) -> bool {
    let doors = &gateway.doors;
    let named = doors.actor_header().is_some_and(|header| headers.contains_key(header));
    !named && doors.address_comes(doors.household(Some(peer), headers)).is_ok()
}

fn admit(gateway: &Gateway, request: &mut Request) -> Result<(), Stop> {
    if request.extensions().get::<Actor>().is_some() {
        return Ok(());
    }
    let doors = &gateway.doors;
    let peer = request.extensions().get::<Peer>().copied();
    let household = doors.household(peer, request.headers());
    let too_often = |wait| Stop::Slower("too many requests from your address: go slower", wait);
    doors.address_comes(household).map_err(too_often)?;
    let named = doors.actor_header().is_some_and(|header| request.headers().contains_key(header));
    let newsroom = is_newsroom(request.uri().path());
    let shows = named || (newsroom && request.headers().contains_key(AUTHORIZATION));
    if has_token(request.uri()) {
        let detail = "a token in an address ends up in logs and histories: send it as the header \
                      Authorization: Bearer <token>, and have this one revoked";
        return Err(Stop::Refused(Problem::new(Code::Unauthenticated, detail)));
    }
    if newsroom && !gateway.has_newsroom() {
        return Err(Stop::Refused(no_such_route()));
    }
    if !newsroom && !named {
        return Ok(());
    }
    let (head, believed) = (request.headers(), doors.believes(peer));
    let identified = identity::identify(gateway, head, believed);
    match &identified {
        Ok(identity) => {
            let too_often = |wait| Stop::Slower("too many requests of yours: go slower", wait);
            doors.actor_comes(&identity.actor).map_err(too_often)?;
        }
        Err(problem) => {
            if shows {
                let too_often =
                    |wait| Stop::Slower("too many wrong tokens from your address: go slower", wait);
                doors.address_failed(household).map_err(too_often)?;
            }
            if !newsroom {
                return Err(Stop::Refused(problem.clone()));
            }
        }
    }
    request.extensions_mut().insert(Identified(identified));
    Ok(())
}

/// Whether an address holds what looks like a token.
fn has_token(uri: &Uri) -> bool {
    let Some(query) = uri.query() else { return false };
    query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        value.starts_with("cd_") || TOKEN_PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known))
    })
}
