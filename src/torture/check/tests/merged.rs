//! Planted where edits are merged: accepted from a revision that others had changed since. And what is right there.

use super::*;

fn insert(after: &str, number: u64) -> Value {
    let after = Some(after).filter(|after| !after.is_empty());
    json!({"op": "insert", "after": after, "block": {"kind": "paragraph", "text": told(number)}})
}

fn replaced(block: &str, number: u64) -> Value {
    json!({"op": "replace", "block": block, "kind": "paragraph", "text": told(number)})
}

fn deleted(block: &str) -> Value {
    json!({"op": "delete", "block": block})
}

fn moved(block: &str, after: Option<&str>) -> Value {
    json!({"op": "move", "block": block, "after": after})
}

fn ops(ops: &[Value]) -> Value {
    json!({"ops": ops})
}

fn whole(numbers: &[u64]) -> Value {
    json!({"markdown": numbers.iter().map(|number| told(*number)).collect::<Vec<_>>().join("\n\n")})
}

fn headline(number: u64) -> Value {
    json!({"set": {"headline": mark(number)}})
}

/// A story of `b1` to `b3` with the words 2 to 4, and these edits from these revisions; a restore where that is said.
async fn edited(edits: &[(u64, Value)]) -> Record {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::in_folder(folder.path()).await;
    let story = recorder.draft(1, &[told(2), told(3), told(4)]).await;
    for (base, data) in edits {
        let kind = if data.get("revision").is_some() { "restore" } else { "edit" };
        let answer = recorder.send(1, "eva", of(&story, *base, kind, data.clone())).await;
        assert_eq!(answer["article"], story, "{answer}");
    }
    let mut record = recorder.close(Shown::default()).await;
    record.shown.clear();
    record.log_alone();
    assert_eq!(record.found(), []);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_over_what_others_changed_since_its_base_is_found() {
    for (first, second) in [
        (ops(&[replaced("b1", 5)]), ops(&[replaced("b1", 6)])),
        (ops(&[replaced("b1", 5)]), ops(&[deleted("b1")])),
        (headline(5), headline(6)),
        (headline(5), json!({"set": {"headline": null}})),
        (ops(&[moved("b3", None)]), ops(&[moved("b3", Some("b1"))])),
        // Whole bodies that change, lack or bring back what others changed, brought and took out.
        (ops(&[replaced("b1", 5)]), whole(&[7, 3, 4])),
        (ops(&[insert("b3", 5)]), whole(&[2, 3, 4])),
        (ops(&[deleted("b2")]), json!({"revision": 1})),
    ] {
        let record = edited(&[(1, first.clone()), (2, second.clone())]).await;
        let (kind, event) = match second.get("revision") {
            Some(_) => ("restore", "restored"),
            None => ("edit", "edited"),
        };
        record.planted(What::WordsLost, |record| {
            record.other_command(kind, event, |command| command["base"] = json!(1));
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_in_another_order_than_sent_are_found() {
    for (sent, place) in [
        (ops(&[insert("b1", 5)]), json!("b2")),
        (ops(&[insert("", 5), insert("", 6)]), json!("b1")),
        (ops(&[moved("b3", None)]), json!("b1")),
    ] {
        let record = edited(&[(1, sent)]).await;
        record.planted(What::WordsLost, |record| {
            record.other_command("edit", "edited", |command| {
                command["data"]["ops"][0]["after"] = place.clone();
            });
        });
    }
    edited(&[(1, whole(&[2, 4, 5]))]).await.planted(What::WordsLost, |record| {
        record.other_command("edit", "edited", |command| command["data"] = whole(&[4, 2, 5]));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_merges_from_an_older_revision_is_no_fault() {
    for edits in [
        // Inserts at one place, and one after what is gone.
        vec![(1, ops(&[insert("b1", 5), insert("b1", 6)])), (1, ops(&[insert("b1", 7), insert("b1", 8)]))],
        vec![(1, ops(&[deleted("b2")])), (1, ops(&[insert("b2", 5)])), (1, ops(&[insert("", 6)]))],
        // The same sent by two, and something else beside it.
        vec![(1, ops(&[deleted("b2")])), (1, ops(&[deleted("b2"), replaced("b1", 5)]))],
        vec![(1, ops(&[replaced("b1", 5)])), (1, ops(&[replaced("b1", 5), replaced("b2", 6)]))],
        vec![
            (1, json!({"set": {"headline": mark(5), "standfirst": mark(6)}})),
            (1, json!({"set": {"headline": mark(5), "standfirst": null}, "ops": [replaced("b1", 7)]})),
        ],
        // Away and back, and changed from before it went.
        vec![(1, ops(&[replaced("b1", 5)])), (2, json!({"revision": 1})), (1, ops(&[replaced("b1", 6)]))],
        vec![
            (1, ops(&[moved("b3", None)])),
            (2, ops(&[deleted("b3")])),
            (3, json!({"revision": 1})),
            (1, ops(&[moved("b3", Some("b1"))])),
        ],
        vec![(1, ops(&[moved("b3", None)])), (1, ops(&[replaced("b3", 5), moved("b1", Some("b2"))]))],
        vec![(1, ops(&[deleted("b1")])), (1, ops(&[moved("b3", Some("b1"))]))],
        // Whole bodies beside what others did.
        vec![(1, ops(&[replaced("b1", 5), insert("b3", 6)])), (1, whole(&[2, 4, 7]))],
        vec![(1, ops(&[deleted("b1")])), (1, whole(&[2, 3, 7, 4]))],
    ] {
        edited(&edits).await;
    }
}
