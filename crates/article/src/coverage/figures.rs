//! Figures: numerals of any script that count, measure or date something. Numbers written as words, those of Chinese
//! and Japanese (三百万) among them, are words: too many of them are parts of other words.

/// The most digits of a number that only counts paragraphs or items.
const COUNTING_DIGITS: usize = 2;

/// Whether a sentence has a figure. `first` is said of the first of its text, which may begin with its own number.
pub fn has_figure(sentence: &str, first: bool) -> bool {
    let sentence = if first { without_number(sentence) } else { sentence };
    sentence.char_indices().any(|(at, c)| {
        let before = sentence.get(..at).unwrap_or_default();
        is_numeral(c) && !before.ends_with(is_numeral) && !is_of_a_name(before)
    })
}

/// The sentence without the number of an item or paragraph that it begins with: `1.`, `12)`.
fn without_number(sentence: &str) -> &str {
    let digits: String = sentence.chars().take_while(|c| is_numeral(*c)).collect();
    if !(1..=COUNTING_DIGITS).contains(&digits.chars().count()) {
        return sentence;
    }
    let rest = sentence.get(digits.len()..).unwrap_or_default();
    match rest.strip_prefix(['.', ')', '、', '．']) {
        Some(rest) if rest.is_empty() || rest.starts_with(char::is_whitespace) => rest,
        _ => sentence,
    }
}

/// A digit of any script, or a fraction. Superscripts mark footnotes, circled numbers count items, Roman numerals count
/// kings, and U+3007 belongs to numbers in words.
fn is_numeral(c: char) -> bool {
    c.is_numeric()
        && !matches!(c,
            '²' | '³' | '¹' | '\u{2070}'..='\u{209f}' | '\u{2160}'..='\u{2188}' | '\u{2460}'..='\u{24ff}'
            | '\u{2776}'..='\u{2793}' | '\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3192}'..='\u{3195}'
            | '\u{3220}'..='\u{32bf}')
}

/// Whether what stands before a numeral makes it a part of a name: `G` of `G7`, `COVID-` of `COVID-19`. In scripts that
/// put words and figures together without a space it doesn't; nor do the codes of currencies, as far as they are told
/// from names, and dates written through with hyphens.
fn is_of_a_name(before: &str) -> bool {
    let joined = before.ends_with(['-', '\u{2010}', '\u{2011}']);
    let before = before.strip_suffix(['-', '\u{2010}', '\u{2011}']).unwrap_or(before);
    let start = before
        .rfind(|c: char| !is_of_names(c))
        .map_or(0, |at| at + before.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8));
    let letters = before.get(start..).unwrap_or_default();
    let is_code = letters.chars().count() == 3 && letters.bytes().all(|b| b.is_ascii_uppercase());
    let is_currency =
        !joined && (is_code || matches!(letters, "Rs" | "Rp" | "kr" | "Kr" | "RM" | "Sh" | "Ksh"));
    // After a hyphen a word with a small beginning is a word of its own: `mid-2019`.
    let is_word = joined && !letters.contains(char::is_uppercase);
    !letters.is_empty() && !is_currency && !is_word
}

/// Letters of scripts that write words apart from figures, so that a figure written on to them belongs to them.
fn is_of_names(c: char) -> bool {
    c.is_alphabetic() && matches!(c, 'A'..='Z' | 'a'..='z' | '\u{c0}'..='\u{24f}' | '\u{370}'..='\u{52f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_one_in_the_digits_of_any_script() {
        for figure in [
            "It has 12 rooms.",
            "The year 2019.",
            "5pm",
            "$5",
            "USD300",
            "Rs500",
            "mid-2019",
            "½ a cup",
            "٢٥ شخصا",
            "۲۵ نفر",
            "و25 آخرين",
            "१२ लोग",
            "১২ জন",
            "๑๒ คน",
            "有300人",
            "300万人",
            "３００人",
            "21-23 May",
            "H2O and 3 more",
        ] {
            assert!(has_figure(figure, false), "{figure}");
        }
    }

    #[test]
    fn names_notes_and_the_numbers_of_items_are_none() {
        for none in [
            "COVID-19 spread.",
            "The G7 met.",
            "An F-16 and an A380.",
            "H2O",
            "Ту-154",
            "Said so.²",
            "① First",
            "Elizabeth Ⅱ",
            "三百万人",
            "二〇二六年",
            "No figure at all.",
        ] {
            assert!(!has_figure(none, false), "{none}");
        }
        assert!(!has_figure("1. The first.", true) && !has_figure("12) x", true));
        assert!(
            has_figure("12.5 people", true) && has_figure("1. He has 3.", true) && has_figure("1. x", false)
        );
    }
}
