//! The message that carries an edition on the wire.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use copydesk_article::edition::Edition;
use uuid::Uuid;

use super::ninjs::{RenderError, render};
use crate::log::{Message, Seq};
use crate::merkle::Hash;

/// The size and root of a signed checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// How many leaves the tree has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

/// The message of an edition or withdrawal: of the event that made it, at its position in the log, and how many
/// messages the wire has with this one; and the newest checkpoint, so that each subscriber holds evidence of the log's
/// history. The transport makes the id `Nats-Msg-Id`.
///
/// # Errors
/// [`RenderError`]: the wire stops at it.
pub fn message(
    edition: &Edition,
    event: Uuid,
    seq: Seq,
    count: u64,
    checkpoint: Option<Stamp>,
) -> Result<Message, RenderError> {
    let mut headers = vec![
        ("Copydesk-Event", event.to_string()),
        ("Copydesk-Seq", seq.to_string()),
        ("Copydesk-Count", count.to_string()),
        ("Copydesk-Edition", edition.number.to_string()),
        ("Copydesk-Kind", edition.kind.name().to_owned()),
    ];
    if let Some(Stamp { size, root }) = checkpoint {
        headers.push(("Copydesk-Checkpoint-Size", size.to_string()));
        headers.push(("Copydesk-Checkpoint-Root", BASE64.encode(root)));
    }
    Ok(Message {
        subject: edition.home.to_string(),
        id: format!("{}/{}", edition.article, edition.number),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        body: render(edition)?.into(),
    })
}

#[cfg(test)]
mod tests {
    use copydesk_article::article::EditionKind;
    use copydesk_public::{Kind, WireMessage};

    use super::*;
    use crate::wire::ninjs::tests::story;

    #[test]
    fn the_public_side_reads_what_the_wire_carries() {
        for (kind, read_as) in
            [(EditionKind::Correction, Kind::Correction), (EditionKind::Withdrawal, Kind::Withdrawal)]
        {
            let edition = story(kind);
            let sent = message(&edition, Uuid::from_u128(9), 40, 3, None).unwrap();
            assert_eq!(sent.id, format!("{}/2", edition.article));
            let mut headers = sent.headers;
            headers.push(("Nats-Msg-Id".into(), sent.id));
            let received =
                WireMessage { seq: 5, subject: sent.subject, headers, body: sent.body, erased: false }
                    .read()
                    .unwrap();
            assert_eq!((received.article, received.edition, received.kind), (edition.article, 2, read_as));
            assert_eq!((received.event, received.log_seq, received.count), (Uuid::from_u128(9), 40, 3));
            let note = received.ninjs.notes().pop().unwrap();
            assert_eq!(
                (note.time, note.text.as_str()),
                (Some(edition.published), edition.notes.last().unwrap().text.as_str())
            );
            if kind == EditionKind::Correction {
                assert_eq!(received.ninjs.headline(), edition.fields.headline.as_deref());
                assert_eq!(received.ninjs.section(), Some("world/asia"));
                assert_eq!(received.ninjs.image().unwrap().alt(), Some("Two \"leaders\""));
            }
        }
    }
}
