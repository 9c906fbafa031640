//! Sentences with marked words, in three scripts. Each is one sentence by the core's rules, and takes no marks.

use crate::torture::dice::Dice;
use crate::torture::journal::mark;

/// How much filling one sentence near the limits has, in bytes.
const LONG_BYTES: usize = 60_000;

/// A new marked word.
pub fn word(dice: &mut Dice) -> String {
    mark(dice.roll(1 << 48))
}

/// A sentence that begins with this word, and has another new one.
pub fn sentence_with(first: &str, dice: &mut Dice) -> String {
    let (new, count) = (word(dice), dice.roll(90) + 2);
    match dice.roll(4) {
        0 => format!("{first} قال متحدث {new} إن منسوب النهر ارتفع {count} أمتار."),
        1 => format!("{first} 据报道 {new} 河水上涨了 {count} 米。"),
        2 => format!("{first} Der Fluss {new} stieg – so hieß es – um {count} Meter."),
        _ => format!("{first} says that {new} rose by {count} metres near the old bridge."),
    }
}

/// A sentence of new words.
pub fn sentence(dice: &mut Dice) -> String {
    let first = word(dice);
    sentence_with(&first, dice)
}

/// A sentence that takes an article towards its limits.
pub fn long(dice: &mut Dice) -> String {
    let (first, last) = (word(dice), word(dice));
    let filling = ["water ", "水", "ماء "].get(dice.roll(3) as usize).copied().unwrap_or("water ");
    let times = LONG_BYTES / filling.len();
    format!("{first} {}{last} again.", filling.repeat(times))
}

/// The marked word that a sentence begins with.
pub fn first_word(sentence: &str) -> &str {
    sentence.split(' ').next().unwrap_or_default()
}
