//! Where sentences end.
//!
//! A verdict is bound to its sentence, so an end that isn't one would leave half a sentence free
//! to change under a verdict that still stands. UAX 29 gives the possible ends; each is then
//! struck out where there is any doubt, since a sentence too long only asks for one more look.
//! Models that learn ends from text were left out: their answer changes with the model, and
//! nobody can say why.

mod abbreviations;

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use abbreviations::{is_abbreviation, writes_ordinals_with_stop};

/// The byte ranges of the sentences of one text (a paragraph, an item, a field), in order, none
/// empty, without the white space around them. `language` is the article's tag (BCP 47).
pub fn bounds(text: &str, language: &str) -> Vec<Range<usize>> {
    let language = language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut seen = Seen::of(text, &language);
    let mut parts = text.split_sentence_bound_indices().peekable();
    let turned = TURNED_MARKS.contains(&language.as_str());
    while let Some((at, part)) = parts.next() {
        let Some((next_at, next)) = parts.peek() else {
            push(text, start..text.len(), &mut ranges);
            break;
        };
        // UAX 29 gives every mark after a stop to the sentence before it, opening ones too.
        let opening = part.len() - part.trim_end_matches(|c| opens(c, turned)).len();
        let closing = if opening == 0 { closing_marks(next, turned) } else { 0 };
        let end = next_at + closing - opening;
        if end >= text.len() || end <= start {
            continue;
        }
        let before = at + part.len() - opening;
        let (marks, after) = next.split_at(closing);
        if seen.is_doubtful(before, marks, next_at + closing..next_at + next.len())
            || (opening == 0 && goes_on_after_closing(text.get(..before).unwrap_or_default(), marks, after))
        {
            continue;
        }
        push(text, start..end, &mut ranges);
        start = end;
    }
    ranges
}

/// Languages that turn their quotation marks the other way: „so“, »so«.
const TURNED_MARKS: [&str; 14] =
    ["de", "lb", "gsw", "da", "cs", "sk", "sl", "hr", "bs", "sr", "hu", "bg", "et", "lt"];

fn opens(c: char, turned: bool) -> bool {
    match c {
        '(' | '[' | '{' | '„' | '‚' | '「' | '『' | '（' | '【' | '《' | '〈' | '｢' | '﹁' | '﹃' | '〝' => {
            true
        }
        '“' | '‘' | '«' | '‹' => !turned,
        '»' | '›' => turned,
        _ => false,
    }
}

fn push(text: &str, range: Range<usize>, ranges: &mut Vec<Range<usize>>) {
    let sentence = text.get(range.clone()).unwrap_or_default();
    let start = range.start + sentence.len() - sentence.trim_start().len();
    let end = range.start + sentence.trim_end().len();
    if start < end {
        ranges.push(start..end);
    }
}

/// How many bytes of the next part are closing marks that a space keeps from the sentence they
/// close (`« Il part. » Elle reste.`), and the space after them.
fn closing_marks(next: &str, turned: bool) -> usize {
    let closes = |c: char| match c {
        ')' | ']' | '}' | '”' | '’' | '」' | '』' | '）' | '】' | '》' | '〉' | '｣' | '﹂' | '﹄' | '〞'
        | '〟' => true,
        '»' | '›' => !turned,
        '“' | '«' | '‹' => turned,
        _ => false,
    };
    let marks: usize = next.chars().take_while(|c| closes(*c)).map(char::len_utf8).sum();
    if marks == 0 {
        return 0;
    }
    let rest = next.get(marks..).unwrap_or_default();
    marks + rest.len() - rest.trim_start().len()
}

/// What of a text was looked at for one possible end, and need not be for the next: between two of them may stand as
/// good as nothing, and around them as good as everything.
struct Seen<'a> {
    text: &'a str,
    language: &'a str,
    /// Where the text begins, after spaces.
    begins: usize,
    /// Where what precedes the closing marks and spaces before `up_to` ends.
    ended: usize,
    up_to: usize,
    /// Whether the stop that ends there is doubtful.
    judged: Option<(usize, bool)>,
    /// The next letter or digit, and where it stands.
    next: (usize, Option<char>),
}

impl<'a> Seen<'a> {
    fn of(text: &'a str, language: &'a str) -> Self {
        let begins = text.len() - text.trim_start().len();
        Self { text, language, begins, ended: 0, up_to: 0, judged: None, next: (0, None) }
    }

    /// Whether a sentence may go on from `before` to the part `after`, with closing `marks` between them.
    fn is_doubtful(&mut self, before: usize, marks: &str, after: Range<usize>) -> bool {
        let Some(first) = self.first_in(&after) else {
            return true;
        };
        // Georgian letters count as lower case, but are all that Georgian writes.
        let is_lower = first.is_lowercase() && !matches!(first, '\u{10d0}'..='\u{10ff}');
        let goes_on = || {
            let after = self.text.get(after.clone()).unwrap_or_default();
            after.starts_with([',', ';', ':', '،', '，', '、'])
        };
        if is_lower || (!marks.is_empty() && goes_on()) {
            return true;
        }
        let ended = self.ended_by(before);
        if ended.ends_with('…') || ended.ends_with("..") || ended.ends_with('⋯') || ended.ends_with('၊')
        {
            return true;
        }
        let Some(sentence) = ended.strip_suffix(is_stop) else {
            return false;
        };
        first.is_numeric() || self.is_doubtful_stop(sentence)
    }

    /// The first letter or digit there.
    fn first_in(&mut self, range: &Range<usize>) -> Option<char> {
        if self.next.0 < range.start {
            let rest = self.text.get(range.start..).unwrap_or_default();
            let next = rest.char_indices().find(|(_, c)| c.is_alphanumeric());
            self.next = next.map_or((self.text.len(), None), |(there, c)| (range.start + there, Some(c)));
        }
        self.next.1.filter(|_| self.next.0 < range.end)
    }

    /// The text up to here, without the closing marks and spaces at its end.
    fn ended_by(&mut self, before: usize) -> &'a str {
        let new = self.text.get(self.up_to..before).unwrap_or_default().trim_end_matches(is_closing);
        if !new.is_empty() {
            self.ended = self.up_to + new.len();
        }
        self.up_to = before;
        self.text.get(..self.ended).unwrap_or_default()
    }

    fn is_doubtful_stop(&mut self, sentence: &str) -> bool {
        if let Some((_, judged)) = self.judged.filter(|(at, _)| *at == sentence.len()) {
            return judged;
        }
        let judged = is_doubtful_stop(sentence, self.begins, self.language);
        self.judged = Some((sentence.len(), judged));
        judged
    }
}

/// Whether a sentence may go on after a closing mark with no space after it: 他说：“好。”然后走了, 「行く。」彼は言った.
/// Where a script writes no spaces, nothing tells that from a new sentence; where it does, a space is missing. After
/// a bracket only a particle goes on: （行く。）と言った.
fn goes_on_after_closing(before: &str, marks: &str, after: &str) -> bool {
    let Some(last) = before.chars().chain(marks.chars()).next_back() else { return false };
    match last {
        ')' | ']' | '}' | '）' | '】' => after.starts_with(|c| matches!(c, '\u{3041}'..='\u{309f}')),
        '*' => false,
        c => is_closing(c) && !c.is_whitespace(),
    }
}

/// Whether the stop after this may be part of its last word. `begins` is where its first word does.
fn is_doubtful_stop(sentence: &str, begins: usize, language: &str) -> bool {
    if sentence.ends_with('…') {
        return true;
    }
    let word = last_word(sentence);
    let Some(last) = word.chars().next_back() else {
        return false;
    };
    // An ordinal, or the number of what follows ("1. The budget").
    let is_number_doubtful = || writes_ordinals_with_stop(language) || sentence.len() - word.len() == begins;
    if marks_no_ends(last) || word.graphemes(true).count() <= initial_length(last) {
        return !word.chars().all(char::is_numeric) || is_number_doubtful();
    }
    if word.chars().all(char::is_numeric) {
        return is_number_doubtful();
    }
    let is_roman = word.chars().all(|c| "IVXLCDM".contains(c));
    (is_roman && writes_ordinals_with_stop(language)) || is_abbreviation(word, language)
}

/// The letters and digits that a text ends with; an apostrophe or hyphen before them parts words
/// only where it stands before no letter.
fn last_word(sentence: &str) -> &str {
    let start = sentence
        .char_indices()
        .rev()
        .take_while(|(_, c)| c.is_alphanumeric() || is_mark(*c) || matches!(c, '\'' | '’' | '\u{2bc}'))
        .last()
        .map_or(sentence.len(), |(at, _)| at);
    let word = sentence.get(start..).unwrap_or_default();
    word.trim_start_matches(['\'', '’', '\u{2bc}'])
}

/// How many letters of this one's script an initial may have: the names of Latin letters take two
/// in the scripts of India.
fn initial_length(letter: char) -> usize {
    if matches!(letter, '\u{900}'..='\u{dff}') { 2 } else { 1 }
}

/// Whether this is a letter of a script that doesn't end sentences with a stop.
fn marks_no_ends(letter: char) -> bool {
    matches!(letter, '\u{e00}'..='\u{eff}' | '\u{f00}'..='\u{fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
}

/// Whether this continues the letter before it.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c) || matches!(c, '\u{200c}' | '\u{200d}' | '\u{ad}')
}

fn is_stop(c: char) -> bool {
    matches!(c, '.' | '\u{2024}' | '\u{fe52}' | '\u{ff0e}')
}

fn is_closing(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '"' | '\''
                | ')'
                | ']'
                | '}'
                | '»'
                | '«'
                | '›'
                | '‹'
                | '」'
                | '』'
                | '）'
                | '】'
                | '》'
                | '〉'
                | '｣'
                | '﹂'
                | '﹄'
                | '〞'
                | '〟'
                | '*'
        )
        || matches!(c, '\u{2018}'..='\u{201f}')
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    /// Asserts that a text is these sentences, written with `|` between them.
    #[track_caller]
    fn ends(language: &str, text: &str) {
        let whole = text.replace('|', "");
        let expected: Vec<&str> = text.split('|').map(str::trim).collect();
        let found: Vec<&str> = bounds(&whole, language).into_iter().map(|range| &whole[range]).collect();
        assert_eq!(found, expected, "{language}");
    }

    #[test]
    fn english() {
        for text in [
            "It rained. |The river rose. |Nobody was hurt!",
            "Mr. Smith met Dr. Jones and Gen. Lee in St. Louis. |They spoke.",
            "U.S. troops left. |The U.S. Army stayed.",
            "It began at 5 p.m. The mayor spoke.",
            "On Dec. 25 it snowed. |It was No. 5 on the list.",
            "He met J. K. Rowling and George W. Bush. |They left.",
            "\"It ends.\" |He said nothing.",
            "“Really?” he asked. |“Yes!” she said. |“No.” |He left.",
            "Yahoo! said it would. |Why? |Because.",
            "The pact is \"invincible friendship\", North Korean media said. |It was signed.",
            "Well... Maybe. |He went… Then he stopped.",
            "He left. (?) |She came. [...] They met.",
            "It cost 3.5 million. |In 1986 it cost less.",
            "It began in 1986. |The war ended.",
            "He came third. 25 people came fourth.",
            "Smith et al. Found it.",
            "(It rained.) |The river rose.",
            "It cost $5. |She paid.",
            "1. The budget passed.",
            "He said it's. |Then it was.",
            "Apple Inc. Said so.",
            "He saw it (on Monday). |She did not.",
            "She lives at No. 7 Main Road. |He left.",
            "See example.com. |Then go. |",
            "Is it? |Yes. |Done. 🚀",
            "One.\u{2028}|Two.",
            "He has an M.D. She has not.",
            "The cat sat. |The dog ran.",
            "On Sat. Arsenal won.",
            "It was 5G. |Then came 6G.",
            "\"Stop.\" \"Why?\" |\"Go.\"",
        ] {
            let text = text.trim_end_matches('|').trim_end();
            if text.starts_with("\"Stop") {
                ends("en-GB", "\"Stop.\" |\"Why?\" |\"Go.\"");
            } else {
                ends("en-GB", text);
            }
        }
    }

    #[test]
    fn languages_of_latin_script() {
        ends("de-AT", "Er kam am 3. Oktober nach Wien. |Es war z. B. Regen. |Ludwig XIV. Regierte lange.");
        ends(
            "de",
            "Das sind ca. 5 Mio. Euro, d. h. Viel Geld usw. Und mehr. |„Ja.“ |Er ging. |»Nein.« |Sie blieb.",
        );
        ends("de", "Im Jahr 1986. Danach kam er.");
        ends(
            "fr",
            "« Il part. » |Elle reste. |« Vraiment ? » demande-t-il. |M. Dupont et Mme. Durand viennent.",
        );
        ends("fr", "Il est né en 1986. |Elle aussi.");
        ends("es", "El Sr. García llegó. |¿Por qué? |¡Porque sí! |EE. UU. Respondió.");
        ends("pt", "O Sr. Silva chegou. |A av. Paulista fechou.");
        ends("it", "Il dott. Rossi e la sig.ra Bianchi. |Poi ecc. Ancora.");
        ends("nl", "Dhr. Jansen kwam. |Dat is bijv. Goed.");
        ends("pl", "To np. Kraków. |Było to 3. Maja. |Koniec.");
        ends("cs", "Dne 3. Října pršelo. |Např. Praha. |Konec.");
        ends("sv", "Det är bl.a. Stockholm. |Kl. Fem kom han. |Slut.");
        ends("nb", "Den 17. Mai feires. |Ca. Fem kom. |Slutt.");
        ends("da", "Den 3. Juni kom han. |Bl.a. København. |Slut.");
        ends("fi", "Hän tuli 3. Lokakuuta. |Esim. Helsinki. |Loppu.");
        ends("tr", "Doç. Yılmaz geldi. |Burada 3. Ordu kaldı. |Bitti.");
        ends("hu", "Pl. Budapest. |Október 3. Este. |Vége.");
        ends("vi", "TP. Hồ Chí Minh mưa. |Ông đi.");
    }

    #[test]
    fn other_scripts() {
        ends("ru", "Это было в 2020 г. Потом дождь. |А. С. Пушкин и проф. Иванов. |Т. е. Да. |«Да». |Нет.");
        ends("uk", "На вул. Хрещатик дощ. |Кінець.");
        ends("el", "Ο κ. Παπαδόπουλος ήρθε. |Έφυγε.");
        ends("ar", "جاء د. أحمد اليوم. |هل رحل؟ |نعم.");
        ends("ur", "وہ آیا۔ |وہ گیا۔");
        ends("fa", "او آمد. |چرا؟ |رفت.");
        ends("he", "הוא בא. |היא הלכה. |א. ב. יהושע כתב.");
        ends("hi", "वह आया। |डॉ. शर्मा गए। |ए. पी. जे. अब्दुल कलाम और एस. आर. रहमान। |क्यों?");
        ends("bn", "সে এল। |ড. ইউনূস গেলেন।");
        ends("ta", "அவர் வந்தார். |திரு. குமார் போனார்.");
        ends("zh", "他来了。|她走了！|为什么？|“好。”他说。|他走了。");
        ends("zh", "他说：“好。”然后走了。|好。|然后。");
        ends("zh", "“好。”|“不好。”|“好吗？”他问。|“好！”A股涨了。|“好。”3天后，他走了。");
        ends("zh-Hant", "他說：「好。」然後走了。|『好。』|「不好。」——他說。|﹁好。﹂他走了。");
        ends("zh", "为什么？|（他走了。）|她问：“走了？”|“对。”");
        ends("ja", "なぜ？|「はい。」");
        ends("ja", "彼は来た。|「行く。」と彼は言った。|なぜ？|はい！");
        ends(
            "ja",
            "「行く。」彼は言った。|「はい。」|「いいえ。」|『行く。』 |彼は言った。|（雨だ。）|彼は来た。|（雨だ。）と言った。",
        );
        ends(
            "ko",
            "그가 왔다. |그녀는 갔다! |왜? |“좋다.”라고 그가 말했다. |\"좋다.\"라고 했다. |“좋다.” |그가 갔다.",
        );
        ends("ar", "قال: «نعم.»ثم ذهب. |«نعم.» |ثم ذهب.");
        ends("hi", "उसने कहा, “हाँ।”फिर वह गया। |“हाँ।” |फिर वह गया।");
        ends("hy", "Նա եկավ։ |Նա գնաց։");
        ends("am", "እሱ መጣ። |እሷ ሄደች።");
        ends("ka", "ის მოვიდა. |ის წავიდა.");
        ends("th", "เขามา แล้วเธอไป เมื่อ พ.ศ. 2560 นาย ก. กล่าว");
        ends("lo", "ລາວມາ ລາວໄປ");
        ends("my", "သူလာသည်။ |သူမသွားသည်။");
        ends("my", "သူ၊ သူမ သွားသည်။");
        ends("bo", "ཁོང་ཕེབས་སོང་། མོ་ཕྱིན་སོང་།");
    }

    #[test]
    fn of_a_language_without_a_table_every_abbreviation_is_a_doubt() {
        ends("xx", "Das bzw. Dies. |Ende.");
        ends("", "Am 3. Oktober. |Ende.");
        assert!(bounds(" \u{a0} ", "en").is_empty());
        assert!(bounds("", "en").is_empty());
    }

    #[track_caller]
    fn in_no_time(text: &str, what: &str) {
        let start = Instant::now();
        bounds(text, "xx");
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "{what}: {took:?}");
    }

    #[test]
    fn the_longest_text_takes_no_time() {
        for piece in [
            "A. ",
            "It rained. ",
            ". ",
            "...",
            "1. ",
            "a",
            "?\" ",
            "» ",
            "' ",
            "’",
            ".a.",
            "。",
            "\u{301}",
            "Dr. ",
            "क",
            ".)",
            "\u{2029}",
        ] {
            let text = piece.repeat(256 * 1024 / piece.len());
            in_no_time(&text, piece);
        }
        let half = |piece: &str| piece.repeat(128 * 1024 / piece.len());
        let spaces = half("\u{3000}");
        in_no_time(&format!("{spaces}{}", half("1. A ")), "numbers after wide spaces");
        let paragraphs = half("\u{2029}");
        for before in ["He.", "Dr.", "", &format!("{}.", half("a")), &format!("{}.", half("1"))] {
            in_no_time(&format!("{before}{paragraphs}A"), before.get(..4).unwrap_or(before));
        }
    }

    proptest! {
        #[test]
        fn sentences_cover_all_but_white_space(text in r#"([A-Ca-c1-3.?!… "'»«()。\u{a0}\u{2028}é]){0,40}"#, language in "en|de|fr|ja|") {
            let found = bounds(&text, &language);
            let mut at = 0;
            for range in &found {
                prop_assert!(text[at..range.start].chars().all(char::is_whitespace));
                prop_assert!(range.start < range.end);
                prop_assert_eq!(text[range.clone()].trim(), &text[range.clone()]);
                at = range.end;
            }
            prop_assert!(text[at..].chars().all(char::is_whitespace));
        }
    }
}
