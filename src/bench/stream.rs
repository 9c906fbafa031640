//! Those who follow `/stream`: how long an edition takes to one, and what thousands cost.

use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use futures::StreamExt;
use uuid::Uuid;

use super::child::Served;
use super::client::{Connection, get, post};
use super::house::{self, Setup};
use super::meter::{Meter, resident};
use super::nats_server::{Server, Syncs};
use super::report::{Asked, Better, Of, Row, Sample, median};
use super::table::count;
use super::transport::{ask, delete_streams, median_micros};
use super::{Context, NotHere, Subject, load, responder};

/// What begins a stream.
const OPENING: &str = "retry: 2000\n\n";
/// The readers that the issue asks this of.
const ASKED_OF: usize = 5000;
/// Open files beside those of readers.
const OTHER_FILES: u64 = 512;

/// From sending a publication to its edition's bytes at a reader's socket, on NATS.
pub(super) async fn one_reader(context: &Context<'_>) -> anyhow::Result<Vec<Row>> {
    let what = "from sending a publication to a /stream reader's socket, desk on NATS, median";
    let editions = context.plan.sizes.commands.div_ceil(160).max(10);
    let server = context.server(Syncs::Seldom).await?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for run in 0..context.plan.sizes.runs {
        context.run(what, run);
        let bodies = (0..editions * 5).map(|_| load::publish(Uuid::new_v4())).collect();
        bare.push(responder::echoing(&server, bodies).await?.sample(median_micros));
        ours.push(to_socket(context, &server, editions).await?);
    }
    let of = Of {
        part: Subject::Stream,
        what,
        unit: "microseconds",
        better: Better::Less,
        cpu_of: "desk or echo, the load, and the NATS server where bench started it",
        asked: Some(Asked::RatioAtMost(3.0)),
    };
    Ok(vec![of.beside("a request to a responder that echoes it: the NATS round trip", ours, bare)])
}

async fn to_socket(context: &Context<'_>, server: &Server, editions: usize) -> anyhow::Result<Sample> {
    let prefix = house::new_prefix();
    let data = context.folder.join(&prefix);
    let served = Served::start(&Setup::nats(&data, &server.url, &prefix)?).await?;
    let client = async_nats::connect(&server.url).await?;
    let articles: Vec<Uuid> = (0..editions).map(|_| Uuid::new_v4()).collect();
    for (n, article) in articles.iter().enumerate() {
        ask(&client, &format!("{prefix}.command.ana.draft"), load::draft(*article, n)).await?;
    }
    let mut reader = Connection::open(served.address).await?;
    reader.follow(&get("/stream", ""), OPENING).await?;
    let subject = format!("{prefix}.command.pia.publish");
    let meter = Meter::of_us_and(&[server.pids(), vec![served.pid()]].concat());
    let mut each = Vec::new();
    for article in articles {
        let (command, words) = (load::publish(article), article.to_string());
        let sent = Instant::now();
        let heard = async {
            reader.hear(&words).await?;
            anyhow::Ok(sent.elapsed())
        };
        let (heard, answered) = tokio::join!(heard, ask(&client, &subject, command));
        answered?;
        each.push(heard?.as_secs_f64() * 1e6);
        reader.hear("\n\n").await?;
    }
    let sample = meter.sample(median(&each), each.len());
    served.stop().await?;
    delete_streams(client, &prefix).await?;
    std::fs::remove_dir_all(data)?;
    Ok(sample)
}

/// Thousands of readers and one publication: the server's processor time, and what each reader takes.
pub(super) async fn many_readers(context: &Context<'_>) -> anyhow::Result<Vec<Row>> {
    let readers = context.plan.sizes.readers;
    allow_files(u64::try_from(readers)? + OTHER_FILES)?;
    let (mut spent, mut held) = (Vec::new(), Vec::new());
    for run in 0..context.plan.sizes.runs {
        context.run(&format!("{readers} readers of /stream"), run);
        let data = context.folder.join(format!("readers-{run}"));
        let setup = Setup::embedded(&data)?;
        let served = Served::start(&setup).await?;
        let (milliseconds, bytes) = one_publication(&served, &setup, readers).await?;
        spent.push(milliseconds.into());
        held.push(bytes.into());
        drop(served);
        std::fs::remove_dir_all(data)?;
    }
    let what = format!("{} /stream readers, one publication: the server's processor time", count(readers));
    let of = Of {
        part: Subject::Readers,
        what: &what,
        unit: "milliseconds",
        better: Better::Less,
        cpu_of: "the server",
        asked: Some(Asked::Under(300.0)),
    };
    let time = of.alone(spent).judged_if(readers >= ASKED_OF);
    let what = format!("{} /stream readers: memory for each", count(readers));
    let asked = Some(Asked::Under(32_000.0));
    let memory = Of { what: &what, unit: "bytes", asked, ..of }.alone(held);
    Ok(vec![time, memory.judged_if(readers >= ASKED_OF)])
}

/// Milliseconds of processor time for one edition to all of them, and bytes for each of them.
async fn one_publication(served: &Served, setup: &Setup, readers: usize) -> anyhow::Result<(f64, f64)> {
    let unknown = "what a process takes isn't known here";
    let mut sender = Connection::open(served.address).await?;
    // Once before anybody follows: what the first publication alone takes isn't the readers'.
    let first = drafted(&mut sender, setup).await?;
    publish(&mut sender, setup, first).await?;
    let before = resident(served.pid()).context(unknown)?;
    let connect = |_| async {
        let mut reader = Connection::open(served.address).await?;
        reader.follow(&get("/stream", ""), OPENING).await?;
        anyhow::Ok(reader)
    };
    let connections: Vec<_> =
        futures::stream::iter(0..readers).map(connect).buffer_unordered(64).collect().await;
    let connections = connections.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let article = drafted(&mut sender, setup).await?;
    let meter = Meter::of(&[served.pid()]);
    let words = article.to_string();
    let hearing: Vec<_> = connections
        .into_iter()
        .map(|mut reader| {
            let words = words.clone();
            tokio::spawn(async move {
                reader.hear(&words).await?;
                reader.hear("\n\n").await?;
                anyhow::Ok(reader)
            })
        })
        .collect();
    publish(&mut sender, setup, article).await?;
    let mut heard = Vec::new();
    for reader in hearing {
        heard.push(reader.await??);
    }
    let seconds = meter.cpu_seconds().context(unknown)?;
    let after = resident(served.pid()).context(unknown)?;
    #[expect(clippy::cast_precision_loss, reason = "readers are a few thousand")]
    let readers = heard.len().max(1) as f64;
    Ok((seconds * 1e3, (after - before).max(0.0) / readers))
}

async fn drafted(sender: &mut Connection, setup: &Setup) -> anyhow::Result<Uuid> {
    let article = Uuid::new_v4();
    done(sender, &post(setup.token("ana"), &load::draft(article, 0))).await?;
    Ok(article)
}

async fn publish(sender: &mut Connection, setup: &Setup, article: Uuid) -> anyhow::Result<()> {
    done(sender, &post(setup.token("pia"), &load::publish(article))).await
}

async fn done(sender: &mut Connection, request: &Bytes) -> anyhow::Result<()> {
    let answer = sender.ask(request).await?;
    anyhow::ensure!(answer.status == 200, "refused: {}", String::from_utf8_lossy(answer.body));
    Ok(())
}

/// Has this process, and those that it starts, open so many files.
fn allow_files(needed: u64) -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|most| most < needed) {
        let most = limit.maximum.unwrap_or_default();
        let why = format!(
            "a process may open {most} files here, and {needed} are needed: raise it (`ulimit -Hn {needed}` as root, \
             or LimitNOFILE), or ask for fewer readers (--readers)"
        );
        anyhow::bail!(NotHere(why));
    }
    setrlimit(Resource::Nofile, rustix::process::Rlimit { current: Some(needed), ..limit })?;
    Ok(())
}
