//! Clocks that are set forwards and backwards by hours under the running service.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::Scratch;
use super::newsroom::Newsroom;
use super::shim::Shim;
use crate::harness::until;

const HOUR: i64 = 3600;

#[test]
fn a_clock_that_jumps_delays_nothing_and_breaks_no_order() {
    let scratch = Scratch::new();
    let shim = Shim::new(&scratch.join("faults"));
    let mut newsroom = Newsroom::under(&shim);
    let article = newsroom.approved("Scheduled");
    // Much later than its hour it would be held for an editor to look at.
    let at = Utc::now() + TimeDelta::hours(2) - TimeDelta::seconds(20);
    let schedule =
        json!({"id": newsroom.id(), "type": "publish", "article": article, "base": 1, "data": {"at": at}});
    assert_eq!(newsroom.send("pia", &schedule).0, 200);
    let edited = newsroom.approved("Edited at odd hours");
    let mut base = 1;
    for hours in [-3, 0, 2, -1] {
        shim.set_clock_off(hours * HOUR);
        if hours == 2 {
            // Though nothing happens that would have anyone look.
            until("what was scheduled is published", || newsroom.editions(article) == 1);
        }
        let since = Instant::now();
        let headline = format!("At {hours}");
        let edit = json!({"id": newsroom.id(), "type": "edit", "article": edited, "base": base,
            "data": {"set": {"headline": headline}}});
        let (status, answer) = newsroom.send("ana", &edit);
        assert_eq!(status, 200, "{answer}");
        base = answer["revision"].as_u64().unwrap();
        assert!(since.elapsed() < Duration::from_secs(2), "an answer took {:?}", since.elapsed());
        // Checkpoints go on, too.
        until("what happened is signed", || {
            let health = newsroom.health();
            health["audit"]["size"] == health["audit"]["leaves"]
        });
        assert!(since.elapsed() < Duration::from_secs(15), "signing took {:?}", since.elapsed());
    }
    shim.set_clock_off(0);
    let events = newsroom.serving.events();
    for id in [article, edited] {
        let times: Vec<DateTime<Utc>> =
            events.iter().filter(|event| event["subject"] == json!(id)).map(time).collect();
        assert!(times.len() > 3 && times.is_sorted(), "{times:?}");
    }
    let published = |event: &&Value| event["subject"] == json!(article) && !event["wire"].is_null();
    assert_eq!(events.iter().filter(published).count(), 1, "once");
    newsroom.is_as_answered();
    newsroom.verifies();
    assert_eq!(newsroom.health()["status"], "ok");
}

fn time(event: &Value) -> DateTime<Utc> {
    event["time"].as_str().unwrap().parse().unwrap()
}
