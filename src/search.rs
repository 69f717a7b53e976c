//! Greedy and beam search over any engine.
//!
//! Search turns sentences of source ids into hypotheses of target ids. It asks an [`Engine`] for the best next tokens
//! of every hypothesis in flight and decides which of them live on, exactly as `transformers` v5 does, so that ids
//! and scores can be compared with it number by number. Nothing here looks at text or tensors, and nothing costs more
//! than the few candidates it looks at: the vocabulary is the engine's business.
//!
//! Sentences are searched in continuous batches (see [`Scheduler`], and [`search_stream`] for several threads): a finished sentence leaves between two steps and
//! a waiting one takes its place. What comes out for a sentence depends on that sentence and the options alone, never
//! on its neighbours, the batch sizes or the order of arrival.
//!
//! # Ties
//! Where scores are equal to the last bit, the candidate of the better-ranked hypothesis wins, then the smaller
//! token id; a finished hypothesis holds its rank against a later one. (`torch.topk` leaves this open.)

mod adjustment;
mod beam;
mod flight;
mod greedy;
mod history;
mod lexical;
mod options;
mod queue;
#[cfg(test)]
mod reference;
mod scheduler;
#[cfg(test)]
mod table;
mod workers;

use crate::engine::{Engine, Forced, TokenId};
use crate::error::Result;

pub use crate::model::EarlyStopping;
pub use lexical::{Lexical, LexicalTable};
pub use options::{BatchOptions, SearchOptions};
pub use scheduler::Scheduler;
pub use workers::search_stream;

/// One translation of a sentence, in ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hypothesis {
    /// The target pieces, the end token included (without it only where the length limit cut the hypothesis and no
    /// end was forced). The start token is not among them.
    pub tokens: Vec<TokenId>,
    /// Log-probability of each token given those before it, after the lexical table, penalties and renormalisation; 0 for a
    /// forced end.
    pub log_probs: Vec<f32>,
    /// Sum of [`log_probs`](Hypothesis::log_probs) over `length ^ length_penalty`, the length being the number of
    /// [`tokens`](Hypothesis::tokens): `sequences_scores` of `transformers`.
    pub score: f32,
    /// Attention of the alignment head: one row per token over the source pieces, `</s>` included.
    pub attention: Vec<Vec<f32>>,
    /// Whether the model ended the hypothesis itself; false where the length limit or a ban on every token did.
    pub complete: bool,
}

impl Hypothesis {
    /// A given translation as a hypothesis, from what [`Engine::force`] says about it, so that whatever reads search
    /// results reads forced ones too.
    ///
    /// `target` are the pieces that were forced, the end included. The log-probabilities are the model's own: no token
    /// is banned, penalised or forced at no cost.
    pub fn forced(target: &[TokenId], forced: Forced, length_penalty: f32) -> Self {
        let sum: f32 = forced.log_probs.iter().sum();
        Hypothesis {
            tokens: target.to_vec(),
            score: options::score(sum, target.len(), length_penalty),
            log_probs: forced.log_probs,
            attention: forced.attention,
            complete: true,
        }
    }
}

/// Searches every sentence of `sources` (pieces, `</s>` included) and hands each one's hypotheses, best first, to
/// `on_done` with its index in `sources` as soon as it is finished, so in no particular order.
///
/// There are `n_best` hypotheses, fewer only where the search space has no more.
///
/// # Errors
/// The options contradict themselves or name ids outside the vocabulary; a sentence is empty, too long or has an id
/// outside the vocabulary (found before anything is searched); the engine fails or gives a score that is not a
/// number.
pub fn search(
    engine: &dyn Engine,
    sources: &[&[TokenId]],
    options: &SearchOptions,
    batch: &BatchOptions,
    on_done: &mut dyn FnMut(usize, Vec<Hypothesis>),
) -> Result<()> {
    let mut scheduler = Scheduler::new(engine, options, batch)?;
    let dimensions = engine.dimensions();
    for (index, source) in sources.iter().enumerate() {
        queue::check(source, &dimensions).map_err(|error| error.at(format_args!("sentence {index}")))?;
    }
    let mut rest = sources.iter().enumerate();
    loop {
        while scheduler.wants_more() {
            let Some((index, source)) = rest.next() else { break };
            scheduler.push(index, source.to_vec())?;
        }
        if !scheduler.step(on_done)? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::table::{Table, attention};
    use super::*;
    use crate::error::ErrorKind;

    /// Results in the order of the sources.
    fn run(
        engine: &Table,
        sources: &[Vec<TokenId>],
        options: &SearchOptions,
        batch: &BatchOptions,
    ) -> Vec<Vec<Hypothesis>> {
        let slices: Vec<&[TokenId]> = sources.iter().map(Vec::as_slice).collect();
        let mut found = vec![Vec::new(); sources.len()];
        search(engine, &slices, options, batch, &mut |index, hypotheses| {
            assert!(found[index].is_empty(), "sentence {index} came twice");
            assert!(!hypotheses.is_empty(), "sentence {index} has no hypothesis");
            found[index] = hypotheses;
        })
        .unwrap();
        assert!(found.iter().all(|hypotheses| !hypotheses.is_empty()), "a sentence was lost");
        found
    }

    fn one(engine: &Table, source: &[TokenId], options: &SearchOptions) -> Vec<Hypothesis> {
        run(engine, &[source.to_vec()], options, &BatchOptions::single()).remove(0)
    }

    /// Ids of the hashed tables: the end is 0, start and pad the last.
    fn options(vocabulary: usize, beam_size: usize) -> SearchOptions {
        let pad = (vocabulary - 1) as TokenId;
        SearchOptions {
            beam_size,
            n_best: beam_size,
            max_length: 24,
            banned: vec![pad],
            renormalize: true,
            ..SearchOptions::new(pad, 0)
        }
    }

    fn sources() -> impl Strategy<Value = Vec<Vec<TokenId>>> {
        prop::collection::vec(prop::collection::vec(0u32..1000, 1..20), 1..24)
    }

    fn batches() -> impl Strategy<Value = BatchOptions> {
        (1usize..200, 1usize..40, 1usize..5).prop_map(|(mini_batch_words, max_rows, maxi_batch)| BatchOptions {
            mini_batch_words,
            max_rows,
            maxi_batch,
        })
    }

    fn any_options() -> impl Strategy<Value = SearchOptions> {
        let stopping =
            prop_oneof![Just(EarlyStopping::Always), Just(EarlyStopping::Heuristic), Just(EarlyStopping::Never)];
        let lengths = (0usize..12, 2usize..24, prop::option::of(0.2f32..3.0), -1.0f32..2.0);
        let rules = (prop::bool::ANY, 0usize..4, prop_oneof![Just(1.0f32), 0.7f32..1.6], prop::bool::ANY);
        let rules = (rules, prop::option::of(0.0f32..0.9)).prop_map(|((a, b, c, d), e)| (a, b, c, d, e));
        (1usize..6, 1usize..6, stopping, lengths, rules).prop_map(
            |(beam_size, n_best, early_stopping, lengths, rules)| SearchOptions {
                n_best: n_best.min(beam_size),
                early_stopping,
                min_length: lengths.0,
                max_length: lengths.1,
                max_length_factor: lengths.2,
                length_penalty: lengths.3,
                renormalize: rules.0,
                no_repeat_ngram_size: rules.1,
                repetition_penalty: rules.2,
                forced_end: rules.3.then_some(0),
                lexical: rules.4.map(lexical::any_table),
                ..options(14, beam_size)
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn neighbours_order_and_budget_change_nothing(
            sources in sources(),
            options in any_options(),
            batch in batches(),
            turn in 0usize..24,
        ) {
            let engine = Table::hashed(14, 3);
            let alone: Vec<_> = sources.iter().map(|source| one(&engine, source, &options)).collect();
            prop_assert_eq!(&run(&engine, &sources, &options, &batch), &alone);
            let mut turned = sources.clone();
            turned.rotate_left(turn % sources.len());
            let mut found = run(&engine, &turned, &options, &BatchOptions::default());
            found.rotate_right(turn % sources.len());
            prop_assert_eq!(&found, &alone);
        }

        #[test]
        fn hypotheses_are_sorted_distinct_finite_and_within_their_limits(
            sources in sources(),
            options in any_options(),
        ) {
            let engine = Table::hashed(14, 4);
            let found = run(&engine, &sources, &options, &BatchOptions::default());
            for (source, hypotheses) in sources.iter().zip(found) {
                prop_assert!(hypotheses.len() <= options.n_best);
                prop_assert!(hypotheses.windows(2).all(|pair| pair[0].score >= pair[1].score));
                let limit = options.limit(source.len(), &engine.dimensions);
                for (rank, hypothesis) in hypotheses.iter().enumerate() {
                    prop_assert!(hypotheses[..rank].iter().all(|other| other.tokens != hypothesis.tokens));
                    let length = hypothesis.tokens.len();
                    prop_assert_eq!((hypothesis.log_probs.len(), hypothesis.attention.len()), (length, length));
                    prop_assert!(length < limit);
                    let (last, inner) = hypothesis.tokens.split_last().unwrap();
                    prop_assert!(inner.iter().all(|&token| token != options.end));
                    prop_assert!(!hypothesis.tokens.contains(&options.start));
                    prop_assert!(!hypothesis.complete || (*last == options.end && length >= options.min_length));
                    prop_assert!(hypothesis.score.is_finite() && hypothesis.log_probs.iter().all(|p| p.is_finite()));
                    let sum: f32 = hypothesis.log_probs.iter().sum();
                    prop_assert!((options.score(sum, length) - hypothesis.score).abs() <= 1e-3 * hypothesis.score.abs().max(1.0));
                    for (position, row) in hypothesis.attention.iter().enumerate() {
                        let mut prefix = vec![options.start];
                        prefix.extend(&hypothesis.tokens[..position]);
                        prop_assert_eq!(row, &attention(source, &prefix));
                    }
                }
            }
        }

        #[test]
        fn a_beam_of_one_that_stops_at_once_is_greedy_search(
            source in prop::collection::vec(0u32..1000, 1..20),
            no_repeat_ngram_size in 0usize..4,
            min_length in 0usize..9,
        ) {
            let engine = Table::hashed(30, 5);
            let options = SearchOptions {
                no_repeat_ngram_size,
                min_length,
                early_stopping: EarlyStopping::Always,
                ..options(30, 1)
            };
            let greedy = one(&engine, &source, &options);
            let beam = beam_of_one(&engine, &source, &options);
            prop_assert_eq!(greedy, beam);
        }

        #[test]
        fn batches_keep_to_their_budget(sources in sources(), batch in batches(), beam_size in 1usize..4) {
            let engine = Table::hashed(14, 6);
            run(&engine, &sources, &options(14, beam_size), &batch);
            let longest = sources.iter().map(Vec::len).max().unwrap();
            let seen = |counter: &std::sync::atomic::AtomicUsize| counter.load(std::sync::atomic::Ordering::Relaxed);
            prop_assert!(seen(&engine.most_words) <= batch.mini_batch_words.max(longest));
            prop_assert!(seen(&engine.most_rows) <= batch.max_rows.max(beam_size));
        }
    }

    /// Beam search proper at width 1, which [`search`] leaves to greedy search.
    fn beam_of_one(engine: &Table, source: &[TokenId], options: &SearchOptions) -> Vec<Hypothesis> {
        use crate::engine::{Parent, StepRow};
        let mut session = engine.session();
        let key = session.admit(&[source]).unwrap()[0];
        let mut beam = beam::Beam::new(options.limit(source.len(), &engine.dimensions()), lexical::Glosses::default());
        let mut parent = Parent::Start(key);
        loop {
            beam.plan(options, &mut adjustment::Planning::default());
            let (_, token, top, probes) = beam.requests(options).next().unwrap();
            let mut rows = session.step(&[StepRow { parent, token, top, probes }]).unwrap();
            parent = Parent::Row(0);
            if beam.advance(options, &mut rows, &mut beam::Expansion::default()).unwrap() {
                return beam.finish(options);
            }
        }
    }

    #[test]
    fn a_found_translation_scores_the_same_when_it_is_forced() {
        use crate::engine::ForcedPair;
        let engine = Table::hashed(14, 9);
        let options = SearchOptions { length_penalty: 0.7, renormalize: false, ..options(14, 4) };
        let source = [3, 1, 4, 1, 5, 0];
        for found in one(&engine, &source, &options) {
            let pair = ForcedPair { source: &source, start: options.start, target: &found.tokens };
            let forced = engine.force(&[pair]).unwrap().remove(0);
            let forced = Hypothesis::forced(&found.tokens, forced, options.length_penalty);
            assert!((forced.score - found.score).abs() < 1e-5);
            assert_eq!(Hypothesis { score: found.score, ..forced }, found);
        }
    }

    #[test]
    fn a_full_beam_finds_the_best_of_all() {
        // Every sequence over three tokens and the end, up to four long, scored one by one.
        let engine = Table::hashed(5, 7);
        for length_penalty in [0.0, 1.0, 1.7] {
            let options = SearchOptions {
                n_best: 5,
                max_length: 5,
                early_stopping: EarlyStopping::Never,
                length_penalty,
                renormalize: false,
                ..options(5, 200)
            };
            for source in [vec![3, 0], vec![8, 1, 0], vec![4, 4, 2, 0]] {
                let mut all: Vec<(f32, Vec<TokenId>)> = Vec::new();
                let mut open = vec![(0.0f32, Vec::new())];
                while let Some((sum, tokens)) = open.pop() {
                    let mut prefix = vec![options.start];
                    prefix.extend(&tokens);
                    let log_probs = engine.log_probs(&source, &prefix);
                    for token in 0..4 {
                        let mut longer = tokens.clone();
                        longer.push(token);
                        if longer.len() == options.max_length - 1 {
                            // The end is forced here, at no cost.
                            longer[options.max_length - 2] = options.end;
                            all.push((options.score(sum, longer.len()), longer));
                            break;
                        }
                        let sum = sum + log_probs[token as usize];
                        if token == options.end {
                            all.push((options.score(sum, longer.len()), longer));
                        } else {
                            open.push((sum, longer));
                        }
                    }
                }
                all.sort_by(|a, b| b.0.total_cmp(&a.0));
                let found = one(&engine, &source, &options);
                let found: Vec<_> = found.into_iter().map(|hypothesis| (hypothesis.score, hypothesis.tokens)).collect();
                assert_eq!(found, all[..5]);
            }
        }
    }

    #[test]
    fn equal_scores_go_by_rank_then_by_id() {
        let engine = Table::new(6, |_, _| vec![0.0; 6]);
        let mut options = SearchOptions { max_length: 4, ..SearchOptions::new(5, 0) };
        options.min_length = 3;
        assert_eq!(one(&engine, &[1, 0], &options)[0].tokens, [1, 1, 0]);
        options.beam_size = 3;
        options.n_best = 3;
        let found = one(&engine, &[1, 0], &options);
        let tokens: Vec<_> = found.iter().map(|hypothesis| hypothesis.tokens.as_slice()).collect();
        assert_eq!(tokens, [[1, 1, 0], [1, 2, 0], [1, 3, 0]]);
    }

    #[test]
    fn finished_sentences_leave_and_waiting_ones_enter() {
        // As many tokens as the source has; four in flight at most.
        let engine = Table::new(4, |source, prefix| {
            if prefix.len() < source.len() { vec![0.0, 5.0, 0.0, 0.0] } else { vec![9.0, 0.0, 0.0, 0.0] }
        });
        let options = SearchOptions::new(3, 0);
        let batch = BatchOptions { mini_batch_words: 10_000, max_rows: 4, maxi_batch: 1 };
        let sources: Vec<Vec<TokenId>> = (1..=32).map(|length| vec![1; length]).collect();
        run(&engine, &sources, &options, &batch);
        let tokens: usize = sources.iter().map(Vec::len).sum();
        let steps = engine.steps.load(std::sync::atomic::Ordering::Relaxed);
        assert!(steps < tokens / 4 + 32, "{steps} steps for {tokens} tokens in four rows");
    }

    #[test]
    fn a_sentence_is_handed_over_while_others_are_still_running() {
        let engine = Table::new(4, |source, prefix| {
            if prefix.len() < source.len() { vec![0.0, 5.0, 0.0, 0.0] } else { vec![9.0, 0.0, 0.0, 0.0] }
        });
        let mut scheduler = Scheduler::new(&engine, &SearchOptions::new(3, 0), &BatchOptions::default()).unwrap();
        scheduler.push(70, vec![1; 9]).unwrap();
        scheduler.push(71, vec![1; 2]).unwrap();
        let mut done = Vec::new();
        for _ in 0..2 {
            assert!(scheduler.step(&mut |index, _| done.push(index)).unwrap());
        }
        assert_eq!((done.as_slice(), scheduler.pending()), ([71].as_slice(), 1));
        scheduler.push(72, vec![1; 3]).unwrap();
        while scheduler.step(&mut |index, _| done.push(index)).unwrap() {}
        assert_eq!((done.as_slice(), scheduler.pending()), ([71, 72, 70].as_slice(), 0));
    }

    #[test]
    fn bad_sentences_are_named_before_anything_is_searched() {
        let engine = Table::hashed(14, 1);
        let long = vec![1; 65];
        for (bad, message) in [
            (&[][..], "sentence 1: source has no pieces, expected at least the end of the sentence"),
            (&long[..], "sentence 1: source has 65 pieces, the model takes at most 64"),
            (&[1000][..], "sentence 1: source id 1000 lies outside the source vocabulary of 1000 pieces"),
        ] {
            let error = search(&engine, &[&[1, 0], bad], &options(14, 1), &BatchOptions::default(), &mut |_, _| {
                panic!("nothing may be searched")
            })
            .unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidInput, message));
        }
    }

    #[test]
    fn options_that_contradict_themselves_are_refused() {
        let engine = Table::hashed(14, 1);
        let good = options(14, 2);
        for bad in [
            SearchOptions { beam_size: 0, ..good.clone() },
            SearchOptions { n_best: 3, ..good.clone() },
            SearchOptions { n_best: 0, ..good.clone() },
            SearchOptions { max_length: 1, ..good.clone() },
            SearchOptions { length_penalty: f32::NAN, ..good.clone() },
            SearchOptions { repetition_penalty: 0.0, ..good.clone() },
            SearchOptions { max_length_factor: Some(0.0), ..good.clone() },
            SearchOptions { start: 14, ..good.clone() },
            SearchOptions { banned: vec![1, 99], ..good.clone() },
        ] {
            let error = search(&engine, &[], &bad, &BatchOptions::default(), &mut |_, _| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{bad:?}");
        }
        let nothing = BatchOptions { max_rows: 0, ..BatchOptions::default() };
        assert!(search(&engine, &[], &good, &nothing, &mut |_, _| ()).is_err());
    }

    #[test]
    fn scores_that_are_not_numbers_end_the_search_with_an_error() {
        for poison in [f32::NAN, f32::INFINITY] {
            for beam_size in [1, 3] {
                let engine = Table::new(6, move |_, prefix| {
                    let mut logits = vec![0.0, 1.0, 2.0, 3.0, 4.0, 0.0];
                    if prefix.len() == 3 {
                        logits[2] = poison;
                    }
                    logits
                });
                let error =
                    search(&engine, &[&[1, 0]], &options(6, beam_size), &BatchOptions::default(), &mut |_, _| ())
                        .unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Model);
                assert!(error.to_string().starts_with("sentence 0: the model's scores are not finite"), "{error}");
            }
        }
    }

    #[test]
    fn a_hypothesis_with_every_token_banned_ends_where_it_stands() {
        let engine = Table::new(4, |_, _| vec![f32::NEG_INFINITY, 1.0, 2.0, 0.0]);
        for beam_size in [1, 2] {
            let options =
                SearchOptions { no_repeat_ngram_size: 1, banned: vec![3], beam_size, ..SearchOptions::new(3, 0) };
            let found = one(&engine, &[1, 0], &options);
            assert_eq!(found[0].tokens, [2, 1]);
            assert!(!found[0].complete && found[0].score.is_finite());
        }
    }

    #[test]
    fn positions_and_length_factor_bound_every_hypothesis() {
        let endless = || Table::new(4, |_, _| vec![-9.0, 5.0, 0.0, 0.0]);
        let mut engine = endless();
        engine.dimensions.target_positions = 7;
        for beam_size in [1, 2] {
            let mut options = SearchOptions { beam_size, ..SearchOptions::new(3, 0) };
            let found = one(&engine, &[1, 0], &options);
            assert_eq!((found[0].tokens.len(), found[0].tokens.last()), (7, Some(&0)));
            assert!(!found[0].complete);
            options.max_length_factor = Some(1.5);
            assert_eq!(one(&engine, &[1, 0], &options)[0].tokens, [1, 1, 0]);
            options.forced_end = None;
            assert_eq!(one(&engine, &[1, 0], &options)[0].tokens, [1, 1, 1]);
        }
    }
}
