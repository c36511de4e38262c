//! What the integration tests share.

use std::path::{Path, PathBuf};

/// A file or folder of `../shared` (photographs, reference outputs, real weights). Where that folder is absent the test
/// says so and passes, except with `CI=true` or `OCCLUDE_REQUIRE_WEIGHTS=1`, where its absence is a failure.
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    if found.exists() {
        return Some(found);
    }
    let required = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    assert!(
        !required("CI", "true") && !required("OCCLUDE_REQUIRE_WEIGHTS", "1"),
        "../shared/{path} is required here and does not exist"
    );
    eprintln!("SKIPPED: ../shared/{path} does not exist");
    None
}
