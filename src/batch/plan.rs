//! How a job's inputs are cut into shards.

use super::input::{InputFile, Range};

/// One shard: stretches of consecutive inputs, about as long as the job's shard size together.
pub type Shard = Vec<Range>;

/// Cuts inputs into shards of about `shard_bytes` of text.
///
/// Small files share a shard, large ones are cut; the cuts depend on sizes alone, so every worker finds the same.
pub(super) fn shards(inputs: &[InputFile], shard_bytes: u64) -> Vec<Shard> {
    let shard_bytes = shard_bytes.max(1);
    let mut shards = Vec::new();
    let (mut shard, mut filled) = (Shard::new(), 0);
    for (file, input) in inputs.iter().enumerate() {
        let mut start = 0;
        while start < input.text_bytes {
            let end = input.text_bytes.min(start + (shard_bytes - filled));
            shard.push(Range { file, start, end });
            filled += end - start;
            start = end;
            if filled == shard_bytes {
                shards.push(std::mem::take(&mut shard));
                filled = 0;
            }
        }
    }
    if !shard.is_empty() {
        shards.push(shard);
    }
    shards
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(sizes: &[u64], shard_bytes: u64) -> Vec<Vec<(usize, u64, u64)>> {
        let inputs: Vec<InputFile> = sizes
            .iter()
            .map(|size| InputFile { path: "x".into(), bytes: *size, text_bytes: *size, modified: None })
            .collect();
        shards(&inputs, shard_bytes)
            .into_iter()
            .map(|shard| shard.into_iter().map(|range| (range.file, range.start, range.end)).collect())
            .collect()
    }

    #[test]
    fn large_files_are_cut_and_small_ones_share() {
        assert_eq!(cut(&[25], 10), [[(0, 0, 10)], [(0, 10, 20)], [(0, 20, 25)]]);
        assert_eq!(cut(&[4, 0, 6, 3], 10), [vec![(0, 0, 4), (2, 0, 6)], vec![(3, 0, 3)]]);
        assert_eq!(cut(&[7, 7], 10), [vec![(0, 0, 7), (1, 0, 3)], vec![(1, 3, 7)]]);
        assert!(cut(&[], 10).is_empty() && cut(&[0], 10).is_empty());
        assert_eq!(cut(&[2], 0).len(), 2);
    }
}
