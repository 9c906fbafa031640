//! Matching two sequences, with a bound on the cost that is no clock's.
//!
//! A diff that gives up after so many milliseconds attributes words differently on a slow machine,
//! and the same command sent to two instances would give two events. So what is given up is decided
//! by size alone: what stands on one side only is left out; what begins and ends alike is matched;
//! up to [`EXACT_LEN`] elements the rest is diffed exactly; more are first cut at elements that
//! stand once on each side (a "patience" diff), and a stretch in which there is none counts as all
//! changed.

use std::collections::HashMap;
use std::hash::Hash;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// How many elements, of both sides together, are diffed exactly.
pub(crate) const EXACT_LEN: usize = 2_000;

/// Pairs of indices of elements that stay, rising on both sides.
pub(super) fn matches<T: Eq + Hash>(old: &[T], new: &[T]) -> Vec<(usize, usize)> {
    let mut numbers: HashMap<&T, u32> = HashMap::new();
    let mut number_of = |element| {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        *numbers.entry(element).or_insert(next)
    };
    let old: Vec<(usize, u32)> = old.iter().map(&mut number_of).enumerate().collect();
    let new: Vec<(usize, u32)> = new.iter().map(&mut number_of).enumerate().collect();
    let mut in_old = vec![false; numbers.len()];
    let mut in_new = vec![false; numbers.len()];
    for (elements, is_in) in [(&old, &mut in_old), (&new, &mut in_new)] {
        for (_, number) in elements {
            if let Some(is_in) = is_in.get_mut(*number as usize) {
                *is_in = true;
            }
        }
    }
    let shared = |(_, number): &(usize, u32)| {
        let is = |set: &[bool]| set.get(*number as usize).copied().unwrap_or_default();
        is(&in_old) && is(&in_new)
    };
    let old: Vec<_> = old.into_iter().filter(shared).collect();
    let new: Vec<_> = new.into_iter().filter(shared).collect();
    let mut found = Vec::with_capacity(old.len().min(new.len()));
    between(&old, &new, &mut found);
    found.sort_unstable();
    found
}

type Elements<'a> = &'a [(usize, u32)];

fn between(old: Elements<'_>, new: Elements<'_>, found: &mut Vec<(usize, usize)>) {
    let mut todo = vec![(old, new)];
    while let Some((old, new)) = todo.pop() {
        let head = old.iter().zip(new).take_while(|(old, new)| old.1 == new.1).count();
        let (old_head, old) = old.split_at(head);
        let (new_head, new) = new.split_at(head);
        let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old.1 == new.1).count();
        let (old, old_tail) = old.split_at(old.len() - tail);
        let (new, new_tail) = new.split_at(new.len() - tail);
        for (old, new) in [(old_head, new_head), (old_tail, new_tail)] {
            found.extend(old.iter().zip(new).map(|(old, new)| (old.0, new.0)));
        }
        if old.len() + new.len() <= EXACT_LEN {
            exactly(old, new, found);
            continue;
        }
        let (mut old, mut new) = (old, new);
        for (old_at, new_at) in cuts(old, new).into_iter().rev() {
            let (old_before, old_after) = old.split_at(old_at);
            let (new_before, new_after) = new.split_at(new_at);
            todo.push((old_after, new_after));
            (old, new) = (old_before, new_before);
            if old_at == 0 || new_at == 0 {
                break;
            }
        }
    }
}

fn exactly(old: Elements<'_>, new: Elements<'_>, found: &mut Vec<(usize, usize)>) {
    let numbers = |elements: Elements<'_>| elements.iter().map(|(_, number)| *number).collect::<Vec<_>>();
    for op in capture_diff_slices(Algorithm::Myers, &numbers(old), &numbers(new)) {
        if let DiffOp::Equal { old_index, new_index, len } = op {
            let stays = old.iter().skip(old_index).zip(new.iter().skip(new_index)).take(len);
            found.extend(stays.map(|(old, new)| (old.0, new.0)));
        }
    }
}

/// Where elements stand that come once on each side: the longest line of them that rises on both.
fn cuts(old: Elements<'_>, new: Elements<'_>) -> Vec<(usize, usize)> {
    let once = |elements: Elements<'_>| {
        let mut places: HashMap<u32, Option<usize>> = HashMap::new();
        for (at, (_, number)) in elements.iter().enumerate() {
            places.entry(*number).and_modify(|place| *place = None).or_insert(Some(at));
        }
        places
    };
    let in_old = once(old);
    let pairs = once(new).into_iter().filter_map(|(number, at)| Some(((*in_old.get(&number)?)?, at?)));
    let mut pairs: Vec<(usize, usize)> = pairs.collect();
    pairs.sort_unstable_by_key(|pair| pair.1);
    rising(&pairs)
}

/// The longest line of pairs, given rising in the second, that rises in the first too.
fn rising(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // `ends` holds, for each length, the pair with the least first that ends such a line.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    let first = |index: usize| pairs.get(index).map_or(usize::MAX, |pair| pair.0);
    for (index, pair) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| first(*end) < pair.0);
        before.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter).copied()));
        match ends.get_mut(length) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut line = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(index) = at {
        line.extend(pairs.get(index).copied());
        at = before.get(index).copied().flatten();
    }
    line.reverse();
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_stretch_is_cut_where_something_stands_once() {
        let old: Vec<u32> = (0..20_000).map(|n| if n % 100 == 0 { n } else { n % 7 }).collect();
        let new: Vec<u32> = old.iter().copied().filter(|n| n % 300 != 200).collect();
        let found = matches(&old, &new);
        assert!(found.len() > new.len() * 95 / 100, "{} of {}", found.len(), new.len());
    }

    #[test]
    fn a_long_stretch_in_which_nothing_stands_once_counts_as_changed() {
        let list =
            |first: usize, step: usize| (first..1_500 + first).map(|n| n * step % 50).collect::<Vec<_>>();
        assert!(matches(&list(0, 3), &list(1, 7)).is_empty());
        assert!(!matches(&list(0, 3)[..900], &list(1, 7)[..900]).is_empty());
    }

    proptest! {
        #[test]
        fn pairs_are_equal_and_rise(old in proptest::collection::vec(0..40_u32, 0..60), new in proptest::collection::vec(0..40_u32, 0..60), long in any::<bool>()) {
            let long = if long { 40 } else { 1 };
            let stretch = |list: Vec<u32>| (0..long).flat_map(|turn| list.iter().map(move |n| n + 30 * turn)).collect::<Vec<_>>();
            let (old, new) = (stretch(old), stretch(new));
            let found = matches(&old, &new);
            prop_assert!(found.iter().all(|(o, n)| old[*o] == new[*n]));
            prop_assert!(found.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1));
            prop_assert_eq!(matches(&old, &old).len(), old.len());
        }
    }
}
