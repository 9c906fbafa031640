//! What readers ask for, with many articles behind: a feed, a page, and both unchanged; against axum answering the same
//! bytes, with the same headers, from memory. And what memory all of it takes.

use std::iter::repeat_n;

use anyhow::Context as _;
use bytes::Bytes;
use uuid::Uuid;

use super::bare::Page;
use super::child::Served;
use super::client::{CONNECTIONS, Connection, get, load};
use super::house::{CACHE_MB, Setup};
use super::meter::{Meter, bytes_in, resident};
use super::report::{Asked, Better, Of, Row, Sample};
use super::table::count;
use super::{Context, Subject, fill, per_second};

/// The articles that the issue asks this of.
const ASKED_OF: usize = 100_000;
/// What a reader's software says of itself.
const READER: &str = "Accept-Encoding: gzip\r\n";

/// One sort of request.
struct Read {
    what: String,
    request: Bytes,
    status: u16,
}

pub(super) async fn measure(context: &Context<'_>) -> anyhow::Result<Vec<Row>> {
    let articles = context.plan.sizes.articles;
    let (data, ids) = fill::published(context, articles).await?;
    let served = Served::start(&Setup::embedded(&data)?).await?;
    let mut connection = Connection::open(served.address).await?;
    let (mut pages, mut reads) = (Vec::new(), Vec::new());
    let article = ids.get(articles / 2).context("an article to read")?;
    for (name, path) in [("/feed.json", "/feed.json".to_owned()), ("a page", format!("/articles/{article}"))]
    {
        let answer = connection.ask(&get(&path, READER)).await?;
        anyhow::ensure!(answer.status == 200, "{path} answers {}", answer.status);
        let etag = answer.head.lines().find_map(|line| line.strip_prefix("etag: ")).context("no etag")?;
        let has_it = get(&path, &format!("{READER}If-None-Match: {etag}\r\n"));
        pages.push(Page::of(&path, answer.head, answer.body));
        let bytes = answer.body.len();
        let behind = format!("64 connections, {} articles behind", count(articles));
        let what = format!("reads of {name}, {} bytes, {behind}", count(bytes));
        reads.push(Read { what, request: get(&path, READER), status: 200 });
        reads.push(Read { what: format!("304s of {name}, {behind}"), request: has_it, status: 304 });
    }
    let file = context.folder.join("pages");
    std::fs::write(&file, serde_json::to_vec(&pages)?)?;
    let bare = Served::bare("--bare-pages", &file).await?;
    let mut rows = Vec::new();
    for read in reads {
        rows.push(alternating(context, &served, &bare, &read).await?.judged_if(articles >= ASKED_OF));
    }
    served.stop().await?;
    Ok(rows)
}

async fn alternating(
    context: &Context<'_>,
    served: &Served,
    bare: &Served,
    read: &Read,
) -> anyhow::Result<Row> {
    let requests = context.plan.sizes.commands * 2;
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for run in 0..context.plan.sizes.runs {
        context.run(&read.what, run);
        others.push(repeated(bare, read, requests).await?);
        ours.push(repeated(served, read, requests).await?);
    }
    let of = Of {
        part: Subject::Feeds,
        what: &read.what,
        unit: "per second",
        better: Better::More,
        cpu_of: "the server",
        asked: Some(Asked::RatioAtLeast(0.8)),
    };
    Ok(of.beside("axum answering the same bytes with the same headers from memory", ours, others))
}

async fn repeated(server: &Served, read: &Read, requests: usize) -> anyhow::Result<Sample> {
    let each = requests.div_ceil(CONNECTIONS);
    let work = (0..CONNECTIONS).map(|_| repeat_n(read.request.clone(), each)).collect();
    let meter = Meter::of(&[server.pid()]);
    let elapsed = load(server.address, work, read.status).await?;
    Ok(meter.sample(per_second(each * CONNECTIONS, elapsed), each * CONNECTIONS))
}

/// Memory of a service that has shown every one of its articles, to readers and to the newsroom, by two bounds of its
/// cache.
pub(super) async fn memory(context: &Context<'_>) -> anyhow::Result<Vec<Row>> {
    let articles = context.plan.sizes.articles;
    let (data, ids) = fill::published(context, articles).await?;
    let state = data.join("state");
    let mut sides = [CACHE_MB, CACHE_MB / 4].map(|cache_mb| (cache_mb, Vec::new(), Vec::new()));
    for run in 0..context.plan.sizes.runs {
        for (cache_mb, ours, on_disk) in &mut sides {
            let what = format!("reading {} articles, store.cache_mb = {cache_mb}", count(articles));
            context.run(&what, run);
            let mut setup = Setup::embedded(&data)?;
            setup.cache_mb = *cache_mb;
            let served = Served::start(&setup).await?;
            let meter = Meter::of(&[served.pid()]);
            read_all(&served, &ids, setup.token("ana")).await?;
            let held = resident(served.pid()).context("what a process holds isn't known here")?;
            ours.push(meter.sample(held, ids.len() * 2));
            on_disk.push(bytes_in(&state).into());
            served.stop().await?;
        }
    }
    let mut rows = Vec::new();
    for (cache_mb, ours, on_disk) in sides {
        let what = format!(
            "memory, {} articles served, every one read by a reader and by the newsroom; \
             bounded by store.cache_mb = {cache_mb}",
            count(articles)
        );
        let of = Of {
            part: Subject::Memory,
            what: &what,
            unit: "bytes",
            better: Better::Less,
            cpu_of: "the server",
            asked: None,
        };
        rows.push(of.beside("their folded state on the disk", ours, on_disk));
    }
    Ok(rows)
}

async fn read_all(served: &Served, ids: &[Uuid], token: &str) -> anyhow::Result<()> {
    for (path, headers) in
        [("/articles", READER.to_owned()), ("/v1/articles", format!("Authorization: Bearer {token}\r\n"))]
    {
        let request = |id: &Uuid| get(&format!("{path}/{id}"), &headers);
        let work = ids.chunks(ids.len().div_ceil(CONNECTIONS).max(1));
        let work: Vec<Vec<Bytes>> = work.map(|ids| ids.iter().map(request).collect()).collect();
        load(served.address, work, 200).await?;
    }
    Ok(())
}
