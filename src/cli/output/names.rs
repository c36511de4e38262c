//! The names of result files. They depend only on the photograph, the class and the layer, so two
//! runs give the same names.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use occlude::Labels;
use occlude::text::is_control;

use crate::cli::checksum::sha256;
use crate::cli::source;

/// The largest number of characters of a class name in a file name. File systems limit the whole
/// name to 255 bytes.
const LONGEST_SLUG: usize = 60;

/// The largest number of bytes of a photograph's name in the names of its results. `compare`
/// combines two of these names, and `batch` adds a hash of 64 digits; the result must have at most
/// 255 bytes.
const LONGEST_STEM: usize = 100;

/// The name of the record of a photograph's results. Images in the same folder are regarded as results,
/// so the name must not be used by other programs.
pub const RECORD: &str = "occlude-done.json";

/// True if a file has the name of a summary of a batch.
pub fn is_summary(path: &Path) -> bool {
    let is_one = |name: &str| {
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        matches!(ending, "csv" | "json") && (stem == "summary" || stem.starts_with("summary-"))
    };
    path.file_name().and_then(|name| name.to_str()).is_some_and(is_one)
}

/// The file name of a photograph without its extension, as a prefix of the names of result files.
///
/// Control characters are replaced. If the name is longer than [`LONGEST_STEM`], a hash replaces
/// its end.
pub fn stem(image: &Path) -> String {
    if source::is_standard_input(image) {
        return "standard-input".to_string();
    }
    let stem = image.file_stem().map_or("image".into(), |stem| stem.to_string_lossy());
    let stem = stem.replace(is_control, "_");
    if stem.len() <= LONGEST_STEM {
        return stem;
    }
    let hash = sha256(stem.as_bytes());
    let ends = stem.char_indices().map(|(at, _)| at).take_while(|&at| at <= LONGEST_STEM - 9);
    format!("{}-{}", &stem[..ends.last().unwrap_or(0)], &hash[..8])
}

/// Unique names of the folders of results, also without regard to upper and lower case. The name is
/// the stem; if several photographs have the same stem, a hash of the path is added. The names do
/// not depend on the order of the photographs.
pub fn folders<'p>(paths: impl Iterator<Item = &'p Path> + Clone) -> Vec<String> {
    // Leading dots are removed, because they would make the folder hidden.
    let plain = |path: &Path| match stem(path).trim_start_matches('.') {
        "" => "picture".to_string(),
        stem => stem.to_string(),
    };
    let mut shares = HashMap::<String, usize>::new();
    for path in paths.clone() {
        *shares.entry(plain(path).to_lowercase()).or_default() += 1;
    }
    let named = |digits: usize| {
        let name = |path: &Path| {
            let (name, hash) = (plain(path), sha256(path.as_os_str().as_encoded_bytes()));
            // The summaries are in the same folder.
            let taken = name.to_lowercase().starts_with("summary") && Path::new(&name).extension().is_some();
            if shares[&name.to_lowercase()] > 1 || taken {
                format!("{name}-{}", &hash[..digits])
            } else {
                name
            }
        };
        paths.clone().map(name).collect::<Vec<_>>()
    };
    let names = named(8);
    // Eight digits are ambiguous for millions of equal names, or if someone provokes a collision.
    let differ = names.iter().map(|name| name.to_lowercase()).collect::<HashSet<_>>().len() == names.len();
    if differ { names } else { named(64) }
}

/// For each class its short name in letters, digits and hyphens. The index is added if several
/// classes have the same name.
pub fn slugs(classes: &[usize], labels: &Labels) -> Vec<String> {
    let slug = |class: usize| match slug(labels.short(class)) {
        empty if empty.is_empty() => format!("class-{class}"),
        slug => slug,
    };
    let mut taken = HashSet::new();
    classes
        .iter()
        .map(|&class| {
            let slug = slug(class);
            if taken.insert(slug.clone()) { slug } else { format!("{slug}-{class}") }
        })
        .collect()
}

/// A name in letters, digits and hyphens, not too long; empty if it has no ASCII letter or digit.
pub fn slug(name: &str) -> String {
    let name = name.to_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").chars().take(LONGEST_SLUG).collect()
}

/// The name of a layer for a file name.
pub fn layer_slug(layer: &str) -> String {
    layer.replace('/', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain_and_differ() {
        // 134 and 517 are both called "crane".
        let slugs = |classes: &[usize]| slugs(classes, Labels::imagenet());
        assert_eq!(slugs(&[285, 134, 517]), ["egyptian-cat", "crane", "crane-517"]);
        let all = slugs(&(0..1000).collect::<Vec<_>>());
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 1000);
        assert!(all.iter().all(|slug| slug.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')));
    }

    #[test]
    fn stems() {
        assert_eq!(stem(Path::new("a/chelsea.png")), "chelsea");
        assert_eq!(stem(Path::new("chelsea")), "chelsea");
        assert_eq!([stem(Path::new("-")), stem(Path::new("./-"))], ["standard-input", "-"]);
        assert_eq!(stem(Path::new("a\x1b[2J\nb.png")), "a_[2J_b");
        let long = |end: &str| stem(Path::new(&format!("{}{end}.png", "ä".repeat(120))));
        assert!(long("").len() <= LONGEST_STEM && long("").starts_with("ääää"));
        assert_ne!(long("1"), long("2"));
    }

    fn named(paths: &[&str]) -> Vec<String> {
        folders(paths.iter().map(Path::new))
    }

    #[test]
    fn equal_names_get_a_hash_of_the_path() {
        assert_eq!(named(&["a/cat.jpg", "a/dog.jpg"]), ["cat", "dog"]);
        let names = named(&["a/cat.jpg", "a/dog.jpg", "b/Cat.png", "b/.dog.png", "c/bird.png"]);
        assert!(names[0].starts_with("cat-") && names[2].starts_with("Cat-"), "{names:?}");
        assert!(names[1].starts_with("dog-") && names[3].starts_with("dog-"), "{names:?}");
        assert_eq!(names[4], "bird");
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 5);
        // The hash does not depend on the order or on the other photographs.
        assert_eq!(
            named(&["x/cat.gif", "b/Cat.png", "a/cat.jpg"])[1..],
            [names[2].clone(), names[0].clone()]
        );
    }

    #[test]
    fn a_stem_that_contains_a_hash_stays_unique() {
        let first = named(&["a/cat.jpg", "b/cat.jpg"])[0].clone();
        let names = named(&["a/cat.jpg", "b/cat.jpg", &format!("c/{first}.png")]);
        assert_eq!(names[2], first);
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 3);
    }

    #[test]
    fn folders_are_not_hidden_and_not_named_like_a_summary() {
        assert_eq!(named(&[".cat.jpg", "...", "summary.png", "summary of it.png"])[0], "cat");
        assert_eq!(named(&["..."]), ["picture"]);
        assert_eq!(named(&["summary.png"]), ["summary"]);
        for reserved in ["summary.json.png", "Summary.CSV.jpg", "summary-0-of-3.csv.png"] {
            assert!(named(&[reserved])[0].len() > reserved.len() - 4 + 8, "{reserved}");
        }
    }
}
