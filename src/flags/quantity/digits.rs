//! Numbers written in digits: Western, Arabic-Indic and Persian.

use super::Quantity;
use crate::span::Span;

/// More digits than this are compared by their first ones; no quantity in the news is longer.
const MOST_DIGITS: usize = 30;

/// A run of digits with its marks.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) quantity: Quantity,
    /// Whether a scale word (`million`) may go on from here.
    pub(super) open: bool,
}

/// The numbers inside one word: none, one, or the parts of a date or time.
pub(super) fn read(text: &str, word: Span) -> Vec<Reading> {
    let token = word.of(text);
    let mut readings = Vec::new();
    let mut at = 0;
    while let Some(start) = token[at..].find(|c| digit(c).is_some()).map(|found| at + found) {
        let end = token[start..]
            .char_indices()
            .find(|&(i, c)| {
                digit(c).is_none()
                    && !(is_mark(c) && token[start + i + c.len_utf8()..].starts_with(|c| digit(c).is_some()))
            })
            .map_or(token.len(), |(i, _)| start + i);
        let suffix = &token[end..];
        number(&token[start..end], suffix, Span::new(start, end).shifted(word.start), &mut readings);
        at = end;
    }
    if let [only] = readings.as_mut_slice() {
        only.open = true;
    }
    readings
}

/// The value of a decimal digit.
fn digit(c: char) -> Option<u32> {
    match c {
        '0'..='9' => Some(c as u32 - '0' as u32),
        '٠'..='٩' => Some(c as u32 - '٠' as u32),
        '۰'..='۹' => Some(c as u32 - '۰' as u32),
        _ => None,
    }
}

/// Whether a character may stand between digits of one number, date or time.
fn is_mark(c: char) -> bool {
    matches!(c, '.' | ',' | '٫' | '٬' | '،' | '/' | ':' | '-' | '\'' | '’')
}

/// Reads digits with marks between them.
fn number(digits: &str, suffix: &str, span: Span, readings: &mut Vec<Reading>) {
    let plain: String = digits.chars().map(|c| digit(c).map_or(c, |d| char::from(b'0' + d as u8))).collect();
    let marks: Vec<char> = plain.chars().filter(|c| !c.is_ascii_digit()).collect();
    let parts: Vec<&str> = plain.split(|c: char| !c.is_ascii_digit()).collect();
    let is_date = marks.iter().any(|c| matches!(c, '/' | ':' | '-'))
        || (marks == ['.', '.'] && parts[0].len() <= 2 && parts[1].len() <= 2);
    if is_date {
        let time = marks[0] == ':';
        for (at, part) in parts.iter().enumerate() {
            let value = value(part);
            let mut values = vec![value];
            if time && at == 0 && (13.0..24.0).contains(&value) {
                values.push(value - 12.0);
            }
            if time && at == 0 && (1.0..12.0).contains(&value) {
                values.push(value + 12.0);
            }
            // `18:00` is `6 p.m.`, and a month in digits may become its name, which is a number of the other side.
            let firm = !(time && at > 0 && value == 0.0);
            readings.push(Reading { quantity: Quantity { span, values, firm, percent: false }, open: false });
        }
        return;
    }
    let mut values = Vec::new();
    let grouped = parts.len() > 1 && parts[1..].iter().all(|part| part.len() == 3) && (1..=3).contains(&parts[0].len());
    match marks.as_slice() {
        [] => values.push(value(&plain)),
        [mark] => {
            let decimal = value(&format!("{}.{}", parts[0], parts[1]));
            let whole = value(&parts.concat());
            match (mark, grouped) {
                ('٫', _) | (_, false) => values.push(decimal),
                ('٬', true) => values.push(whole),
                (',' | '،' | '\'' | '’', true) => values.extend([whole, decimal]),
                (_, true) => values.extend([decimal, whole]),
            }
        }
        _ => {
            let last = parts.len() - 1;
            let decimal = marks[last - 1] != marks[0];
            values.push(if decimal {
                value(&format!("{}.{}", parts[..last].concat(), parts[last]))
            } else {
                value(&parts.concat())
            });
        }
    }
    let suffix = suffix.to_lowercase();
    let scales: &[f64] = match suffix.as_str() {
        "k" => &[1e3],
        "m" | "mn" => &[1e6],
        "bn" | "b" => &[1e9],
        "tn" | "trn" => &[1e12],
        _ => &[],
    };
    for scale in scales {
        values.push(values[0] * scale);
    }
    if suffix == "s" && values[0] % 10.0 == 0.0 {
        // A decade, which Arabic names by its tens.
        values.push(values[0] % 100.0);
    }
    readings.push(Reading { quantity: Quantity { span, values, firm: true, percent: false }, open: false });
}

fn value(digits: &str) -> f64 {
    let end = digits.char_indices().nth(MOST_DIGITS).map_or(digits.len(), |(i, _)| i);
    let kept = &digits[..end];
    // What is left out still counts, so that a long number is not its own beginning.
    kept.parse::<f64>().unwrap_or(0.0) * 10_f64.powi((digits.len() - end).min(250) as i32)
}
