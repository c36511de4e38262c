//! Fuzzes a file of class names, and the search in it and in ImageNet's class names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use occlude::Labels;

/// Largest number of characters of a search text.
const MOST_SEARCHED: usize = 30;

fuzz_target!(|bytes: &[u8]| {
    // The input is the search text, a NUL and the file.
    let (text, file) = bytes.split_at(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    // The search compares the text with every name, and takes long for a long one.
    let text: String = String::from_utf8_lossy(text).chars().take(MOST_SEARCHED).collect();
    if file.is_empty() {
        search(Labels::imagenet(), &text);
    }
    match Labels::parse("fuzz", file.get(1..).unwrap_or_default()) {
        Ok(labels) => {
            assert!(labels.count() > 0);
            assert!((0..labels.count()).all(|class| !labels.words(class).is_empty()));
            search(&labels, &text);
        }
        Err(error) => assert!(error.to_string().contains("fuzz")),
    }
});

fn search(labels: &Labels, text: &str) {
    match labels.find(text) {
        Ok(class) => assert!(class < labels.count()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
