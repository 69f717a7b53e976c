//! The candle engine against `transformers`, against candle's own Marian, and against misuse.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::marian;
use tarjim::ErrorKind;
use tarjim::candle::CandleEngine;
use tarjim::engine::{Engine, ForcedPair, Parent, RowScores, SentenceKey, Session, StepRow, TokenId};
use tarjim::model::{EngineOptions, Heads, ModelFiles};

use super::reference::{Reference, distance};

fn load(reference: &Reference) -> (CandleEngine, TokenId) {
    let files = ModelFiles::directory(&reference.folder).unwrap();
    let config = files.config().unwrap();
    let engine = CandleEngine::load(&config, &files.weights().unwrap(), &EngineOptions::default()).unwrap();
    (engine, files.generation_config().unwrap().start)
}

fn name(reference: &Reference) -> String {
    reference.folder.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn encoder_states_equal_transformers_in_any_batch() {
    for reference in Reference::all() {
        let (engine, _) = load(&reference);
        let sources = reference.sources();
        let together = engine.encoder_states(&sources).unwrap();
        let backwards: Vec<&[TokenId]> = sources.iter().rev().copied().collect();
        let backwards = engine.encoder_states(&backwards[..backwards.len() - 1]).unwrap();
        for (i, source) in sources.iter().enumerate() {
            let expected = reference.rows("encoder", i).concat();
            let alone = engine.encoder_states(&[source]).unwrap();
            let apart = distance(&together[i].concat(), &expected).max(distance(&alone[0].concat(), &expected));
            assert!(apart < 1e-4, "{} sentence {i}: {apart}", name(&reference));
            if i > 0 {
                let apart = distance(&backwards[sources.len() - 1 - i].concat(), &expected);
                assert!(apart < 1e-4, "{} sentence {i}, other order: {apart}", name(&reference));
            }
        }
    }
}

#[test]
fn forced_log_probabilities_and_attention_equal_transformers() {
    for reference in Reference::all() {
        let (engine, start) = load(&reference);
        let outputs = &reference.outputs;
        let pairs: Vec<ForcedPair<'_>> = outputs
            .sources
            .iter()
            .zip(&outputs.greedy)
            .map(|(source, greedy)| ForcedPair { source, start, target: &greedy.tokens })
            .collect();
        let together = engine.force(&pairs).unwrap();
        for (i, pair) in pairs.iter().enumerate() {
            let alone = engine.force(std::slice::from_ref(pair)).unwrap();
            for forced in [&together[i], &alone[0]] {
                let apart = distance(&forced.log_probs, &outputs.greedy[i].log_probs);
                assert!(apart < 1e-4, "{} sentence {i}: {apart}", name(&reference));
                let apart = distance(&forced.attention.concat(), &reference.rows("attention", i).concat());
                assert!(apart < 1e-3, "{} sentence {i}, attention: {apart}", name(&reference));
            }
        }
    }
}

/// One sentence on its way through its reference translation.
struct Walk {
    sentence: usize,
    key: SentenceKey,
    fed: usize,
    row: Option<usize>,
}

/// Feeds every sentence its reference translation; sentence `i` enters at step `entry(i)`. Returns, per sentence, the
/// scores of every step.
fn walk(
    reference: &Reference,
    engine: &CandleEngine,
    start: TokenId,
    order: &[usize],
    entry: impl Fn(usize) -> usize,
) -> Vec<Vec<RowScores>> {
    let all: Vec<TokenId> = (0..engine.dimensions().target_vocabulary as TokenId).collect();
    let mut scores: Vec<Vec<RowScores>> = vec![Vec::new(); order.len()];
    let mut session = engine.session();
    let mut walking: Vec<Walk> = Vec::new();
    for step in 0.. {
        let entering: Vec<usize> = order.iter().copied().filter(|i| entry(*i) == step).collect();
        let sources: Vec<&[TokenId]> = entering.iter().map(|i| reference.outputs.sources[*i].as_slice()).collect();
        let keys = session.admit(&sources).unwrap();
        walking.extend(entering.iter().zip(keys).map(|(i, key)| Walk { sentence: *i, key, fed: 0, row: None }));
        if walking.is_empty() && order.iter().all(|i| entry(*i) < step) {
            return scores;
        }
        let rows: Vec<StepRow<'_>> = walking
            .iter()
            .map(|walk| StepRow {
                parent: walk.row.map_or(Parent::Start(walk.key), Parent::Row),
                token: match walk.fed {
                    0 => start,
                    fed => reference.outputs.greedy[walk.sentence].tokens[fed - 1],
                },
                top: 3,
                probes: &all,
            })
            .collect();
        for (row, (walk, result)) in walking.iter_mut().zip(session.step(&rows).unwrap()).enumerate() {
            scores[walk.sentence].push(result);
            (walk.fed, walk.row) = (walk.fed + 1, Some(row));
        }
        walking.retain(|walk| walk.fed < reference.outputs.greedy[walk.sentence].tokens.len());
    }
    unreachable!("the loop above has no other end")
}

#[test]
fn stepwise_logits_equal_transformers_whoever_else_is_in_the_session() {
    for reference in Reference::all() {
        let (engine, start) = load(&reference);
        let count = reference.outputs.sources.len();
        let forwards: Vec<usize> = (0..count).collect();
        let backwards: Vec<usize> = (0..count).rev().collect();
        let together = walk(&reference, &engine, start, &forwards, |_| 0);
        let staggered = walk(&reference, &engine, start, &backwards, |i| 2 * i);
        for i in 0..count {
            let expected = reference.rows("logits", i);
            let attention = reference.rows("attention", i);
            for steps in [&together[i], &staggered[i]] {
                assert_eq!(steps.len(), expected.len());
                for (t, step) in steps.iter().enumerate() {
                    let apart = distance(&step.probes, &expected[t]);
                    assert!(apart < 1e-4, "{} sentence {i} step {t}: {apart}", name(&reference));
                    let apart = distance(&step.attention, &attention[t]);
                    assert!(apart < 1e-3, "{} sentence {i} step {t}, attention: {apart}", name(&reference));
                    let greedy = &reference.outputs.greedy[i];
                    let log_prob = step.probes[greedy.tokens[t] as usize] - step.log_sum_exp;
                    assert!((log_prob - greedy.log_probs[t]).abs() < 1e-4, "{log_prob} {}", greedy.log_probs[t]);
                    let best = step.probes.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    assert_eq!(step.top[0].1, best);
                    assert_eq!(step.top.len(), 3);
                }
            }
        }
    }
}

/// One step of rows that all want everything.
fn step(session: &mut dyn Session, rows: &[(Parent, TokenId)]) -> Vec<RowScores> {
    let rows: Vec<StepRow<'_>> =
        rows.iter().map(|(parent, token)| StepRow { parent: *parent, token: *token, top: 5, probes: &[] }).collect();
    session.step(&rows).unwrap()
}

#[test]
fn branching_rows_equal_rows_that_went_alone() {
    let reference = Reference::tiny();
    let (engine, start) = load(&reference);
    let sources = reference.sources();
    let mut session = engine.session();
    let keys = session.admit(&sources[..2]).unwrap();
    step(session.as_mut(), &[(Parent::Start(keys[0]), start), (Parent::Start(keys[1]), start)]);
    // Sentence 1 comes first now and branches in three, sentence 0 in two.
    step(session.as_mut(), &[1, 1, 0, 1, 0].map(|row| (Parent::Row(row), [40, 41, 42, 43, 44][row])));
    let branched = step(
        session.as_mut(),
        &[(Parent::Row(4), 50), (Parent::Row(0), 51), (Parent::Row(2), 52), (Parent::Row(0), 53)],
    );
    for (scores, (sentence, tokens)) in
        branched.iter().zip([(0, [start, 40, 50]), (1, [start, 41, 51]), (0, [start, 40, 52]), (1, [start, 41, 53])])
    {
        let mut alone = engine.session();
        let key = alone.admit(&[sources[sentence]]).unwrap()[0];
        let mut parent = Parent::Start(key);
        let mut last = RowScores::default();
        for token in tokens {
            last = step(alone.as_mut(), &[(parent, token)]).remove(0);
            parent = Parent::Row(0);
        }
        assert_eq!(scores.attention.len(), sources[sentence].len());
        assert!(distance(&scores.attention, &last.attention) < 1e-5);
        let logits = |scores: &RowScores| scores.top.iter().map(|(_, logit)| *logit).collect::<Vec<_>>();
        assert!(distance(&logits(scores), &logits(&last)) < 1e-5);
        assert_eq!(scores.top[0].0, last.top[0].0);
    }
}

#[test]
fn logits_equal_candles_own_marian() {
    let reference = Reference::tiny();
    let json = std::fs::read(reference.folder.join("config.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    json["forced_eos_token_id"] = 0.into();
    let config: marian::Config = serde_json::from_value(json).unwrap();
    let weights = std::fs::read(reference.folder.join("model.safetensors")).unwrap();
    let builder = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu).unwrap();
    for (i, source) in reference.outputs.sources.iter().enumerate() {
        // Its encoder keeps what it saw: each sentence needs a model of its own.
        let mut model = marian::MTModel::new(&config, builder.clone()).unwrap();
        let source = Tensor::new(source.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let states = model.encoder().forward(&source, 0).unwrap();
        let tokens = &reference.outputs.greedy[i].tokens;
        let fed = [&[config.decoder_start_token_id], &tokens[..tokens.len() - 1]].concat();
        let fed = Tensor::new(fed.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let logits = model.decode(&fed, &states, 0).unwrap().squeeze(0).unwrap().to_vec2::<f32>().unwrap();
        let apart = distance(&logits.concat(), &reference.rows("logits", i).concat());
        assert!(apart < 1e-4, "sentence {i}: {apart}");
    }
}

#[test]
fn int8_weights_are_multiplied_out() {
    let reference = Reference::tiny();
    let files = ModelFiles::directory(&reference.folder).unwrap();
    let folder = super::model::quantised_copy(&reference.folder);
    let small = ModelFiles::directory(folder.path()).unwrap();
    let options = EngineOptions::default();
    let whole = CandleEngine::load(&files.config().unwrap(), &files.weights().unwrap(), &options).unwrap();
    let rounded = CandleEngine::load(&small.config().unwrap(), &small.weights().unwrap(), &options).unwrap();
    let sources = reference.sources();
    let (whole, rounded) = (whole.encoder_states(&sources).unwrap(), rounded.encoder_states(&sources).unwrap());
    let apart = distance(&rounded.concat().concat(), &whole.concat().concat());
    assert!(apart > 0.0 && apart < 0.2, "{apart}");
}

#[test]
fn misuse_is_an_error() {
    let reference = Reference::tiny();
    let (engine, start) = load(&reference);
    let dimensions = engine.dimensions();
    let mut session = engine.session();
    let long = vec![5; dimensions.source_positions + 1];
    for source in [&[][..], &long, &[dimensions.source_vocabulary as TokenId]] {
        assert_eq!(session.admit(&[source]).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(engine.encoder_states(&[source]).unwrap_err().kind(), ErrorKind::InvalidInput);
        let pair = ForcedPair { source, start, target: &[0] };
        assert_eq!(engine.force(&[pair]).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    for target in [&vec![5; dimensions.target_positions + 1][..], &[dimensions.target_vocabulary as TokenId]] {
        let pair = ForcedPair { source: &[0], start, target };
        assert_eq!(engine.force(&[pair]).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let row = |parent, token| StepRow { parent, token, top: 1, probes: &[] };
    assert!(session.step(&[row(Parent::Row(0), start)]).is_err());
    assert!(session.step(&[row(Parent::Start(SentenceKey(7)), start)]).is_err());
    let key = session.admit(&[&[0]]).unwrap()[0];
    assert!(session.step(&[row(Parent::Start(key), dimensions.target_vocabulary as TokenId)]).is_err());
    assert!(session.step(&[]).unwrap().is_empty());
    let dropped = session.step(&[row(Parent::Start(key), start)]);
    assert!(dropped.unwrap_err().to_string().contains("is not in the session"));
}

#[test]
fn every_position_can_be_used_and_none_beyond() {
    let reference = Reference::tiny();
    let (engine, start) = load(&reference);
    let dimensions = engine.dimensions();
    let longest = vec![5; dimensions.source_positions];
    let mut session = engine.session();
    let key = session.admit(&[&longest]).unwrap()[0];
    let mut parent = Parent::Start(key);
    for _ in 0..dimensions.target_positions {
        session.step(&[StepRow { parent, token: start, top: 1, probes: &[] }]).unwrap();
        parent = Parent::Row(0);
    }
    let error = session.step(&[StepRow { parent, token: start, top: 1, probes: &[] }]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let target = vec![5; dimensions.target_positions];
    assert_eq!(
        engine.force(&[ForcedPair { source: &longest, start, target: &target }]).unwrap()[0].log_probs.len(),
        target.len()
    );
}

#[test]
fn an_alignment_head_that_does_not_exist_is_an_error() {
    let reference = Reference::tiny();
    let files = ModelFiles::directory(&reference.folder).unwrap();
    let weights = files.weights().unwrap();
    for (layer, heads) in [(Some(2), Heads::Mean), (None, Heads::One(4))] {
        let options = EngineOptions { alignment_layer: layer, alignment_heads: heads, ..EngineOptions::default() };
        let error = CandleEngine::load(&files.config().unwrap(), &weights, &options).unwrap_err();
        assert!(error.to_string().contains("does not exist"), "{error}");
    }
}
