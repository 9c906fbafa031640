//! What is read and decoded ahead of the fold, while that folds or waits for sled.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::FoldError;
use crate::log::{Entry, LogError};
use crate::store::StoreError;
use crate::store::prepared::Prepared;

/// How many groups wait for the fold at most: some megabytes each.
const AHEAD: usize = 8;

/// A stream of the log, in groups.
type Tail = BoxStream<'static, Result<Vec<Entry>, LogError>>;

/// A group on its way, or why there is none.
type OnItsWay = Result<JoinHandle<Prepared>, LogError>;

/// The groups of a tail, prepared in its order: by tasks of their own, where there is a runtime for them.
pub(super) fn prepared(tail: Tail) -> BoxStream<'static, Result<Prepared, FoldError>> {
    let Ok(runtime) = Handle::try_current() else {
        return tail.map(|group| Ok(Prepared::of(group?))).boxed();
    };
    let (sender, groups) = mpsc::channel(AHEAD);
    // Ends with the stream that is given back.
    let mut reading = JoinSet::new();
    reading.spawn_on(read(tail, sender, runtime.clone()), &runtime);
    let next = async |(mut groups, reading): (mpsc::Receiver<OnItsWay>, JoinSet<()>)| {
        let group = match groups.recv().await? {
            Ok(group) => group.await.map_err(|error| StoreError::Failed(error.to_string()).into()),
            Err(error) => Err(error.into()),
        };
        Some((group, (groups, reading)))
    };
    stream::unfold((groups, reading), next).boxed()
}

/// Has each group of a tail prepared, until nobody waits for them any more.
async fn read(mut tail: Tail, sender: mpsc::Sender<OnItsWay>, runtime: Handle) {
    while let Some(group) = tail.next().await {
        let group = group.map(|group| runtime.spawn_blocking(|| Prepared::of(group)));
        if sender.send(group).await.is_err() {
            return;
        }
    }
}
