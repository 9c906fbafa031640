//! Which sentences the rule `coverage` asks a claim for: reads texts from standard input, a paragraph a line with its
//! language before it (`en<TAB>The river rose.`), and writes each sentence found: why, language, sentence. Counts go to
//! standard error.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use copydesk_article::coverage::in_words;
use copydesk_article::text::sentences;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let Some((language, text)) = line.split_once('\t') else { continue };
        let found = in_words(text, language, false);
        let [all, flagged] = counts.entry(language.to_owned()).or_default();
        *all += sentences::bounds(text, language).len();
        *flagged += found.len();
        for (_, range, why) in found {
            writeln!(out, "{why:?}\t{language}\t{}", text.get(range).unwrap_or_default())?;
        }
    }
    for (language, [all, flagged]) in counts {
        eprintln!("{language}: {flagged} of {all} sentences");
    }
    Ok(())
}
