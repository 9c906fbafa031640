//! Whether requests should come to this instance: what `/healthz` and `/readyz` say, beside what the parts know of
//! themselves.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::log::Seq;

/// What an operator can be told at any moment. Everything in it is about positions and reasons, never about words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether this instance writes the wire.
    pub writes_wire: bool,
    /// The last event whose edition is on the wire.
    pub wire_sent: Seq,
    /// Why the wire stands still, if it does.
    pub wire_stopped: Option<String>,
    /// Why folding stands still, if it does.
    pub fold_stopped: Option<String>,
    /// Why no checkpoint is signed, if there should be.
    pub audit_stopped: Option<String>,
    /// Why the public side stands still, if it does.
    pub public_stopped: Option<String>,
}

/// Where an instance is in its life.
#[derive(Debug, Default)]
pub struct Health {
    caught_up: AtomicBool,
    draining: watch::Sender<bool>,
}

impl Health {
    /// The fold has reached the end that the log had at the start.
    pub fn set_caught_up(&self) {
        self.caught_up.store(true, Ordering::Release);
    }

    /// The instance is about to end and takes nothing new.
    pub fn set_draining(&self) {
        self.draining.send_replace(true);
    }

    /// Whether the fold has reached the end that the log had at the start.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }

    /// Whether the instance is about to end.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Says true once the instance is about to end.
    pub fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }
}
