//! The value of `--shard`: one part of a batch.

use std::env;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use occlude::text::shown;
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
        "auto" => Shard::of_task(|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned())),
        _ => text.parse(),
    }
}

impl Shard {
    /// The shard of a scheduler's task, by the values of environment variables. An empty variable is
    /// regarded as not set.
    fn of_task(value: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
        let number = |name: &str, range: RangeInclusive<usize>, expected: &str| {
            let parse = |text: String| {
                let number = text.parse().ok().filter(|number| range.contains(number));
                number.ok_or_else(|| format!("${name} is \"{}\", expected {expected}", shown(&text)))
            };
            value(name).filter(|text| !text.is_empty()).map(parse).transpose()
        };
        let whole = |name: &str| number(name, 0..=usize::MAX, "a whole number");
        let mut tasks = Vec::new();
        for (name, first) in TASKS {
            tasks.extend(whole(name)?.map(|task| (name, task, first)));
        }
        let &[(name, task, first)] = &tasks[..] else {
            let known = TASKS.map(|(name, _)| format!("${name}")).join(", ");
            let set: Vec<_> = tasks.iter().map(|(name, ..)| format!("${name}")).collect();
            let found =
                if set.is_empty() { "none of them is".to_string() } else { set.join(" and ") + " are" };
            return Err(format!(
                "auto needs one of {known}, which Slurm, Kubernetes and GNU parallel set, but {found} set: give i/n"
            ));
        };
        let shards = number(SHARDS, 1..=MAX_SHARDS, &format!("a number of shards from 1 to {MAX_SHARDS}"))?;
        let array = match name {
            SLURM => {
                let [min, max, count] =
                    ["MIN", "MAX", "COUNT"].map(|what| whole(&format!("SLURM_ARRAY_TASK_{what}")));
                min?.zip(max?).zip(count?)
            }
            _ => None,
        };
        let (first, of) = match (shards, array) {
            (Some(of), Some(((1, max), count))) if max == of && count == of => (1, of),
            // Other tasks would succeed, and some shards would have none.
            (Some(of), Some(((min, max), count))) if max >= of => {
                return Err(format!(
                    "the Slurm array has {count} tasks, {min} to {max}, and ${SHARDS} is {of}: expected some of 0 to \
                     {}, or all of 1 to {of}",
                    of - 1
                ));
            }
            (Some(of), _) => (first, of),
            (None, Some(((min, max), count)))
                if min <= 1 && (2..=MAX_SHARDS).contains(&count) && max == min + count - 1 =>
            {
                (min, count)
            }
            // Some tasks of an array, submitted again, would divide the photographs differently.
            (None, Some(((min, max), count))) => {
                return Err(format!(
                    "the Slurm array has {count} tasks, {min} to {max}, expected all shards, at most {MAX_SHARDS}, \
                     numbered from 0 or 1; to run some of them again set {SHARDS} to the number of all shards, which \
                     then count from 0"
                ));
            }
            (None, None) if name == SLURM => {
                return Err(format!(
                    "$SLURM_ARRAY_TASK_MIN, _MAX or _COUNT is not set: set {SHARDS} to the number of shards"
                ));
            }
            (None, None) => {
                return Err(format!("auto needs the number of shards in ${SHARDS}, which is not set"));
            }
        };
        let index = task.checked_sub(first).filter(|&index| index < of);
        let last = first + of - 1;
        let index =
            index.ok_or_else(|| format!("${name} is {task}, expected {first} to {last} for {of} shards"))?;
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
            // All tasks from 1 on, or some tasks from 0 on.
            (slurm("1", "1", "3", "3") + " OCCLUDE_SHARDS=3", "0/3"),
            (slurm("3", "1", "3", "3") + " OCCLUDE_SHARDS=3", "2/3"),
            (slurm("1", "1", "1", "1") + " OCCLUDE_SHARDS=1", "0/1"),
            (slurm("1", "1", "3", "3") + " OCCLUDE_SHARDS=4", "1/4"),
            (slurm("0", "0", "2", "3") + " OCCLUDE_SHARDS=3", "0/3"),
            ("SLURM_ARRAY_TASK_ID=1 OCCLUDE_SHARDS=3".to_string(), "1/3"),
            // An empty variable is not set.
            (slurm("3", "0", "9", "10") + " OCCLUDE_SHARDS= PARALLEL_SEQ=", "3/10"),
        ] {
            assert_eq!(shard(&variables).as_deref(), Ok(expected), "{variables}");
        }
        for (variables, part) in [
            ("HOME=/".to_string(), "$SLURM_ARRAY_TASK_ID, $JOB_COMPLETION_INDEX, $PARALLEL_SEQ"),
            ("PARALLEL_SEQ=".to_string(), "but none of them is set: give i/n"),
            (
                "PARALLEL_SEQ=4 SLURM_ARRAY_TASK_ID=0".to_string(),
                "but $SLURM_ARRAY_TASK_ID and $PARALLEL_SEQ are set: give i/n",
            ),
            ("PARALLEL_SEQ=4 OCCLUDE_SHARDS=".to_string(), "in $OCCLUDE_SHARDS, which is not set"),
            ("SLURM_ARRAY_TASK_ID=4".to_string(), "set OCCLUDE_SHARDS to the number of shards"),
            (
                "PARALLEL_SEQ=x OCCLUDE_SHARDS=4".to_string(),
                "$PARALLEL_SEQ is \"x\", expected a whole number",
            ),
            ("PARALLEL_SEQ=0 OCCLUDE_SHARDS=4".to_string(), "$PARALLEL_SEQ is 0, expected 1 to 4"),
            ("PARALLEL_SEQ=5 OCCLUDE_SHARDS=4".to_string(), "$PARALLEL_SEQ is 5, expected 1 to 4"),
            (slurm("3", "3", "3", "1"), "to run some of them again set OCCLUDE_SHARDS"),
            (slurm("0", "0", "0", "1"), "the Slurm array has 1 tasks, 0 to 0"),
            (slurm("3", "3", "5", "3"), "3 tasks, 3 to 5"),
            (slurm("0", "0", "7", "2"), "2 tasks, 0 to 7"),
            (
                slurm("0", "0", "100000", "100001"),
                "100001 tasks, 0 to 100000, expected all shards, at most 100000",
            ),
            (slurm("1", "1", &usize::MAX.to_string(), &usize::MAX.to_string()), "at most 100000"),
        ] {
            let message = shard(&variables).unwrap_err();
            assert!(message.contains(part), "{variables}: {message}");
        }
        for number in ["0", "100001", "18446744073709551616", "-1", "two"] {
            let message = shard(&format!("JOB_COMPLETION_INDEX=0 OCCLUDE_SHARDS={number}")).unwrap_err();
            let expected =
                format!("$OCCLUDE_SHARDS is \"{number}\", expected a number of shards from 1 to 100000");
            assert_eq!(message, expected);
        }
    }

    /// If an array does not fit the number of shards, no task may do its share: the others would be
    /// missing.
    #[test]
    fn an_array_that_does_not_fit_is_refused_by_each_task() {
        let shard = |task: usize, array: &[usize], of: usize| {
            Shard::of_task(|name| {
                let number = match name {
                    SLURM => task,
                    "SLURM_ARRAY_TASK_MIN" => array[0],
                    "SLURM_ARRAY_TASK_MAX" => array[array.len() - 1],
                    "SLURM_ARRAY_TASK_COUNT" => array.len(),
                    SHARDS => of,
                    _ => return None,
                };
                Some(number.to_string())
            })
        };
        for (array, of) in
            [(&[0, 1, 2, 3][..], 3), (&[1, 2, 3, 4], 3), (&[2, 3], 3), (&[1, 3], 3), (&[0, 3], 3)]
        {
            let (min, max, count) = (array[0], array[array.len() - 1], array.len());
            let expected = format!(
                "the Slurm array has {count} tasks, {min} to {max}, and $OCCLUDE_SHARDS is {of}: expected some of 0 to \
                 2, or all of 1 to 3"
            );
            for &task in array {
                assert_eq!(shard(task, array, of), Err(expected.clone()), "task {task}");
            }
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
