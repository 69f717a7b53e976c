//! The tokens chosen so far for one sentence, as a tree of shared beginnings.

use super::Hypothesis;
use crate::engine::TokenId;

/// A place in the tree: the hypothesis that ends there, or [`Node::ROOT`] for the empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node(u32);

impl Node {
    /// The empty hypothesis: only the start token has been fed.
    pub(crate) const ROOT: Node = Node(u32::MAX);
}

#[derive(Clone, Copy, Debug)]
struct Step {
    parent: Node,
    token: TokenId,
    log_prob: f32,
    /// Index of the attention row that came with the token; siblings share it.
    attention: u32,
}

/// All hypotheses of a sentence, running and finished.
///
/// A beam that branches shares its beginning, so a step costs one small record per surviving candidate and never a
/// copy. Memory is bounded by length limit × beam size × (one record + one attention row).
#[derive(Debug, Default)]
pub(crate) struct History {
    steps: Vec<Step>,
    attention: Vec<Vec<f32>>,
}

impl History {
    /// Keeps an attention row and returns its index for [`History::extend`].
    pub(crate) fn keep_attention(&mut self, row: Vec<f32>) -> u32 {
        self.attention.push(row);
        (self.attention.len() - 1) as u32
    }

    /// Adds a token after `parent`.
    pub(crate) fn extend(&mut self, parent: Node, token: TokenId, log_prob: f32, attention: u32) -> Node {
        self.steps.push(Step { parent, token, log_prob, attention });
        Node((self.steps.len() - 1) as u32)
    }

    /// The last token of a hypothesis, or `start` for the empty one.
    pub(crate) fn last(&self, node: Node, start: TokenId) -> TokenId {
        if node == Node::ROOT { start } else { self.steps[node.0 as usize].token }
    }

    /// Writes the tokens of a hypothesis in order, the start token first.
    pub(crate) fn tokens(&self, node: Node, start: TokenId, tokens: &mut Vec<TokenId>) {
        tokens.clear();
        tokens.extend(self.back(node).map(|step| step.token));
        tokens.push(start);
        tokens.reverse();
    }

    /// Writes a hypothesis out in full. `last` says that the history is not needed afterwards, which saves copying
    /// the attention rows.
    pub(crate) fn hypothesis(&mut self, node: Node, score: f32, complete: bool, last: bool) -> Hypothesis {
        let mut hypothesis = Hypothesis { score, complete, ..Hypothesis::default() };
        let mut rows = Vec::new();
        for step in self.back(node) {
            hypothesis.tokens.push(step.token);
            hypothesis.log_probs.push(step.log_prob);
            rows.push(step.attention as usize);
        }
        hypothesis.tokens.reverse();
        hypothesis.log_probs.reverse();
        hypothesis.attention = rows
            .into_iter()
            .rev()
            .map(|row| if last { std::mem::take(&mut self.attention[row]) } else { self.attention[row].clone() })
            .collect();
        hypothesis
    }

    fn back(&self, node: Node) -> impl Iterator<Item = &Step> {
        let mut node = node;
        std::iter::from_fn(move || {
            let step = (node != Node::ROOT).then(|| &self.steps[node.0 as usize])?;
            node = step.parent;
            Some(step)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hypotheses_share_their_beginning() {
        let mut history = History::default();
        let first = history.keep_attention(vec![0.25, 0.75]);
        let second = history.keep_attention(vec![0.5, 0.5]);
        let stem = history.extend(Node::ROOT, 7, -0.1, first);
        let left = history.extend(stem, 8, -0.2, second);
        let right = history.extend(stem, 9, -0.3, second);

        let mut tokens = Vec::new();
        history.tokens(right, 1, &mut tokens);
        assert_eq!(tokens, [1, 7, 9]);
        history.tokens(Node::ROOT, 1, &mut tokens);
        assert_eq!(tokens, [1]);
        assert_eq!(history.last(left, 1), 8);
        assert_eq!(history.last(Node::ROOT, 1), 1);

        let left = history.hypothesis(left, -1.0, true, false);
        assert_eq!((left.tokens, left.log_probs), (vec![7, 8], vec![-0.1, -0.2]));
        let right = history.hypothesis(right, -2.0, false, true);
        assert_eq!(right.attention, [[0.25, 0.75], [0.5, 0.5]]);
        assert_eq!(left.attention, right.attention);
        assert_eq!((right.score, right.complete), (-2.0, false));
    }
}
