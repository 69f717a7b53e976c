//! `generation_config.json`: how a model's makers decode it.

use serde_json::Value;

use super::config::MarianConfig;
use super::fields::Fields;
use crate::Result;
use crate::engine::TokenId;

/// When beam search stops although some hypotheses could still grow; the name and meaning are `transformers`'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EarlyStopping {
    /// When no unfinished hypothesis is likely to become better than the worst finished one, judged at its present length.
    #[default]
    Heuristic,
    /// As soon as there are as many finished hypotheses as the beam is wide.
    Always,
    /// Only when no unfinished hypothesis can become better, whatever its length.
    Never,
}

/// Decoding defaults and special ids.
///
/// Read from `generation_config.json`, and where that lacks a field or is missing, from `config.json`: older models
/// have everything there.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationConfig {
    /// The decoder's first input.
    pub start: TokenId,
    /// The token that ends a sentence.
    pub end: TokenId,
    /// The pad, where the model has one.
    pub pad: Option<TokenId>,
    /// The token forced at the last position `max_length` allows.
    pub forced_end: Option<TokenId>,
    /// Tokens that must never be produced: the pad, in converted Marian models.
    pub banned: Vec<TokenId>,
    /// Tokens that count as if the model did not have them, sorted; their probability is shared out among the others.
    pub suppressed: Vec<TokenId>,
    /// Beam width; 1 is greedy search.
    pub num_beams: usize,
    /// Most target tokens, start token and end included, as `transformers` counts.
    pub max_length: usize,
    /// Fewest target tokens, start token and end included.
    pub min_length: usize,
    /// Exponent of the length a hypothesis' log-probability is divided by.
    pub length_penalty: f32,
    /// No n-gram of this size may occur twice; 0 allows all.
    pub no_repeat_ngram_size: usize,
    /// Whether a word may not be said twice in a row. A field of tarjim's own, `no_doubled_words`.
    pub no_doubled_words: bool,
    /// Factor against tokens already produced (Keskar et al. 2019, CTRL); 1 is none.
    pub repetition_penalty: f32,
    /// Whether log-probabilities are normalised again after banned tokens are taken out.
    pub renormalize: bool,
    /// When beam search stops.
    pub early_stopping: EarlyStopping,
    /// How much `lexical.zst` counts where the model is in doubt, 0 to less than 1. A field of tarjim's own, `lexical_weight`.
    pub lexical_weight: f32,
}

impl GenerationConfig {
    /// Reads `generation_config.json` if there is one, then `config.json`, whose shape is `model`.
    ///
    /// # Errors
    /// A field has the wrong type or a token id is outside the vocabulary: the message names file and field.
    pub fn parse(generation: Option<&[u8]>, config: &[u8], model: &MarianConfig) -> Result<Self> {
        let own = generation.map(|json| Fields::parse("generation_config.json", json)).transpose()?;
        let fallback = Fields::parse("config.json", config)?;
        let from = |name: &str| match &own {
            Some(own) if own.get(name).is_some() => own,
            _ => &fallback,
        };
        let token = |name: &str| from(name).token(name, model.decoder_vocab_size);
        let early_stopping = match from("early_stopping").get("early_stopping") {
            None | Some(Value::Bool(false)) => EarlyStopping::Heuristic,
            Some(Value::Bool(true)) => EarlyStopping::Always,
            Some(Value::String(never)) if never == "never" => EarlyStopping::Never,
            Some(_) => return Err(from("early_stopping").wrong("early_stopping", "true, false or \"never\"")),
        };
        let length_penalty = from("length_penalty").number("length_penalty")?.unwrap_or(1.0);
        let repetition_penalty = from("repetition_penalty").number("repetition_penalty")?.unwrap_or(1.0);
        if repetition_penalty <= 0.0 {
            return Err(from("repetition_penalty").wrong("repetition_penalty", "a number above 0"));
        }
        let lexical_weight = from("lexical_weight").number("lexical_weight")?.unwrap_or(0.0);
        if !(0.0..1.0).contains(&lexical_weight) {
            return Err(from("lexical_weight").wrong("lexical_weight", "a number from 0 to less than 1"));
        }
        let longest = model.max_position_embeddings;
        let renormalize = from("renormalize_logits").flag("renormalize_logits")?.unwrap_or(false);
        let mut banned = banned(from("bad_words_ids"), model.decoder_vocab_size)?;
        let mut suppressed = suppressed(from("suppress_tokens"), model.decoder_vocab_size)?;
        let end = token("eos_token_id")?.unwrap_or(model.eos_token_id);
        if suppressed.contains(&end) {
            return Err(
                from("suppress_tokens").wrong("suppress_tokens", "tokens other than the one that ends sentences")
            );
        }
        if !renormalize {
            // Their share stays theirs, so engines have to know it.
            banned.append(&mut suppressed);
            banned.sort_unstable();
            banned.dedup();
        }
        Ok(GenerationConfig {
            start: token("decoder_start_token_id")?.unwrap_or(model.decoder_start_token_id),
            end,
            pad: token("pad_token_id")?.or(model.pad_token_id),
            forced_end: token("forced_eos_token_id")?,
            banned,
            suppressed,
            num_beams: from("num_beams").size("num_beams")?.unwrap_or(1),
            max_length: from("max_length").size("max_length")?.unwrap_or(longest).min(longest),
            min_length: from("min_length").count("min_length")?.unwrap_or(0),
            length_penalty,
            no_repeat_ngram_size: from("no_repeat_ngram_size").count("no_repeat_ngram_size")?.unwrap_or(0),
            no_doubled_words: from("no_doubled_words").flag("no_doubled_words")?.unwrap_or(false),
            repetition_penalty,
            renormalize,
            early_stopping,
            lexical_weight,
        })
    }
}

/// `suppress_tokens`: single tokens that must not be produced.
fn suppressed(fields: &Fields, vocabulary: usize) -> Result<Vec<TokenId>> {
    const NAME: &str = "suppress_tokens";
    let wrong = || fields.wrong(NAME, &format!("a list of token ids below {vocabulary}"));
    let Some(value) = fields.get(NAME) else { return Ok(Vec::new()) };
    let ids = value.as_array().ok_or_else(wrong)?.iter();
    let mut suppressed = ids
        .map(|id| id.as_u64().filter(|id| *id < vocabulary as u64).map(|id| id as TokenId).ok_or_else(wrong))
        .collect::<Result<Vec<TokenId>>>()?;
    suppressed.sort_unstable();
    suppressed.dedup();
    Ok(suppressed)
}

/// `bad_words_ids`: sequences that must not be produced. Only single tokens are in use among Marian models.
fn banned(fields: &Fields, vocabulary: usize) -> Result<Vec<TokenId>> {
    const NAME: &str = "bad_words_ids";
    let wrong = || fields.wrong(NAME, &format!("lists of one token id below {vocabulary}"));
    let Some(value) = fields.get(NAME) else { return Ok(Vec::new()) };
    let mut banned = Vec::new();
    for sequence in value.as_array().ok_or_else(wrong)? {
        match sequence.as_array().map(Vec::as_slice) {
            Some([id]) => {
                let id = id.as_u64().filter(|id| *id < vocabulary as u64).ok_or_else(wrong)?;
                banned.push(id as TokenId);
            }
            _ => return Err(wrong()),
        }
    }
    banned.sort_unstable();
    banned.dedup();
    Ok(banned)
}
