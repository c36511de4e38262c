//! The value of `--shard`: one part of a batch.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The largest number of shards.
const MAX_SHARDS: usize = 100_000;

/// Part `index`, counted from 0, of `of` parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Shard {
    pub index: usize,
    pub of: usize,
}

/// A shard as it is in a file.
#[derive(Deserialize)]
struct Unchecked {
    index: usize,
    of: usize,
}

impl TryFrom<Unchecked> for Shard {
    type Error = String;

    fn try_from(Unchecked { index, of }: Unchecked) -> Result<Shard, String> {
        match index < of && of <= MAX_SHARDS {
            true => Ok(Shard { index, of }),
            false => Err(format!(
                "shard {index} of {of}, expected at most {MAX_SHARDS} shards and an index below their number"
            )),
        }
    }
}

impl Shard {
    /// Selects the photographs of this shard: every n-th of `all`, which has a fixed order. The
    /// sizes of two shards differ by at most one, and similar photographs, which often are
    /// neighbours in the order, are distributed over the shards.
    pub fn select<T>(self, all: Vec<T>) -> Vec<T> {
        all.into_iter().skip(self.index).step_by(self.of).collect()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let shard = text
            .split_once('/')
            .and_then(|(index, of)| Some(Shard { index: index.parse().ok()?, of: of.parse().ok()? }));
        match shard {
            Some(Shard { index, of }) if index < of && of <= MAX_SHARDS => Ok(Shard { index, of }),
            Some(Shard { index, of }) if index == of && index > 0 => {
                Err(format!("shards count from 0, so the last of {of} is {}/{of}", of - 1))
            }
            _ => Err(format!("expected i/n with n from 1 to {MAX_SHARDS} and i from 0 to n - 1")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_count_from_0() {
        assert_eq!("0/1".parse(), Ok(Shard { index: 0, of: 1 }));
        assert_eq!("6/7".parse(), Ok(Shard { index: 6, of: 7 }));
        let message = |text: &str| text.parse::<Shard>().unwrap_err();
        assert_eq!(message("7/7"), "shards count from 0, so the last of 7 is 6/7");
        for wrong in ["", "0", "1", "0/0", "8/7", "-1/7", "0/-7", "a/b", "0/1/2", "0.5/2", "0/100001", "1/"] {
            assert_eq!(
                message(wrong),
                "expected i/n with n from 1 to 100000 and i from 0 to n - 1",
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_file_has_the_bounds_of_the_option() {
        let read = |text: &str| serde_json::from_str::<Shard>(text).map_err(|error| error.to_string());
        assert_eq!(read(r#"{"index":6,"of":7}"#), Ok(Shard { index: 6, of: 7 }));
        for wrong in [
            r#"{"index":0,"of":18446744073709551615}"#,
            r#"{"index":0,"of":100001}"#,
            r#"{"index":0,"of":0}"#,
            r#"{"index":7,"of":7}"#,
        ] {
            assert!(read(wrong).unwrap_err().contains("expected at most 100000 shards"), "{wrong}");
        }
    }

    #[test]
    fn each_photograph_belongs_to_one_shard() {
        for of in 1..9 {
            let all: Vec<usize> = (0..5).collect();
            let mut selected: Vec<usize> =
                (0..of).flat_map(|index| Shard { index, of }.select(all.clone())).collect();
            selected.sort();
            assert_eq!(selected, all);
        }
    }
}
