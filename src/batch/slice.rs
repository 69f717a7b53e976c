//! Which of a job's shards are one worker's: `i/n`, or what the scheduler says.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// Worker `index` of `count`: it takes the shards whose number leaves `index` when divided by `count`.
///
/// Neighbouring shards go to different workers, so that a part of an archive with long articles burdens all alike.
///
/// ```
/// use tarjim::batch::Slice;
///
/// let slice: Slice = "1/4".parse()?;
/// assert_eq!((0..10).filter(|shard| slice.contains(*shard)).collect::<Vec<_>>(), [1, 5, 9]);
/// # Ok::<(), tarjim::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    index: usize,
    count: usize,
}

impl Slice {
    /// All shards.
    pub const ALL: Slice = Slice { index: 0, count: 1 };

    /// Worker `index` (from 0) of `count`.
    ///
    /// # Errors
    /// `count` is 0 or `index` is not below it.
    pub fn new(index: usize, count: usize) -> Result<Self> {
        if index < count {
            Ok(Slice { index, count })
        } else {
            Err(Error::new(ErrorKind::Usage, format!("there is no worker {index} of {count}"))
                .with_hint("workers count from 0: the last of 8 is `7/8`"))
        }
    }

    /// Whether a shard is this worker's.
    pub fn contains(self, shard: usize) -> bool {
        shard % self.count == self.index
    }

    /// The slice that Slurm, AWS Batch or Kubernetes assign; [`Slice::ALL`] where no scheduler does.
    ///
    /// Slurm: `SLURM_ARRAY_TASK_ID`, `…_MIN`, `…_STEP`, `…_COUNT`. AWS Batch: `AWS_BATCH_JOB_ARRAY_INDEX`, `…_SIZE`.
    /// Kubernetes indexed jobs: `JOB_COMPLETION_INDEX`, and `TARJIM_SHARD_COUNT` for their number, which Kubernetes
    /// does not tell a container.
    ///
    /// # Errors
    /// A variable is no number, the number of workers is missing, or a Slurm array has holes.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let number = |name: &str| -> Result<Option<usize>> {
            match variable(name).filter(|value| !value.is_empty()) {
                Some(value) => value.parse().map(Some).map_err(|_| {
                    Error::new(ErrorKind::Usage, format!("{name} is `{value}`, which is not a number"))
                        .with_hint("give `--shard i/n` instead of `--shard auto`")
                }),
                None => Ok(None),
            }
        };
        let stated = number("TARJIM_SHARD_COUNT")?;
        if let Some(id) = number("SLURM_ARRAY_TASK_ID")? {
            let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
            let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
            let count =
                stated.or(number("SLURM_ARRAY_TASK_COUNT")?).ok_or_else(|| no_count("SLURM_ARRAY_TASK_COUNT"))?;
            // `--array=3,7` renumbers: 7 would be worker 4 of 2. Only whole ranges say who takes what.
            let index = id.saturating_sub(first) / step;
            return Slice::new(index, count).map_err(|_| {
                Error::new(ErrorKind::Usage, format!("task {id} of a Slurm array of {count} that begins at {first}"))
                    .with_hint("submit the whole range again: finished shards are skipped; or set TARJIM_SHARD_COUNT")
            });
        }
        if let Some(index) = number("AWS_BATCH_JOB_ARRAY_INDEX")? {
            let size =
                stated.or(number("AWS_BATCH_JOB_ARRAY_SIZE")?).ok_or_else(|| no_count("AWS_BATCH_JOB_ARRAY_SIZE"))?;
            return Slice::new(index, size);
        }
        if let Some(index) = number("JOB_COMPLETION_INDEX")? {
            return Slice::new(index, stated.ok_or_else(|| no_count("TARJIM_SHARD_COUNT"))?);
        }
        Ok(Slice::ALL)
    }
}

fn no_count(variable: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("the number of workers is not known: {variable} is not set"))
        .with_hint("set TARJIM_SHARD_COUNT, or give `--shard i/n`")
}

impl FromStr for Slice {
    type Err = Error;

    /// Reads `i/n`.
    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        let (index, count) = parts.ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("`{text}` is not a slice of the shards"))
                .with_hint("write `auto`, or `i/n` with i from 0, for example `0/8`")
        })?;
        Slice::new(index, count)
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Slice> {
        Slice::from_variables(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_scheduler_names_its_worker() {
        for (variables, slice) in [
            (&[][..], "0/1"),
            (&[("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_COUNT", "6"), ("SLURM_ARRAY_TASK_MIN", "0")], "3/6"),
            (&[("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_ARRAY_TASK_COUNT", "4"), ("SLURM_ARRAY_TASK_MIN", "1")], "0/4"),
            (
                &[
                    ("SLURM_ARRAY_TASK_ID", "6"),
                    ("SLURM_ARRAY_TASK_COUNT", "4"),
                    ("SLURM_ARRAY_TASK_MIN", "0"),
                    ("SLURM_ARRAY_TASK_STEP", "2"),
                ],
                "3/4",
            ),
            (&[("AWS_BATCH_JOB_ARRAY_INDEX", "9"), ("AWS_BATCH_JOB_ARRAY_SIZE", "10")], "9/10"),
            (&[("JOB_COMPLETION_INDEX", "0"), ("TARJIM_SHARD_COUNT", "5")], "0/5"),
        ] {
            assert_eq!(from(variables).unwrap().to_string(), slice, "{variables:?}");
        }
    }

    #[test]
    fn an_array_with_holes_is_refused_instead_of_leaving_shards_out() {
        for variables in [
            &[("SLURM_ARRAY_TASK_ID", "7"), ("SLURM_ARRAY_TASK_COUNT", "2"), ("SLURM_ARRAY_TASK_MIN", "3")][..],
            &[("JOB_COMPLETION_INDEX", "0")],
            &[("SLURM_ARRAY_TASK_ID", "x")],
        ] {
            let error = from(variables).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn slices_share_the_shards_out_without_rest() {
        for count in 1..7 {
            for shard in 0..20 {
                let owners = (0..count).filter(|i| Slice::new(*i, count).unwrap().contains(shard)).count();
                assert_eq!(owners, 1);
            }
        }
        for text in ["", "1", "2/2", "a/b", "-1/2", "0/0"] {
            assert!(text.parse::<Slice>().is_err(), "{text}");
        }
    }
}
