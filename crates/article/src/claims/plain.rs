//! The words of an article as claims are followed in them: plain texts, their sentences, and the words of those, each
//! made once, when it is first asked for.

#[cfg(test)]
use std::cell::Cell;
use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use super::Place;
use super::search::{Edges, field_text, whole_within};
use crate::article::Article;
use crate::text::align::Counted;
use crate::text::{Text, sentences};

#[cfg(test)]
thread_local! {
    /// How often words were looked for in a place.
    pub(super) static LOOKED_FOR: Cell<usize> = const { Cell::new(0) };
}

/// A plain text, and where its sentences stand once that is asked for.
struct Segmented {
    plain: String,
    bounds: OnceCell<Vec<Range<usize>>>,
}

impl Segmented {
    fn bounds(&self, language: &str) -> &[Range<usize>] {
        self.bounds.get_or_init(|| sentences::bounds(&self.plain, language))
    }
}

/// A sentence, and its words counted once that is asked for.
pub(super) struct Sentence {
    pub text: String,
    counted: OnceCell<Counted>,
    pub edges: Edges,
}

impl Sentence {
    fn of(text: &str) -> Self {
        Self { text: text.to_owned(), counted: OnceCell::new(), edges: Edges::default() }
    }

    pub fn counted(&self) -> &Counted {
        self.counted.get_or_init(|| Counted::of(&self.text))
    }
}

/// A sentence where it stands.
pub(super) type Placed = (Place, Rc<Sentence>);

/// The plain texts of an article's places and their sentences, each made when it is first asked for.
pub(super) struct Plain<'a> {
    article: &'a Article,
    texts: RefCell<HashMap<Place, Rc<[Segmented]>>>,
    sentences: RefCell<HashMap<Place, Rc<[Rc<Sentence>]>>>,
}

impl<'a> Plain<'a> {
    pub fn of(article: &'a Article) -> Self {
        Self { article, texts: RefCell::default(), sentences: RefCell::default() }
    }

    fn at(&self, place: Place) -> Rc<[Segmented]> {
        let segmented = |text: &Text| Segmented { plain: text.plain(), bounds: OnceCell::new() };
        let made = || match place {
            Place::Field(field) => field_text(self.article, field).map(segmented).into_iter().collect(),
            Place::Block(id) => {
                let block = self.article.block(id).into_iter();
                block.flat_map(|block| block.content.texts()).map(segmented).collect()
            }
        };
        Rc::clone(self.texts.borrow_mut().entry(place).or_insert_with(made))
    }

    /// Whether there is a text at a place.
    pub fn is_there(&self, place: Place) -> bool {
        !self.at(place).is_empty()
    }

    /// How many bytes a place's texts take as JSON.
    pub fn json_bytes(&self, place: Place) -> usize {
        self.at(place).iter().map(|text| json_bytes(&text.plain)).sum()
    }

    /// In how many texts of a place these words stand whole.
    pub fn standing(&self, sentence: &str, place: Place) -> usize {
        #[cfg(test)]
        LOOKED_FOR.set(LOOKED_FOR.get() + 1);
        let language = self.article.language();
        let whole =
            |text: &&Segmented| whole_within(&text.plain, sentence, || text.bounds(language)).is_some();
        self.at(place).iter().filter(whole).count()
    }

    pub fn sentences(&self, place: Place) -> Rc<[Rc<Sentence>]> {
        let language = self.article.language();
        let in_text = |text: &Segmented| -> Vec<Rc<Sentence>> {
            let words = text.bounds(language).iter().filter_map(|range| text.plain.get(range.clone()));
            words.map(|text| Rc::new(Sentence::of(text))).collect()
        };
        let made = || self.at(place).iter().flat_map(in_text).collect();
        Rc::clone(self.sentences.borrow_mut().entry(place).or_insert_with(made))
    }
}

/// Whether the words that claims are bound to stand in their places, for many claims of few places.
pub struct Standing<'a> {
    plain: Plain<'a>,
    sentences: RefCell<HashMap<Place, HashSet<String>>>,
}

impl<'a> Standing<'a> {
    /// In the present text.
    pub fn of(article: &'a Article) -> Self {
        Self { plain: Plain::of(article), sentences: RefCell::default() }
    }

    /// Whether these words stand whole in a place, as a sentence or a run of them.
    pub fn has(&self, words: &str, place: Place) -> bool {
        let sentences = || self.plain.sentences(place).iter().map(|sentence| sentence.text.clone()).collect();
        let is_sentence = self.sentences.borrow_mut().entry(place).or_insert_with(sentences).contains(words);
        is_sentence || self.plain.standing(words, place) > 0
    }
}

/// How many bytes a text takes as JSON, without the marks around it.
pub(super) fn json_bytes(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}
