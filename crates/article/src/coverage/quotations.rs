//! Quotations: what stands in the quotation marks of the world.
//!
//! A mark can open, close, or stand for something else (an apostrophe, inches, a Hebrew abbreviation), and which it does
//! turns on what stands beside it. A quotation may go over several sentences; one that is opened and never closed goes
//! on to the end of its paragraph, as where the mark is repeated at each paragraph and closed at the last.

use std::ops::Range;

/// A sort of quotation marks.
struct Marks {
    opens: char,
    /// What closes it; where several do, the first of them that comes at all.
    closes: &'static [char],
    /// What it may be beside a quotation mark.
    also: Also,
}

/// What else a mark is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Also {
    /// Nothing: it opens wherever it stands.
    Nothing,
    /// It opens and closes alike, or stands within words: which, is told from what stands beside it.
    Neutral,
    /// An apostrophe: as before, and a single word between two of them is none.
    Apostrophe,
    /// The mark of a title in Chinese, Japanese and Korean.
    Title,
}

const fn marks(opens: char, closes: &'static [char], also: Also) -> Marks {
    Marks { opens, closes, also }
}

const MARKS: &[Marks] = &[
    marks('"', &['"', '”', '“'], Also::Neutral),
    marks('＂', &['＂'], Also::Neutral),
    marks('״', &['״'], Also::Neutral),
    marks('“', &['”', '“', '"'], Also::Nothing),
    marks('”', &['”'], Also::Neutral),
    marks('‟', &['”', '“'], Also::Nothing),
    marks('„', &['“', '”', '‟'], Also::Nothing),
    marks('⹂', &['“', '”', '‟'], Also::Nothing),
    marks('«', &['»'], Also::Nothing),
    marks('»', &['«', '»'], Also::Neutral),
    marks('‹', &['›'], Also::Nothing),
    marks('›', &['‹', '›'], Also::Neutral),
    marks('‘', &['’'], Also::Neutral),
    marks('‚', &['‘', '’'], Also::Neutral),
    marks('’', &['’'], Also::Apostrophe),
    marks('\'', &['\''], Also::Apostrophe),
    marks('「', &['」'], Also::Nothing),
    marks('『', &['』'], Also::Nothing),
    marks('｢', &['｣'], Also::Nothing),
    marks('﹁', &['﹂'], Also::Nothing),
    marks('﹃', &['﹄'], Also::Nothing),
    marks('〝', &['〞', '〟'], Also::Nothing),
    marks('❝', &['❞'], Also::Nothing),
    marks('❛', &['❜'], Also::Nothing),
    marks('《', &['》'], Also::Title),
    marks('〈', &['〉'], Also::Title),
];

/// Languages in which a dash at the beginning of a paragraph says that somebody speaks.
const DASHES: &[&str] = &[
    "be", "bg", "bs", "ca", "cs", "da", "el", "es", "et", "fi", "fr", "gl", "hr", "hu", "is", "it", "lt",
    "lv", "mk", "nb", "nn", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "tr", "uk",
];

/// Where quotations stand in a text, their marks left out.
pub fn quotations(text: &str, language: &str) -> Vec<Range<usize>> {
    let language = language.to_ascii_lowercase();
    let main = language.split('-').next().unwrap_or_default();
    if DASHES.contains(&main)
        && text.strip_prefix(['–', '—', '―']).is_some_and(|rest| rest.starts_with(char::is_whitespace))
    {
        return std::iter::once(0..text.len()).collect();
    }
    // Nor does a dash after a colon in them mean anything else.
    let said = if DASHES.contains(&main) { text.find(": –").or_else(|| text.find(": —")) } else { None };
    let titles = matches!(main, "zh" | "ja" | "ko" | "yue") && language != "ko-kp";
    let mut found: Vec<Range<usize>> = said.map(|at| at + ": ".len()..text.len()).into_iter().collect();
    let mut from = 0;
    let mut absent = Absent::default();
    while let Some((marks, range)) = next(text, from, titles, &mut absent) {
        let closed_by = text.get(range.end..).and_then(|rest| rest.chars().next());
        from = range.end + closed_by.map_or(0, char::len_utf8);
        if says(text.get(range.clone()).unwrap_or_default(), marks.also) {
            found.push(range);
        }
    }
    found.sort_by_key(|range| range.start);
    found
}

/// Closing marks that don't come any more, so that a text full of marks that are never closed isn't looked through for
/// each of them: what closes, what it would close, and whether that stands apart from words.
type Absent = std::collections::HashSet<(char, char, bool)>;

/// The next quotation that opens at `from` or later.
fn next(
    text: &str,
    from: usize,
    titles: bool,
    absent: &mut Absent,
) -> Option<(&'static Marks, Range<usize>)> {
    for (offset, c) in text.get(from..)?.char_indices() {
        let at = from + offset;
        let Some(marks) = MARKS.iter().find(|marks| marks.opens == c) else { continue };
        if (titles && marks.also == Also::Title) || !opens(text, at, marks) {
            continue;
        }
        let start = at + c.len_utf8();
        match closing(text, start, marks, absent) {
            Some(end) => return Some((marks, start..end)),
            // One that is never closed goes on to the end; one that may be something else is that.
            None if goes_on(marks) => return Some((marks, start..text.len())),
            None => {}
        }
    }
    None
}

/// Whether it can be opened in one paragraph and closed in another.
fn goes_on(marks: &Marks) -> bool {
    marks.also == Also::Nothing || matches!(marks.opens, '"' | '＂')
}

fn opens(text: &str, at: usize, marks: &Marks) -> bool {
    if matches!(marks.also, Also::Nothing | Also::Title) {
        return true;
    }
    let before = text.get(..at).and_then(|before| before.chars().next_back());
    let after = text.get(at + marks.opens.len_utf8()..).and_then(|after| after.chars().next());
    // In scripts without spaces, and after the short words that Arabic joins to the next, marks stand right at letters.
    let joins = |c: char| c.is_alphanumeric() && !is_unspaced(c);
    // White space on both sides is how some write a mark that opens.
    let apart = matches!(marks.opens, '"' | '»') && before.is_none_or(char::is_whitespace);
    !before.is_some_and(joins) && after.is_some_and(|after| apart || !after.is_whitespace())
}

/// Where the quotation that starts here is closed.
fn closing(text: &str, start: usize, marks: &Marks, absent: &mut Absent) -> Option<usize> {
    let rest = text.get(start..)?;
    let apart = rest.starts_with(char::is_whitespace);
    marks.closes.iter().find_map(|closes| {
        let key = (*closes, marks.opens, apart);
        if absent.contains(&key) {
            return None;
        }
        let mut depth = 0_usize;
        let end = rest.char_indices().find_map(|(offset, c)| {
            if c == marks.opens && *closes != c && marks.also != Also::Neutral {
                depth += 1;
            } else if c == *closes && (marks.also == Also::Nothing || stands_at_end(rest, offset, c, apart)) {
                if depth == 0 {
                    return Some(start + offset);
                }
                depth -= 1;
            }
            None
        });
        if end.is_none() {
            absent.insert(key);
        }
        end
    })
}

/// Whether a mark that may be something else stands at the end of words: not within one, and not, unless the first mark
/// stood so too, apart from them.
fn stands_at_end(rest: &str, offset: usize, mark: char, apart: bool) -> bool {
    let after = rest.get(offset + mark.len_utf8()..).and_then(|after| after.chars().next());
    let before = rest.get(..offset).and_then(|before| before.chars().next_back());
    let within = after.is_some_and(|c| c.is_alphanumeric() && !is_unspaced(c));
    !within && (apart || matches!(mark, '«' | '»') || !before.is_none_or(char::is_whitespace))
}

/// Whether words stand between the marks.
fn says(quoted: &str, also: Also) -> bool {
    let words = quoted.split_whitespace().filter(|word| word.contains(char::is_alphabetic)).count();
    words >= if also == Also::Apostrophe { 2 } else { 1 }
}

/// Letters beside which a mark stands without a space.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{600}'..='\u{6ff}' // Arabic: short words are joined to the next
        | '\u{e00}'..='\u{eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' // Burmese, Khmer
        | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}'
        | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}' // Chinese, Japanese, Korean
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str, language: &str) -> Vec<String> {
        quotations(text, language).into_iter().map(|range| text[range].trim().to_owned()).collect()
    }

    #[test]
    fn quotations_are_seen_in_the_marks_of_many_languages() {
        for (text, language, expected) in [
            ("He said \"no way\".", "en", "no way"),
            ("He said “no way”.", "en", "no way"),
            ("‘I don’t know,’ he said.", "en-GB", "I don’t know,"),
            ("He said 'no way' twice.", "en", "no way"),
            ("Er sagte „nein“.", "de", "nein"),
            ("Er sagte ‚nein‘.", "de", "nein"),
            ("Er sagte »nein«.", "de", "nein"),
            ("Powiedział „nie”.", "pl", "nie"),
            ("Il a dit « non ».", "fr", "non"),
            ("Il a dit «\u{a0}non\u{a0}».", "fr", "non"),
            ("Hon sa ”ja”.", "sv", "ja"),
            ("Hän sanoi »kyllä».", "fi", "kyllä"),
            ("Hän sanoi ’kyllä on’.", "fi", "kyllä on"),
            ("彼は「はい」と言った。", "ja", "はい"),
            ("彼は『はい』と言った。", "ja", "はい"),
            ("彼は｢はい｣と言った。", "ja", "はい"),
            ("他說﹁好﹂。", "zh-Hant", "好"),
            ("他说“好”。", "zh", "好"),
            ("그는 ‘좋다’고 말했다.", "ko", "좋다"),
            ("그는 \"좋다\"고 말했다.", "ko", "좋다"),
            ("그는 《좋다》고 말했다.", "ko-KP", "좋다"),
            ("הוא אמר ״לא״.", "he", "לא"),
            ("הוא אמר \"לא\".", "he", "לא"),
            ("قال «لا».", "ar", "لا"),
            ("उसने कहा, “नहीं”।", "hi", "नहीं"),
            ("⹂Nem” mondta.", "hu", "Nem"),
            ("“He said ‘no’ and “yes” to us”", "en", "He said ‘no’ and “yes” to us"),
            ("He said: \"We came.", "en", "We came."),
            ("他說\"好的，”他又說。", "zh", "好的，"),
            ("उसने कहा, \" नहीं \" ।", "hi", "नहीं"),
            ("قال ل\"سي إن إن\" إنه", "ar", "سي إن إن"),
            ("Powiedział: — Nie było.", "pl", "— Nie było."),
            ("– Vi är glada, säger hon.", "sv", "– Vi är glada, säger hon."),
        ] {
            assert_eq!(quoted(text, language), [expected], "{text}");
        }
    }

    #[test]
    fn a_text_full_of_marks_costs_what_its_length_says() {
        for piece in
            [" 'a", " ‘a", "“a ", "„a ", " \"a", "« a", "»a ", "《a", "\" a", " ’a", "“a”. ", "『a「"]
        {
            let text = piece.repeat(128 * 1024 / piece.len());
            let started = std::time::Instant::now();
            let found = super::super::in_words(&text, "en", false).len();
            assert!(started.elapsed() < std::time::Duration::from_secs(10), "{piece}: {found}");
        }
    }

    #[test]
    fn what_only_looks_like_a_mark_is_none() {
        for (text, language) in [
            ("a 6\" pipe and a 5\" pipe", "en"),
            ("It’s the workers’ and the bosses’ party.", "en"),
            ("It's the workers' and the bosses' party.", "en"),
            ("rock ’n’ roll in the ’90s", "en"),
            ("rock 'n' roll", "en"),
            ("צה״ל ומנכ״ל", "he"),
            ("צה\"ל ומנכ\"ל", "he"),
            ("《人民日报》和〈背影〉", "zh"),
            ("“ ”", "en"),
            ("– an item of a list", "en"),
            ("’s-Gravenhage en ’t Gooi", "nl"),
        ] {
            assert_eq!(quoted(text, language), Vec::<String>::new(), "{text}");
        }
    }
}
