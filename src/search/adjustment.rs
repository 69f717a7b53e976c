//! The rules that ban, penalise or force tokens: what they make a row ask of the engine, and how they change its answer.
//!
//! An engine gives the best logits and the logarithm of the sum over all of them, never the whole vocabulary. That is
//! enough: let *n* tokens be touched by some rule; then among the *k* + *n* best logits at least *k* are untouched,
//! the touched ones come as probes, and what a rule adds to or takes from the sum is known from the probes alone.
//! What a [lexical table](super::lexical) makes likelier comes as probes, too, and asks for no more of the best.
//! Rules come in the order of `transformers`: repetition penalty, repeated n-grams, banned tokens, least length,
//! forced end, renormalisation. Doubled words, which it has no rule against, are banned with the repeated n-grams.

use super::history::{History, Node};
use super::lexical::Glosses;
use super::options::SearchOptions;
use crate::engine::{RowScores, TokenId};
use crate::error::{Error, ErrorKind, Result};

/// A possible next token of a hypothesis with its log-probability after all rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) token: TokenId,
    pub(crate) log_prob: f32,
}

/// What the rules say about the next token of one hypothesis. Kept and refilled from step to step.
#[derive(Debug, Default)]
pub(crate) struct Adjustment {
    /// The tokens whose logits must be known: those that may become less likely, ascending, then those of the lexical
    /// table, ascending.
    probes: Vec<TokenId>,
    /// For each of the first ones whether it is banned; otherwise it is penalised.
    banned: Vec<bool>,
    /// The only token allowed.
    forced: Option<TokenId>,
    /// The token before the next one.
    last: TokenId,
    /// The tokens that the lexical table makes likelier, ascending, with their logits after that.
    mixed: Vec<(TokenId, f32)>,
}

/// Working memory for [`Adjustment::plan`], shared by all rows.
#[derive(Debug, Default)]
pub(crate) struct Planning {
    history: Vec<TokenId>,
    touched: Vec<(TokenId, Effect)>,
}

/// Ordered so that a ban comes before a penalty on the same token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    Banned,
    Penalised,
}

impl Adjustment {
    /// Works out the rules for the token after `node`, where `length` tokens stand already (the start included) and
    /// `limit` is the greatest length.
    #[expect(clippy::too_many_arguments, reason = "a hypothesis is a place in a history")]
    pub(crate) fn plan(
        &mut self,
        options: &SearchOptions,
        glosses: &Glosses,
        history: &History,
        node: Node,
        length: usize,
        limit: usize,
        planning: &mut Planning,
    ) {
        self.probes.clear();
        self.banned.clear();
        self.last = history.last(node, options.start);
        self.forced = if length + 1 == limit { options.forced_end } else { None };
        if self.forced.is_some() {
            return;
        }
        let touched = &mut planning.touched;
        touched.clear();
        let penalised = options.repetition_penalty != 1.0;
        let size = options.no_repeat_ngram_size;
        if penalised || size > 0 || !options.undoubled.is_empty() {
            history.tokens(node, options.start, &mut planning.history);
            if penalised {
                touched.extend(planning.history.iter().map(|&token| (token, Effect::Penalised)));
            }
            if size > 0 && length >= size {
                let beginning = &planning.history[length + 1 - size..];
                let may_repeat = |token: &TokenId| options.repeatable.binary_search(token).is_ok();
                let repeats = planning
                    .history
                    .windows(size)
                    .filter(|window| window[..size - 1] == *beginning && !window.iter().any(may_repeat));
                touched.extend(repeats.map(|window| (window[size - 1], Effect::Banned)));
            }
            touched.extend(doubling(&planning.history, &options.undoubled).map(|token| (token, Effect::Banned)));
        }
        touched.extend(options.banned.iter().filter(|&&id| id != options.end).map(|&id| (id, Effect::Banned)));
        if length < options.min_length {
            touched.push((options.end, Effect::Banned));
        }
        touched.sort_unstable();
        touched.dedup_by_key(|(token, _)| *token);
        self.probes.extend(touched.iter().map(|(token, _)| *token));
        self.banned.extend(touched.iter().map(|(_, effect)| *effect == Effect::Banned));
        glosses.next_tokens(self.last, &mut self.probes);
    }

    /// How many of the best tokens to ask for so that `wanted` that no rule makes less likely are among them.
    pub(crate) fn top(&self, wanted: usize) -> usize {
        if self.forced.is_some() { 1 } else { wanted + self.banned.len() }
    }

    /// Whether the token is given, whatever the model says.
    pub(crate) fn is_forced(&self) -> bool {
        self.forced.is_some()
    }

    /// The tokens whose logits must be known.
    pub(crate) fn probes(&self) -> &[TokenId] {
        &self.probes
    }

    /// Writes the `wanted` best next tokens, best first; fewer where the rules leave no more.
    ///
    /// # Errors
    /// The engine gave fewer probes than were asked for, or a score that is not a number.
    pub(crate) fn candidates(
        &mut self,
        options: &SearchOptions,
        glosses: &Glosses,
        scores: &RowScores,
        wanted: usize,
        candidates: &mut Vec<Candidate>,
    ) -> Result<()> {
        candidates.clear();
        let total = scores.log_sum_exp;
        let logits = scores.top.iter().map(|(_, logit)| logit).chain(&scores.probes);
        if !total.is_finite() || logits.into_iter().any(|logit| logit.is_nan()) {
            return Err(not_a_number(total, scores));
        }
        if let Some(token) = self.forced {
            candidates.push(Candidate { token, log_prob: 0.0 });
            return Ok(());
        }
        if scores.probes.len() != self.probes.len() {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("engine gave {} probes, expected {}", scores.probes.len(), self.probes.len()),
            ));
        }
        let kept = self.mix(glosses, scores);
        let rules = self.banned.len();
        let ruled = &self.probes[..rules];
        let mixed = |token: TokenId| {
            self.mixed.binary_search_by_key(&token, |(token, _)| *token).ok().map(|at| self.mixed[at].1)
        };
        // What the rules leave of the whole probability.
        let mut mass = 1.0;
        for ((&token, &banned), &logit) in ruled.iter().zip(&self.banned).zip(&scores.probes) {
            let logit = mixed(token).unwrap_or(logit + kept);
            mass -= f64::from(logit - total).exp();
            if !banned {
                let log_prob = penalised(logit, total, options);
                mass += f64::from(log_prob).exp();
                candidates.push(Candidate { token, log_prob });
            }
        }
        let is_free = |token: TokenId| ruled.binary_search(&token).is_err();
        let likelier = self.mixed.iter().copied().filter(|(token, _)| is_free(*token));
        let untouched = scores.top.iter().filter(|(token, _)| is_free(*token) && mixed(*token).is_none());
        let untouched = untouched.take(wanted).map(|(token, logit)| (*token, logit + kept));
        candidates.extend(likelier.chain(untouched).map(|(token, logit)| Candidate { token, log_prob: logit - total }));
        candidates.retain(|candidate| candidate.log_prob > f32::NEG_INFINITY);
        candidates.sort_unstable_by(|a, b| b.log_prob.total_cmp(&a.log_prob).then(a.token.cmp(&b.token)));

        // Greedy search always reports a distribution that sums to 1: its choice cannot depend on that.
        if rules > 0 && (options.renormalize || options.beam_size == 1) {
            if mass < 1e-3 {
                // Nearly everything was banned and the difference lies in the rounding; the candidates bound it.
                mass = candidates.iter().map(|candidate| f64::from(candidate.log_prob).exp()).sum::<f64>().max(mass);
            }
            let shift = mass.ln() as f32;
            if shift.is_finite() {
                for candidate in candidates.iter_mut() {
                    candidate.log_prob -= shift;
                }
            }
        }
        candidates.truncate(wanted);
        Ok(())
    }

    /// Mixes the lexical table in: works out the logits of the tokens it makes likelier, and returns what it adds to those
    /// of all others.
    fn mix(&mut self, glosses: &Glosses, scores: &RowScores) -> f32 {
        let total = scores.log_sum_exp;
        let doubt = 1.0 - scores.top.first().map_or(0.0, |(_, logit)| (logit - total).exp());
        glosses.shares(self.last, doubt, &scores.attention, &mut self.mixed);
        let rules = self.banned.len();
        let (tokens, logits) = (&self.probes[rules..], &scores.probes[rules..]);
        let logit = |token: TokenId| tokens.binary_search(&token).map_or(f32::NEG_INFINITY, |at| logits[at]);
        // A token that the model can never produce stays out.
        self.mixed.retain(|(token, share)| *share > 0.0 && logit(*token) > f32::NEG_INFINITY);
        let added: f32 = self.mixed.iter().map(|(_, share)| share).sum();
        let kept = (1.0 - added).max(f32::MIN_POSITIVE).ln();
        for (token, share) in &mut self.mixed {
            *share = ((logit(*token) - total + kept).exp() + *share).ln() + total;
        }
        kept
    }
}

/// The most tokens of a word, or of words, that are kept from coming twice in a row.
const LONGEST_DOUBLED: usize = 4;

/// The tokens that would end a second copy of what stands right before it, where that begins with one of `beginnings`.
fn doubling(history: &[TokenId], beginnings: &[TokenId]) -> impl Iterator<Item = TokenId> {
    (1..=LONGEST_DOUBLED).filter_map(move |size| {
        // The first copy is whole, the second lacks its last token.
        let (before, second) = history.split_at_checked((history.len() + 1).checked_sub(size)?)?;
        let first = &before[before.len().checked_sub(size)?..];
        let repeats = first[..size - 1] == *second && beginnings.binary_search(&first[0]).is_ok();
        repeats.then(|| first[size - 1])
    })
}

/// The repetition penalty: on logits in greedy search, on log-probabilities in beam search.
fn penalised(logit: f32, total: f32, options: &SearchOptions) -> f32 {
    let worse = |score: f32| {
        if score < 0.0 { score * options.repetition_penalty } else { score / options.repetition_penalty }
    };
    if options.beam_size == 1 { worse(logit) - total } else { worse(logit - total) }
}

#[cold]
fn not_a_number(total: f32, scores: &RowScores) -> Error {
    let best = scores.top.first().map_or(f32::NAN, |(_, logit)| *logit);
    Error::new(
        ErrorKind::Model,
        format!("the model's scores are not finite numbers (log-sum-exp {total}, best logit {best})"),
    )
    .with_hint("the weights are corrupt or do not fit the configuration; `tarjim models verify` checks them")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(logits: &[f32], adjustment: &Adjustment, wanted: usize) -> RowScores {
        let mut top: Vec<(TokenId, f32)> = (0..).zip(logits.iter().copied()).collect();
        top.sort_by(|a, b| b.1.total_cmp(&a.1));
        top.truncate(adjustment.top(wanted));
        RowScores {
            top,
            probes: adjustment.probes().iter().map(|&token| logits[token as usize]).collect(),
            log_sum_exp: logits.iter().map(|logit| logit.exp()).sum::<f32>().ln(),
            attention: Vec::new(),
        }
    }

    fn history(tokens: &[TokenId]) -> (History, Node) {
        let mut history = History::default();
        let node = tokens.iter().fold(Node::ROOT, |node, &token| history.extend(node, token, 0.0, 0));
        (history, node)
    }

    fn adjust(options: &SearchOptions, tokens: &[TokenId], logits: &[f32], wanted: usize) -> Vec<Candidate> {
        let (history, node) = history(tokens);
        let mut adjustment = Adjustment::default();
        let (none, length) = (Glosses::default(), tokens.len() + 1);
        adjustment.plan(options, &none, &history, node, length, options.max_length, &mut Planning::default());
        let mut candidates = Vec::new();
        adjustment.candidates(options, &none, &scores(logits, &adjustment, wanted), wanted, &mut candidates).unwrap();
        candidates
    }

    fn tokens(candidates: &[Candidate]) -> Vec<TokenId> {
        candidates.iter().map(|candidate| candidate.token).collect()
    }

    #[test]
    fn a_banned_token_gives_its_probability_to_the_others() {
        let mut options = SearchOptions { beam_size: 2, banned: vec![2], ..SearchOptions::new(3, 0) };
        let logits = [0.5, 1.5, 4.0, -1.0];
        let plain = adjust(&options, &[], &logits, 4);
        assert_eq!(tokens(&plain), [1, 0, 3]);
        let sum = |candidates: &[Candidate]| candidates.iter().map(|c| c.log_prob.exp()).sum::<f32>();
        assert!(sum(&plain) < 0.2);
        options.renormalize = true;
        let renormalised = adjust(&options, &[], &logits, 4);
        assert!((sum(&renormalised) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn renormalisation_survives_a_ban_on_nearly_everything() {
        let options = SearchOptions { beam_size: 2, banned: vec![2], renormalize: true, ..SearchOptions::new(3, 0) };
        for dominant in [30.0, 60.0, 80.0] {
            for candidate in adjust(&options, &[], &[0.5, 1.5, dominant, -1.0], 4) {
                assert!(candidate.log_prob.is_finite() && candidate.log_prob <= 0.0, "{dominant}: {candidate:?}");
            }
        }
    }

    #[test]
    fn the_repetition_penalty_acts_on_logits_or_log_probabilities_and_counts_the_start_token() {
        let mut options = SearchOptions { repetition_penalty: 2.0, ..SearchOptions::new(3, 0) };
        let logits = [0.25, 3.0, 2.0, 2.5];
        // Greedy: 3.0 / 2 and 2.5 / 2 fall behind 2.0.
        assert_eq!(tokens(&adjust(&options, &[1], &logits, 4)), [2, 1, 3, 0]);
        options.beam_size = 2;
        let total = logits.iter().map(|logit| logit.exp()).sum::<f32>().ln();
        let beam = adjust(&options, &[1], &logits, 4);
        assert_eq!(tokens(&beam), [1, 2, 3, 0]);
        assert!((beam[0].log_prob - 2.0 * (3.0 - total)).abs() < 1e-6);
    }

    #[test]
    fn the_lexical_table_revives_no_banned_and_no_impossible_token() {
        let lexical = crate::search::lexical::any_table(0.9);
        // Words 2, 16 and 4 of that table: the tokens 2 and 4, and the beginnings of others.
        let glosses = lexical.glosses(&[2, 16, 4], 14).unwrap();
        let mut options = SearchOptions {
            beam_size: 2,
            banned: vec![2],
            renormalize: true,
            lexical: Some(lexical),
            ..SearchOptions::new(13, 0)
        };
        let mut logits = vec![0.0; 14];
        logits[4] = f32::NEG_INFINITY;
        let mut adjustment = Adjustment::default();
        let mut candidates = Vec::new();
        for renormalize in [true, false] {
            options.renormalize = renormalize;
            adjustment.plan(&options, &glosses, &History::default(), Node::ROOT, 1, 8, &mut Planning::default());
            let mut scores = scores(&logits, &adjustment, 14);
            scores.attention = vec![0.4, 0.3, 0.3];
            adjustment.candidates(&options, &glosses, &scores, 14, &mut candidates).unwrap();
            assert!(candidates.iter().all(|candidate| candidate.token != 2 && candidate.token != 4));
            let sum: f32 = candidates.iter().map(|candidate| candidate.log_prob.exp()).sum();
            assert_eq!((sum - 1.0).abs() < 1e-4, renormalize, "{sum}");
        }
    }

    #[test]
    fn no_ngram_occurs_twice() {
        let options = SearchOptions { beam_size: 2, no_repeat_ngram_size: 2, ..SearchOptions::new(3, 0) };
        let logits = [0.0, 1.0, 2.0, 3.0];
        assert_eq!(tokens(&adjust(&options, &[1, 2, 1], &logits, 4)), [3, 1, 0]);
        assert_eq!(tokens(&adjust(&options, &[1, 2], &logits, 4)), [3, 2, 1, 0]);
        let unigrams = SearchOptions { no_repeat_ngram_size: 1, ..options.clone() };
        assert_eq!(tokens(&adjust(&unigrams, &[1, 2], &logits, 4)), [0]);
        // Unless it holds what may repeat.
        let repeatable = SearchOptions { repeatable: vec![2], ..options };
        assert_eq!(tokens(&adjust(&repeatable, &[1, 2, 1], &logits, 4)), [3, 2, 1, 0]);
        assert_eq!(tokens(&adjust(&repeatable, &[1, 1, 2, 1], &logits, 4)), [3, 2, 0]);
    }

    #[test]
    fn no_word_comes_twice_in_a_row() {
        let options = SearchOptions { beam_size: 2, undoubled: vec![1, 2], ..SearchOptions::new(9, 0) };
        let logits = [0.0, 1.0, 2.0, 3.0, 4.0];
        let allowed = |said: &[TokenId]| tokens(&adjust(&options, said, &logits, 5));
        assert_eq!(allowed(&[1]), [4, 3, 2, 0]);
        assert_eq!(allowed(&[1, 3]), [4, 3, 2, 1, 0]);
        // A word of several tokens, two words, and what does not begin a word.
        assert_eq!(allowed(&[1, 3, 1]), [4, 2, 0]);
        assert_eq!(allowed(&[2, 1, 3, 4, 1, 3]), [3, 2, 1, 0]);
        assert_eq!(allowed(&[1, 2, 1]), [4, 3, 0]);
        assert_eq!(allowed(&[3, 4, 3]), [4, 3, 2, 1, 0]);
        assert_eq!(allowed(&[1, 3, 3, 3]), [4, 3, 2, 1, 0]);
    }

    #[test]
    fn the_end_waits_for_the_least_length_and_comes_at_the_greatest() {
        let options = SearchOptions { beam_size: 2, min_length: 3, max_length: 4, ..SearchOptions::new(3, 0) };
        let logits = [5.0, 1.0, 2.0, 3.0];
        assert_eq!(tokens(&adjust(&options, &[1], &logits, 4)), [3, 2, 1]);
        assert_eq!(adjust(&options, &[1, 2], &logits, 4), [Candidate { token: 0, log_prob: 0.0 }]);
    }

    #[test]
    fn a_ban_on_the_end_is_ignored() {
        let options = SearchOptions { banned: vec![0, 1], ..SearchOptions::new(3, 0) };
        assert_eq!(tokens(&adjust(&options, &[], &[5.0, 9.0, 2.0, 3.0], 1)), [0]);
    }

    #[test]
    fn scores_that_are_not_numbers_are_an_error() {
        let options = SearchOptions { banned: vec![1], ..SearchOptions::new(3, 0) };
        let mut adjustment = Adjustment::default();
        let none = Glosses::default();
        adjustment.plan(&options, &none, &History::default(), Node::ROOT, 1, 8, &mut Planning::default());
        let good = RowScores { top: vec![(2, 1.0)], probes: vec![0.0], log_sum_exp: 2.0, attention: Vec::new() };
        let mut candidates = Vec::new();
        adjustment.candidates(&options, &none, &good, 1, &mut candidates).unwrap();
        for bad in [
            RowScores { log_sum_exp: f32::NAN, ..good.clone() },
            RowScores { log_sum_exp: f32::INFINITY, ..good.clone() },
            RowScores { top: vec![(2, f32::NAN)], ..good.clone() },
            RowScores { probes: vec![f32::NAN], ..good.clone() },
        ] {
            let error = adjustment.candidates(&options, &none, &bad, 1, &mut candidates).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Model);
            assert!(error.to_string().contains("not finite"), "{error}");
        }
        let fewer = RowScores { probes: Vec::new(), ..good };
        assert_eq!(
            adjustment.candidates(&options, &none, &fewer, 1, &mut candidates).unwrap_err().kind(),
            ErrorKind::Internal
        );
    }
}
