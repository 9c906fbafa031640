//! Who wrote which words.
//!
//! Words are those of Unicode's default boundaries. Spaces and punctuation go with the words
//! beside them: a comma that happens to stand in both texts says nothing about who wrote it.

use std::ops::Range;
use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use super::diff;
use super::run::{Run, Text};
use super::spans::{Span, plain};

/// Gives each word of `new` its writer: words that stay from `old` keep theirs, also where only
/// their marks changed; the others are `by`'s. The same input always gives the same writers, on
/// every machine: how far it looks depends on sizes, not on time.
pub fn attribute(new: &[Span], old: Option<&Text>, by: &Arc<str>) -> Text {
    let words = plain(new);
    let mut writers = match old {
        Some(old) => writers(&words, old, by),
        None => vec![(words.len(), Arc::clone(by))],
    }
    .into_iter();

    let mut runs = Vec::new();
    let mut at = 0;
    let mut writer = writers.next();
    for span in new {
        let start = at;
        let end = start + span.text.len();
        while at < end {
            let (until, name) = match &writer {
                Some((until, name)) => (end.min(*until), Arc::clone(name)),
                None => (end, Arc::clone(by)),
            };
            runs.push(Run {
                text: span.text.get(at - start..until - start).unwrap_or_default().to_owned(),
                by: name,
                strong: span.strong,
                emphasis: span.emphasis,
                href: span.href.clone(),
            });
            at = until;
            if writer.as_ref().is_some_and(|(until, _)| *until <= at) {
                writer = writers.next();
            }
        }
    }
    Text::new(runs)
}

/// Who wrote `new`, each up to a byte of it.
fn writers(new: &str, old: &Text, by: &Arc<str>) -> Vec<(usize, Arc<str>)> {
    // Most texts are written on by who began them: what stays and what is new is theirs either way.
    if old.runs().iter().all(|run| run.by == *by) {
        return vec![(new.len(), Arc::clone(by))];
    }
    let old_words = old.plain();
    let mut old_writers = Vec::new();
    let mut until = 0;
    for run in old.runs() {
        until += run.text.len();
        old_writers.push((until, &run.by));
    }
    if old_words == new {
        return old_writers.into_iter().map(|(until, name)| (until, Arc::clone(name))).collect();
    }

    let (head, tail) = alike(&old_words, new);
    let old_between = old_words.get(head..old_words.len() - tail).unwrap_or_default();
    let new_between = new.get(head..new.len() - tail).unwrap_or_default();
    let (old_tokens, new_tokens) = (tokens(old_between), tokens(new_between));
    let kept = kept(&old_tokens, &new_tokens);

    let mut writers: Vec<(usize, Arc<str>)> = Vec::new();
    let mut push = |until: usize, name: &Arc<str>| match writers.last_mut() {
        Some(last) if last.1 == *name => last.0 = until,
        _ => writers.push((until, Arc::clone(name))),
    };
    // What stays: the writers of a stretch of the old text, for where it stands in the new one.
    let stays = |range: Range<usize>, start: usize, push: &mut dyn FnMut(usize, &Arc<str>)| {
        let first = old_writers.partition_point(|(until, _)| *until <= range.start);
        for (until, name) in old_writers.iter().skip(first) {
            if range.is_empty() {
                break;
            }
            push(start + until.min(&range.end) - range.start, name);
            if *until >= range.end {
                break;
            }
        }
    };
    stays(0..head, 0, &mut push);
    for ((start, token), from) in new_tokens.into_iter().zip(kept) {
        match from {
            Some(from) => stays(head + from..head + from + token.len(), head + start, &mut push),
            None => push(head + start + token.len(), by),
        }
    }
    stays(old_words.len() - tail..old_words.len(), new.len() - tail, &mut push);
    writers
}

/// How many bytes two texts have in common at their beginning and at their end, cut where a word ends on one side
/// of a space and another begins on the other, so that what lies between has the same words by itself. Most edits
/// change little, and to find words costs more than to compare bytes.
fn alike(old: &str, new: &str) -> (usize, usize) {
    let same = |(a, b): &(u8, u8)| a == b;
    let head = old.bytes().zip(new.bytes()).take_while(same).count();
    // The end is sought beyond all of that, so that no word counts for both.
    let most = old.len().min(new.len()) - head;
    let common = old.get(..floor(old, head)).unwrap_or_default();
    let begins_word = |text: &str| text.chars().next().is_some_and(char::is_alphanumeric);
    let ends_word = |text: &str| text.chars().next_back().is_some_and(char::is_alphanumeric);
    let between_words = |common: &str, at: usize| {
        common.get(..at).is_some_and(ends_word) && common.get(at + 1..).is_some_and(begins_word)
    };
    let head = common
        .rmatch_indices(' ')
        .map(|(at, _)| at)
        .find(|at| between_words(common, *at))
        .map_or(0, |at| at + 1);

    let tail = old.bytes().rev().zip(new.bytes().rev()).take(most).take_while(same).count();
    let common = old.get(ceil(old, old.len() - tail)..).unwrap_or_default();
    let at = common.match_indices(' ').map(|(at, _)| at).find(|at| between_words(common, *at));
    (head, at.map_or(0, |at| common.len() - at))
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn ceil(text: &str, at: usize) -> usize {
    (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// Words and what stands between them, by Unicode's default boundaries (UAX 29). For ASCII, which most of what is
/// edited is, the rules are few enough to be followed without tables.
pub(super) fn tokens(text: &str) -> Vec<(usize, &str)> {
    if !text.is_ascii() {
        return text.split_word_bound_indices().collect();
    }
    let bytes = text.as_bytes();
    let mut tokens = Vec::with_capacity(bytes.len() / 3);
    let mut start = 0;
    for at in 1..=bytes.len() {
        let around = |from: usize| bytes.get(from).copied().unwrap_or_default();
        let before = if at > 1 { around(at - 2) } else { 0 };
        if at == bytes.len() || is_boundary(before, around(at - 1), around(at), around(at + 1)) {
            tokens.push((start, text.get(start..at).unwrap_or_default()));
            start = at;
        }
    }
    tokens
}

/// Whether a word ends between the second and the third of four ASCII bytes.
fn is_boundary(before: u8, left: u8, right: u8, after: u8) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let joins = |middle: u8, one: u8, other: u8| match middle {
        b'.' | b'\'' => {
            one.is_ascii_alphabetic() && other.is_ascii_alphabetic()
                || one.is_ascii_digit() && other.is_ascii_digit()
        }
        b':' => one.is_ascii_alphabetic() && other.is_ascii_alphabetic(),
        b',' | b';' => one.is_ascii_digit() && other.is_ascii_digit(),
        _ => false,
    };
    let is_one = is_word(left) && is_word(right)
        || joins(right, left, after)
        || joins(left, before, right)
        || (left, right) == (b' ', b' ')
        || (left, right) == (b'\r', b'\n');
    !is_one
}

/// For each new token where in the old text it stood, if it stays.
fn kept(old: &[(usize, &str)], new: &[(usize, &str)]) -> Vec<Option<usize>> {
    fn only_tokens<'a>(tokens: &[(usize, &'a str)]) -> Vec<&'a str> {
        tokens.iter().map(|(_, token)| *token).collect()
    }
    let mut kept: Vec<Option<usize>> = vec![None; new.len()];
    for (old_at, new_at) in diff::matches(&only_tokens(old), &only_tokens(new)) {
        if let Some(kept) = kept.get_mut(new_at) {
            *kept = old.get(old_at).map(|(start, _)| *start);
        }
    }
    // What stands between words stays only beside a word that does.
    let is_word: Vec<bool> = new.iter().map(|(_, token)| !token.chars().all(is_filler)).collect();
    let mut beside = vec![false; new.len()];
    let mut stays = false;
    for ((kept, is_word), beside) in kept.iter().zip(&is_word).zip(&mut beside) {
        stays = kept.is_some() && (*is_word || stays);
        *beside |= stays;
    }
    stays = false;
    for ((kept, is_word), beside) in kept.iter().zip(&is_word).zip(&mut beside).rev() {
        stays = kept.is_some() && (*is_word || stays);
        *beside |= stays;
    }
    kept.into_iter().zip(beside).map(|(kept, beside)| kept.filter(|_| beside)).collect()
}

fn is_filler(c: char) -> bool {
    c.is_whitespace()
        || c.is_ascii_punctuation()
        || matches!(c, '\u{a1}' | '\u{ab}' | '\u{bb}' | '\u{bf}' | '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}' | '،' | '؛' | '؟' | '，' | '！' | '？' | '；' | '：')
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::super::marks;
    use super::*;

    fn text(source: &str, old: Option<&Text>, by: &str) -> Text {
        attribute(&marks::read(source).unwrap().0, old, &by.into())
    }

    fn shown(text: &Text) -> String {
        text.runs().iter().map(|run| format!("{}[{}]", run.by, run.text)).collect()
    }

    #[test]
    fn words_that_stay_keep_their_writer() {
        let first = text("The mayor said he would resign.", None, "ana");
        let second = text("The mayor said on Monday he would not resign.", Some(&first), "ben");
        assert_eq!(shown(&second), "ana[The mayor said ]ben[on Monday ]ana[he would]ben[ not]ana[ resign.]");
        let third = text("On Monday the mayor said he would not resign, ever.", Some(&second), "cem");
        assert!(third.runs().iter().filter(|run| &*run.by == "cem").any(|run| run.text.contains("ever")));
        assert_eq!(
            shown(&text("Nothing of that, at all.", Some(&first), "ben")),
            "ben[Nothing of that, at all.]"
        );
    }

    #[test]
    fn a_change_of_marks_leaves_the_writer() {
        let first = text("The *mayor* said [no](https://x.org).", None, "ana");
        let second = text("The **mayor** said [no](https://y.org).", Some(&first), "ben");
        assert!(second.writers().all(|by| &**by == "ana"));
        assert!(second.runs().iter().any(|run| run.strong && run.text == "mayor"));
        assert!(!second.same_words_and_marks(&first));
    }

    #[test]
    fn scripts_without_spaces_are_told_apart_by_word() {
        let first = text("市长说他将辞职。", None, "ana");
        assert_eq!(
            shown(&text("市长周一说他将辞职。", Some(&first), "ben")),
            "ana[市长]ben[周一]ana[说他将辞职。]"
        );
    }

    #[test]
    fn writers_of_a_stretch_are_those_of_its_bytes() {
        let first = text("one two", None, "ana");
        let second = text("one *two* three", Some(&first), "ben");
        let names = |range| second.writers_in(range).iter().map(|by| by.to_string()).collect::<Vec<_>>();
        assert_eq!(names(0..7), ["ana"]);
        assert_eq!(names(4..13), ["ana", "ben"]);
        assert_eq!(names(3..3), [""; 0]);
    }

    #[test]
    fn the_largest_texts_take_no_time() {
        let words = |salt: usize, vary: usize| {
            (0..)
                .map(|n: usize| format!("w{} ", (n * 7919 + salt * (n % 3)) % vary))
                .scan(0, |len, word| {
                    *len += word.len();
                    (*len < 256 * 1024).then_some(word)
                })
                .collect::<String>()
        };
        let cases = [
            (words(0, 1_000_000), words(1, 1_000_000).replace('w', "v")),
            (words(0, 1_000_000), words(1, 1_000_000)),
            (words(0, 50), words(1, 50)),
            (words(0, 3000), words(1, 3000)),
            ("a b ".repeat(64 * 1024), "b a a ".repeat(43 * 1024)),
            ("a".repeat(256 * 1024), "b".repeat(256 * 1024)),
            ("， ".repeat(64 * 1024), "。".repeat(64 * 1024)),
            (words(0, 1_000_000), words(0, 1_000_000).replace('1', "9")),
        ];
        for (index, (old, new)) in cases.iter().enumerate() {
            let by: Arc<str> = "ana".into();
            let old = attribute(&[Span::plain(old.as_str())], None, &by);
            let start = Instant::now();
            let text = attribute(&[Span::plain(new.as_str())], Some(&old), &"ben".into());
            let took = start.elapsed();
            eprintln!("case {index}: {took:?}, {} runs", text.runs().len());
            assert_eq!(&text.plain(), new);
            assert!(took < Duration::from_secs(5), "case {index}: {took:?}");
        }
    }

    proptest! {
        #[test]
        fn ascii_words_are_those_of_the_tables(text in "[ab19_.':;, \r\n\t\"-]{0,16}") {
            prop_assert_eq!(tokens(&text), text.split_word_bound_indices().collect::<Vec<_>>());
        }

        #[test]
        fn what_keeps_its_writer_stood_in_the_old_text_in_that_order(
            head in "([a-zé市ก]{1,3} ){0,4}", tail in "([ .,][a-zé市ก]{1,3}){0,4}",
            old in "[ab ,.é市]{0,12}", new in "[ab ,.é市]{0,12}",
        ) {
            let old = text(&format!("{head}{old}{tail}"), None, "ana");
            let new = text(&format!("{head}{new}{tail}"), Some(&old), "ben");
            let old = old.plain();
            let mut rest = old.chars();
            for run in new.runs().iter().filter(|run| &*run.by == "ana") {
                prop_assert!(run.text.chars().all(|c| rest.any(|other| other == c)), "{old:?} {}", shown(&new));
            }
            if let Some(first) = new.runs().first().filter(|_| !head.is_empty()) {
                prop_assert!(&*first.by == "ana" && first.text.len() >= head.trim_end().len(), "{}", shown(&new));
            }
        }

        #[test]
        fn words_and_marks_are_those_sent(old in marks::tests::nasty(20), new in marks::tests::nasty(20)) {
            let old = text(&old, None, "ana");
            let spans = marks::read(&new).unwrap().0;
            let text = attribute(&spans, Some(&old), &"ben".into());
            prop_assert_eq!(text.spans(), spans.clone());
            prop_assert_eq!(&text, &Text::new(text.runs().to_vec()));
            prop_assert_eq!(attribute(&spans, Some(&text), &"cem".into()), text.clone());
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), text);
        }
    }
}
