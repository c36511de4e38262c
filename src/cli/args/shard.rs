//! The value of `--shard`: one part of a batch.

use std::env;
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

/// The variable with the number of shards, for `--shard auto`. Only Slurm tells it by variables of its own.
const SHARDS: &str = "OCCLUDE_SHARDS";

const SLURM: &str = "SLURM_ARRAY_TASK_ID";

/// The variables in which Slurm, Kubernetes and GNU parallel number the tasks of a job, and the number
/// of the first one.
const TASKS: [(&str, usize); 3] = [(SLURM, 0), ("JOB_COMPLETION_INDEX", 0), ("PARALLEL_SEQ", 1)];

/// Parses the value of `--shard`. `auto` is the task of the scheduler that runs this process.
pub fn shard(text: &str) -> Result<Shard, String> {
    match text {
        "auto" => Shard::of_task(|name| env::var(name).ok()),
        _ => text.parse(),
    }
}

impl Shard {
    /// The shard of a scheduler's task, by the values of environment variables.
    fn of_task(value: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
        let number = |name: &str| {
            let parse = |text: String| {
                text.parse().map_err(|_| format!("${name} is \"{text}\", expected a whole number"))
            };
            value(name).map(parse).transpose()
        };
        let tasks: Vec<_> = TASKS.iter().filter(|(name, _)| value(name).is_some()).collect();
        let &[&(name, first)] = &tasks[..] else {
            let names = TASKS.map(|(name, _)| format!("${name}")).join(", ");
            let found = if tasks.is_empty() { "none" } else { "several" };
            return Err(format!(
                "auto needs one of {names}, which Slurm, Kubernetes and GNU parallel set, and {found} of them is set: \
                 give i/n"
            ));
        };
        let (first, of): (usize, usize) = match number(SHARDS)? {
            Some(of) => (first, of),
            None if name == SLURM => {
                let [min, max, count] =
                    ["MIN", "MAX", "COUNT"].map(|what| number(&format!("SLURM_ARRAY_TASK_{what}")));
                let (Some(min), Some(max), Some(count)) = (min?, max?, count?) else {
                    return Err(format!(
                        "$SLURM_ARRAY_TASK_MIN, _MAX or _COUNT is not set: set {SHARDS} to the number of shards"
                    ));
                };
                // Some tasks of an array, submitted again, would divide the photographs differently.
                if min > 1 || count < 2 || max != min + count - 1 {
                    return Err(format!(
                        "the Slurm array has {count} tasks, {min} to {max}, expected all shards, numbered from 0 or 1; to run \
                         some of them again set {SHARDS} to the number of all shards, which then count from 0"
                    ));
                }
                (min, count)
            }
            None => return Err(format!("auto needs the number of shards in ${SHARDS}, which is not set")),
        };
        let task: usize = number(name)?.expect("it is set");
        let index = task.checked_sub(first).filter(|&index| index < of && of <= MAX_SHARDS);
        let last = (first + of).saturating_sub(1);
        let index = index.ok_or_else(|| {
            format!("${name} is {task}, expected {first} to {last} for {of} shards, of which at most {MAX_SHARDS} are possible")
        })?;
        Ok(Shard { index, of })
    }

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
    fn a_task_of_a_scheduler_is_a_shard() {
        let shard = |variables: &str| {
            let find = |name: &str| {
                let pairs = variables.split(' ').filter_map(|pair| pair.split_once('='));
                pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_string()).next()
            };
            Shard::of_task(find).map(|shard| shard.to_string())
        };
        let slurm = |id: &str, min: &str, max: &str, count: &str| {
            format!(
                "SLURM_ARRAY_TASK_ID={id} SLURM_ARRAY_TASK_MIN={min} SLURM_ARRAY_TASK_MAX={max} SLURM_ARRAY_TASK_COUNT={count}"
            )
        };
        for (variables, expected) in [
            (slurm("3", "0", "9", "10"), "3/10"),
            (slurm("10", "1", "10", "10"), "9/10"),
            (slurm("3", "3", "3", "1") + " OCCLUDE_SHARDS=10", "3/10"),
            ("JOB_COMPLETION_INDEX=0 OCCLUDE_SHARDS=1".to_string(), "0/1"),
            ("PARALLEL_SEQ=4 OCCLUDE_SHARDS=4".to_string(), "3/4"),
        ] {
            assert_eq!(shard(&variables).as_deref(), Ok(expected), "{variables}");
        }
        for (variables, part) in [
            ("HOME=/".to_string(), "$SLURM_ARRAY_TASK_ID, $JOB_COMPLETION_INDEX, $PARALLEL_SEQ"),
            ("PARALLEL_SEQ=4 JOB_COMPLETION_INDEX=0".to_string(), "several of them is set"),
            ("PARALLEL_SEQ=4".to_string(), "in $OCCLUDE_SHARDS, which is not set"),
            ("SLURM_ARRAY_TASK_ID=4".to_string(), "set OCCLUDE_SHARDS to the number of shards"),
            (
                "PARALLEL_SEQ=x OCCLUDE_SHARDS=4".to_string(),
                "$PARALLEL_SEQ is \"x\", expected a whole number",
            ),
            ("PARALLEL_SEQ=0 OCCLUDE_SHARDS=4".to_string(), "$PARALLEL_SEQ is 0, expected 1 to 4"),
            ("PARALLEL_SEQ=5 OCCLUDE_SHARDS=4".to_string(), "$PARALLEL_SEQ is 5, expected 1 to 4"),
            ("JOB_COMPLETION_INDEX=0 OCCLUDE_SHARDS=0".to_string(), "for 0 shards"),
            ("JOB_COMPLETION_INDEX=0 OCCLUDE_SHARDS=100001".to_string(), "at most 100000"),
            (slurm("3", "3", "3", "1"), "to run some of them again set OCCLUDE_SHARDS"),
            (slurm("0", "0", "0", "1"), "the Slurm array has 1 tasks, 0 to 0"),
            (slurm("3", "3", "5", "3"), "3 tasks, 3 to 5"),
            (slurm("0", "0", "7", "2"), "2 tasks, 0 to 7"),
        ] {
            let message = shard(&variables).unwrap_err();
            assert!(message.contains(part), "{variables}: {message}");
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
