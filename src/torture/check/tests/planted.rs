//! What is planted in the recorded run of three stories.

use super::*;

impl Record {
    pub(super) fn answers(&self) {
        // The withdrawal is the last event; without it neither is its message there.
        self.planted(What::AnsweredMissing, |record| {
            record.log_alone();
            let event = body(&record.events.pop().unwrap());
            record.wire.pop();
            record.journal.received.pop();
            assert_eq!(event["type"], "copydesk.article.withdrawn");
        });
        // A retry whose second write nobody checked: the same command at the next version.
        self.planted(What::Doubled, |record| {
            record.log_alone();
            let at = record.event("edited", |_| {});
            let mut again = record.events[at].clone();
            let mut event = body(&again);
            (event["articleversion"], event["revision"]) = (json!(4), json!(3));
            (again.seq, again.content) = (record.events.len() as u64 + 1, message(&event));
            record.events.push(again);
        });
        // Or taken as new twice, whatever the log says.
        self.planted(What::Doubled, |record| {
            let Outcome::Accepted(again) = &mut record.sent("rule").outcomes[1] else { panic!("refused") };
            again["duplicate"] = json!(false);
        });
        self.planted(What::AnsweredOtherwise, |record| {
            let Outcome::Accepted(again) = &mut record.sent("rule").outcomes[1] else { panic!("refused") };
            again["version"] = json!(4);
        });
        for (member, other) in
            [("stage", json!("spiked")), ("status", json!("published")), ("edition", json!(9))]
        {
            self.planted(What::AnsweredOtherwise, |record| {
                let Outcome::Accepted(first) = &mut record.sent("withdraw").outcomes[0] else {
                    panic!("refused")
                };
                first[member] = other.clone();
            });
        }
        for (kind, member, other) in [("claim", "created", json!("c7")), ("draft", "blocks", json!(["b7"]))] {
            self.planted(What::AnsweredOtherwise, |record| {
                let Outcome::Accepted(first) = &mut record.sent(kind).outcomes[0] else { panic!("refused") };
                first[member] = other.clone();
            });
        }
        // An append was sent again, refused for what it had itself written, and then found by its id.
        self.planted(What::AnsweredOtherwise, |record| {
            let Outcome::Accepted(first) = &mut record.sent("withdraw").outcomes[0] else {
                panic!("refused")
            };
            first["duplicate"] = json!(true);
        });
        self.planted(What::RefusedWritten, |record| {
            record.sent("ask").outcomes =
                vec![Outcome::Refused { status: 422, code: "wrong_stage".to_owned() }];
        });
        // An instance forgot the id, and decided it anew.
        self.planted(What::AnsweredOtherwise, |record| {
            let sent = record.sent("rule");
            sent.sendings += 1;
            sent.note(Outcome::Refused { status: 409, code: "conflict".to_owned() }, true);
        });
        let mut busy = self.clone();
        let sent = busy.sent("rule");
        sent.sendings += 1;
        sent.note(Outcome::Refused { status: 429, code: "busy".to_owned() }, true);
        // What was erased is never answered again: its id was used.
        let (at, _) = busy.gone();
        let erasures = crate::torture::check::erased::Erasures::of(&busy.events, &busy.journal);
        let Content::Erased { sha256 } = busy.events[at].content else { panic!("there") };
        let command = erasures.event(busy.events[at].seq, sha256).unwrap().command;
        let erased = busy.journal.sent.iter_mut().find(|sent| sent.id() == Some(command)).unwrap();
        erased.sendings += 1;
        erased.note(Outcome::Refused { status: 409, code: "id_reused".to_owned() }, true);
        assert_eq!(busy.found(), []);
        // It was refused as not written, and the retry found it there.
        self.planted(What::RefusedWritten, |record| {
            let sent = record.sent("rule");
            sent.outcomes[0] = Outcome::Refused { status: 503, code: "log_unavailable".to_owned() };
        });
        // Where no answer came, it may have been.
        let mut unheard = self.clone();
        unheard.sent("rule").outcomes[0] = Outcome::Unknown;
        assert_eq!(unheard.found(), []);
        self.planted(What::RefusedWritten, |record| {
            // A `try`: the hash is of the same content.
            record.sent("ask").command["try"] = json!(true);
        });
        self.planted(What::NobodySent, |record| {
            record.journal.sent.retain(|sent| sent.command["type"] != "ask");
        });
    }

    pub(super) fn lines(&self) {
        // An event is gone that nobody was told of.
        self.planted(What::Gap, |record| {
            record.log_alone();
            let at = record.event("asked", |_| {});
            record.events.remove(at);
        });
        let old = mark(14);
        let other = |event: &mut Value| {
            *event = serde_json::from_str(&event.to_string().replace(&old, &mark(99))).unwrap();
        };
        self.planted(What::WordsLost, |record| {
            record.log_alone();
            record.event("edited", other);
        });
        // The edit after the checker was of the very sentence that was ruled on, and no verdict went stale.
        self.planted(What::GateShut, |record| {
            record.log_alone();
            let edits = record.journal.sent.iter_mut().filter(|sent| sent.command["type"] == "edit");
            let edit = edits.into_iter().next().unwrap();
            edit.command["data"]["ops"][0]["block"] = json!("b1");
            edit.command["data"]["ops"][0]["text"] = json!(format!("{} {}", mark(2), told(4)));
            let id = edit.command["id"].clone();
            let command = edit.command.to_string();
            let at = record
                .events
                .iter()
                .position(|entry| is_there(entry) && body(entry)["command"] == id)
                .unwrap();
            let text = body(&record.events[at]).to_string().replace("\"b2\"", "\"b1\"");
            let text = text.replace(&told(4), &format!("{} {}", mark(2), told(4)));
            let mut event: Value = serde_json::from_str(&text).unwrap();
            let hints = copydesk_article::command::Hints { kind: None, id: None };
            let command = copydesk_article::command::Command::read(command.as_bytes(), hints).unwrap();
            let salt = serde_json::from_value(event["salt"].clone()).unwrap();
            event["commandhash"] = json!(command.hash(&salt, None));
            record.events[at].content = message(&event);
            record.in_message(1, &mark(4), &[mark(4), mark(3)].join(" "));
        });
    }

    pub(super) fn editions(&self) {
        self.planted(What::EditionMissing, |record| {
            record.wire.pop();
            record.journal.received.pop();
            record.journal.delivered.pop();
            record.journal.streamed[0].pop();
        });
        // The wire resumed one too early.
        self.planted(What::EditionDoubled, |record| {
            let mut again = record.wire.last().unwrap().clone();
            again.seq += 1;
            record.no_subscriber();
            set_header(&mut again, "Copydesk-Count", "8");
            record.wire.push(again);
        });
        // The wire resumed one too late.
        self.planted(What::EditionMissing, |record| {
            record.no_subscriber();
            record.journal.receivers.clear();
            record.journal.streamed[0].remove(3);
            record.wire.remove(4);
            for (count, entry) in (1..).zip(&mut record.wire).filter(|(_, entry)| is_there(entry)) {
                set_header(entry, "Copydesk-Count", &format!("{count}"));
            }
        });
        self.planted(What::EditionOutOfOrder, |record| {
            record.no_subscriber();
            record.wire.swap(4, 5);
        });
        self.planted(What::EditionDoubled, |record| {
            let again = record.journal.streamed[0][1].clone();
            record.journal.streamed[0].insert(1, again);
        });
        self.planted(What::EditionMissing, |record| {
            record.journal.streamed[0].remove(1);
        });
        self.planted(What::EditionMissing, |record| record.journal.streamed[0].clear());
        self.planted(What::EditionMissing, |record| {
            record.journal.streamed[0].remove(0);
        });
        // The last story is out and withdrawn. Who comes after that gets the withdrawal alone; who had what came after its
        // edition long before, had to get that too.
        let late = |minutes: i64| {
            let mut record = self.clone();
            let reader = &mut record.journal.streamed[0];
            reader.remove(reader.len() - 2);
            reader.last_mut().unwrap().time += chrono::TimeDelta::minutes(minutes);
            record
        };
        assert_eq!(late(1).found(), []);
        late(0).planted(What::EditionMissing, |record| {
            record.journal.streamed[0].last_mut().unwrap().time -= chrono::TimeDelta::minutes(1);
        });
        self.planted(What::EditionMissing, |record| {
            record.journal.streamed[0].pop();
        });
        self.planted(What::EditionMissing, |record| drop(record.journal.received.pop()));
        self.planted(What::EditionMissing, |record| record.journal.received.clear());
        self.planted(What::EditionMissing, |record| record.shown[0].feed[0].1 = 1);
        self.planted(What::EditionMissing, |record| record.shown[0].feed.truncate(1));
        self.planted(What::EditionDoubled, |record| {
            let again = record.shown[0].feed[0];
            record.shown[0].feed.push(again);
        });
        // An edition without its last block.
        self.planted(What::WordsLost, |record| record.in_message(0, &mark(3), "nothing"));
        // A page that shows what was withdrawn, an older edition, or what was never out.
        for (status, other) in [(410, (200, 1)), (200, (200, 0)), (404, (200, 1)), (200, (404, 0))] {
            self.planted(What::EditionMissing, |record| {
                let mut pages = record.shown[0].pages.values_mut();
                *pages.find(|page| page.0 == status).unwrap() = other;
            });
        }
        // A word that was published, and outside before that.
        self.planted(What::WordOutside, |record| {
            let outside = record.journal.outside.get_mut(&mark(4)).unwrap();
            outside.time -= chrono::TimeDelta::seconds(30);
        });
        for secret in [11, 12, 13, 14] {
            self.planted(What::WordOutside, |record| {
                let (place, time) = ("/feed.json".to_owned(), record.events[0].time);
                record.journal.outside.insert(mark(secret), Outside { place, time, last: time });
            });
        }
        self.planted(What::WordOutside, |record| {
            // The new words, in the edition before they were published.
            record.in_message(0, &mark(3), &[mark(3), mark(4)].join(" "));
        });
    }

    pub(super) fn states(&self) {
        self.planted(What::NoFold, |record| {
            let article = record.shown[0].articles.values_mut().next().unwrap();
            article["blocks"][0]["text"] = json!("Other words.");
        });
        for member in ["stage", "assigned", "waivers", "drafted"] {
            self.planted(What::NoFold, |record| {
                record.shown[0].articles.values_mut().next().unwrap()[member] = json!("other");
            });
        }
        self.planted(What::NoFold, |record| drop(record.shown[0].articles.pop_first()));
        self.planted(What::NoFold, |record| record.journal.seen[0].digest = [0; 32]);
        self.planted(What::NoFold, |record| record.journal.seen[0].version += 1);
        self.planted(What::CheckpointNotExtended, |record| record.journal.kept[1].root = [0; 32]);
        self.planted(What::CheckpointNotExtended, |record| record.journal.kept[1].size = 99);
        self.planted(What::Conduct, |record| record.journal.conduct.push("it panicked".to_owned()));
    }
}

impl Record {
    pub(super) fn moves(&self) {
        self.planted(What::ToldOtherwise, |record| drop(record.journal.moved[0].remove(4)));
        self.planted(What::ToldOtherwise, |record| drop(record.journal.moved[0].pop()));
        self.planted(What::ToldOtherwise, |record| record.journal.moved[0].clear());
        self.planted(What::ToldOtherwise, |record| record.journal.moved[0].swap(4, 5));
        self.planted(What::ToldOtherwise, |record| {
            let again = record.journal.moved[0][4].clone();
            record.journal.moved[0].insert(5, again);
        });
        for (member, other) in [("by", json!("ben")), ("version", json!(9)), ("words", json!(mark(12)))] {
            self.planted(What::ToldOtherwise, |record| {
                record.journal.moved[0][4].told[member] = other.clone();
            });
        }
        // Of an event that the log doesn't have.
        self.planted(What::ToldOtherwise, |record| {
            let mut told = record.journal.moved[0].last().unwrap().clone();
            told.seq += 1;
            record.journal.moved[0].push(told);
        });
    }

    pub(super) fn deliveries(&self) {
        self.planted(What::Unsigned, |record| record.journal.delivered[1].is_signed = false);
        // The second edition of the story was never taken, however often it was sent.
        self.planted(What::EditionMissing, |record| record.journal.delivered[1].is_taken = false);
        self.planted(What::EditionMissing, |record| record.journal.delivered.clear());
        // The withdrawal was lost, which nothing later of its article shows.
        self.planted(What::EditionMissing, |record| drop(record.journal.delivered.pop()));
        self.planted(What::EditionOutOfOrder, |record| record.journal.delivered.swap(0, 1));
        self.planted(What::EditionOutOfOrder, |record| record.journal.delivered[1].body = [0; 32]);
        self.planted(What::EditionOutOfOrder, |record| {
            // What is on the wire of no newsroom.
            let mut other = record.journal.delivered[0].clone();
            other.event = "00000000-0000-4000-8000-000000000000".to_owned();
            record.journal.delivered.push(other);
        });
        // Sent again after a crash is no fault.
        let mut again = self.clone();
        again.journal.delivered.insert(2, self.journal.delivered[0].clone());
        assert_eq!(again.found(), []);
    }

    pub(super) fn waivers(&self) {
        // The chief lifted another query than the one that was open.
        self.planted(What::GateShut, |record| {
            record.log_alone();
            record.other_command("waive", "waived", |command| {
                command["data"]["reasons"][0]["query"] = json!("q2");
            });
        });
    }

    /// Has a message of the wire say something else, of which nobody got anything.
    fn in_message(&mut self, at: usize, text: &str, other: &str) {
        self.no_subscriber();
        self.journal.receivers.clear();
        self.journal.streamed.clear();
        let Content::Message { body, .. } = &mut self.wire[at].content else { panic!("erased") };
        *body = String::from_utf8(body.to_vec()).unwrap().replace(text, other).into();
    }

    /// Has another command been sent than the one that an event is of.
    pub(super) fn other_command(&mut self, kind: &str, event: &str, change: impl Fn(&mut Value)) {
        let sent = self.sent(kind);
        change(&mut sent.command);
        let command = sent.command.to_string();
        self.event(event, |event| {
            let hints = copydesk_article::command::Hints { kind: None, id: None };
            let command = copydesk_article::command::Command::read(command.as_bytes(), hints).unwrap();
            let salt = serde_json::from_value(event["salt"].clone()).unwrap();
            event["commandhash"] = json!(command.hash(&salt, None));
        });
    }
}
