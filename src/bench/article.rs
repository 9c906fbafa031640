//! What an article's size and age cost: a long one beside a short one, a late event beside an early one. The log isn't
//! synced here, for the disk would hide the difference.

use std::sync::Arc;

use super::load::{self, Script};
use super::meter::Meter;
use super::report::{Asked, Better, Of, Row, Sample, median};
use super::{Context, Subject, house};
use crate::service::Service;

/// A long article, 200 KB: blocks and claims.
const LONG: (usize, usize) = (500, 300);
/// A short one, 2 KB, with as many claims for its length.
const SHORT: (usize, usize) = (5, 3);
/// The events whose cost is told: the first few from this one on.
const EARLY: usize = 10;
const LATE: usize = 1000;
/// How many neighbouring events are timed of each article.
const NEIGHBOURS: usize = 8;

/// One edit of one word in a long article, beside the same in a short one.
pub(super) async fn size(context: &Context<'_>) -> anyhow::Result<Vec<Row>> {
    let what = "one-word edit of a 200 KB article: 500 blocks, 300 claims; median time";
    let runs = context.plan.sizes.runs;
    let each = context.plan.sizes.commands.div_ceil(320).max(5);
    let data = context.folder.join("article");
    let service = house::embedded(&data, house::UNSYNCED).await?;
    let long = made(&service, LONG, runs * each).await?;
    let short = made(&service, SHORT, runs * each).await?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for (run, (long, short)) in long.chunks(each).zip(short.chunks(each)).enumerate() {
        context.run(what, run);
        bare.push(timed(&service, short).await?);
        ours.push(timed(&service, long).await?);
    }
    service.stop().await;
    let of = Of {
        part: Subject::Article,
        what,
        unit: "microseconds",
        better: Better::Less,
        cpu_of: "this process",
        asked: Some(Asked::RatioAtMost(3.0)),
    };
    Ok(vec![of.beside("the same edit of a 2 KB article: 5 blocks, 3 claims", ours, bare)])
}

/// Makes an article; the edits that are to be timed.
async fn made(service: &Service, (blocks, claims): (usize, usize), edits: usize) -> anyhow::Result<Script> {
    let (made, edits) = load::claimed(blocks, claims, edits);
    load::send(Arc::clone(&service.desk), made).await?;
    Ok(edits)
}

async fn timed(service: &Service, edits: &[bytes::Bytes]) -> anyhow::Result<Sample> {
    let meter = Meter::of_us_and(&[]);
    let each = micros(service, edits).await?;
    Ok(meter.sample(median(&each), each.len()))
}

async fn micros(service: &Service, commands: &[bytes::Bytes]) -> anyhow::Result<Vec<f64>> {
    let (actor, mut each) = ("ana".into(), Vec::new());
    for command in commands {
        each.push(load::decided(&service.desk, &actor, command).await?.as_secs_f64() * 1e6);
    }
    Ok(each)
}

/// An article's thousandth events beside another's tenth, in turn.
pub(super) async fn age(context: &Context<'_>) -> anyhow::Result<Vec<Row>> {
    let what = "an article's 1,000th event and those after it, median time";
    let pairs = context.plan.sizes.commands.div_ceil(2000).clamp(1, 16);
    let data = context.folder.join("age");
    let service = house::embedded(&data, house::UNSYNCED).await?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for run in 0..context.plan.sizes.runs {
        context.run(what, run);
        let (mut late, mut early) = (Vec::new(), Vec::new());
        for _ in 0..pairs {
            let (old, old_timed) = up_to(LATE);
            load::send(Arc::clone(&service.desk), old).await?;
            let (new, new_timed) = up_to(EARLY);
            load::send(Arc::clone(&service.desk), new).await?;
            for (old, new) in old_timed.iter().zip(&new_timed) {
                early.extend(micros(&service, std::slice::from_ref(new)).await?);
                late.extend(micros(&service, std::slice::from_ref(old)).await?);
            }
        }
        ours.push(median(&late).into());
        bare.push(median(&early).into());
    }
    service.stop().await;
    let of = Of {
        part: Subject::Age,
        what,
        unit: "microseconds",
        better: Better::Less,
        cpu_of: "not counted: both are timed in turn",
        asked: Some(Asked::RatioAtMost(1.3)),
    };
    Ok(vec![of.beside("another article's 10th event and those after it", ours, bare)])
}

/// Commands up to before an event, and those from it on.
fn up_to(event: usize) -> (Script, Script) {
    let mut before = load::script(event - 1 + NEIGHBOURS);
    let timed = before.split_off(event - 1);
    (before, timed)
}
