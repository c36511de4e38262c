//! Suggestions for a misspelled name.

/// Largest length in bytes of a wanted name and of a suggested one. The time of the edit distance is
/// proportional to the product of the lengths, and a file can have names of any length.
const LONGEST: usize = 200;

/// Returns at most three names that resemble `wanted` (in lower case), the most similar first.
pub(crate) fn suggest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Vec<String> {
    if wanted.is_empty() || wanted.len() > LONGEST {
        return Vec::new();
    }
    let mut ranked: Vec<(usize, usize, &str)> = Vec::new();
    for name in names.filter(|name| name.len() <= LONGEST) {
        let lower = name.to_lowercase();
        let whole = edit_distance(wanted, &lower);
        // Compares single words as well, so that "poddle" finds the poodles.
        let word = lower.split(' ').map(|word| edit_distance(wanted, word)).min().unwrap_or(whole);
        let edits = whole.min(word);
        // A name with more edits than a third of the letters is not suggested, unless one contains
        // the other ("retriev").
        let contains = wanted.len() >= 3 && (lower.contains(wanted) || wanted.contains(&lower));
        if contains || edits * 3 <= wanted.chars().count() {
            ranked.push((edits, whole, name));
        }
    }
    ranked.sort();
    ranked.dedup();
    ranked.into_iter().take(3).map(|(.., name)| name.to_string()).collect()
}

/// Levenshtein distance in characters: the number of insertions, deletions and replacements.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    // row[j] is the distance between the part of `a` read so far and b[..j].
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let replace = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_not_compared() {
        let long = format!("poodle{}", "e".repeat(LONGEST));
        assert_eq!(suggest("poodle", ["toy poodle", &long].into_iter()), ["toy poodle"]);
        assert!(suggest(&long, [&long[..], "poodle"].into_iter()).is_empty());
    }

    #[test]
    fn edit_distances() {
        for (a, b, distance) in [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2)] {
            assert_eq!(edit_distance(a, b), distance);
            assert_eq!(edit_distance(b, a), distance);
        }
    }
}
