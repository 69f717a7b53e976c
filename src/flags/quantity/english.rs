//! English number words.

use super::Numeral;

/// The numerals in one word, in order; `twenty-five` and `top-five` have them at their hyphens. Each comes with whether a
/// hyphen joins it to the one before.
pub(super) fn numeral(word: &str) -> Vec<(Numeral, bool)> {
    // As verbs these have no capital, but for the start of a sentence.
    if matches!(word, "may" | "march") {
        return Vec::new();
    }
    let word = word.to_lowercase();
    let mut numerals = Vec::new();
    for part in word.split(['-', '\u{2010}', '\u{2011}']) {
        if let Some(numeral) = one(part) {
            numerals.push((numeral, !numerals.is_empty()));
        }
    }
    numerals
}

fn one(word: &str) -> Option<Numeral> {
    use Numeral::{Alone, Hundred, Parts, Scale, Ten, Unit};
    Some(match word {
        "zero" => Unit(0.0),
        "one" => Unit(1.0),
        "two" => Unit(2.0),
        "three" => Unit(3.0),
        "four" | "fourth" => Unit(4.0),
        "five" | "fifth" => Unit(5.0),
        "six" | "sixth" => Unit(6.0),
        "seven" | "seventh" => Unit(7.0),
        "eight" | "eighth" => Unit(8.0),
        "nine" | "ninth" => Unit(9.0),
        "ten" | "tenth" => Unit(10.0),
        "eleven" | "eleventh" => Unit(11.0),
        "twelve" | "twelfth" => Unit(12.0),
        "thirteen" | "thirteenth" => Unit(13.0),
        "fourteen" | "fourteenth" => Unit(14.0),
        "fifteen" | "fifteenth" => Unit(15.0),
        "sixteen" | "sixteenth" => Unit(16.0),
        "seventeen" | "seventeenth" => Unit(17.0),
        "eighteen" | "eighteenth" => Unit(18.0),
        "nineteen" | "nineteenth" => Unit(19.0),
        "twenty" | "twentieth" => Ten(20.0),
        "thirty" | "thirtieth" => Ten(30.0),
        "forty" | "fortieth" => Ten(40.0),
        "fifty" | "fiftieth" => Ten(50.0),
        "sixty" | "sixtieth" => Ten(60.0),
        "seventy" | "seventieth" => Ten(70.0),
        "eighty" | "eightieth" => Ten(80.0),
        "ninety" | "ninetieth" => Ten(90.0),
        "hundred" | "hundredth" => Hundred(100.0),
        "dozen" => Scale(12.0),
        "thousand" => Scale(1e3),
        "million" => Scale(1e6),
        "billion" | "bn" => Scale(1e9),
        "trillion" | "tn" => Scale(1e12),
        "quarters" => Parts(0.25),
        "thirds" => Parts(3.0),
        "fifths" => Parts(5.0),
        "tenths" => Parts(10.0),
        _ => return alone(word).map(|(value, firm)| Alone(value, firm)),
    })
}

/// Numbers that join nothing, and whether Arabic must have them in some form.
fn alone(word: &str) -> Option<(f64, bool)> {
    Some(match word {
        "half" | "halves" => (0.5, false),
        "quarter" => (0.25, false),
        "february" | "both" | "twice" | "double" | "doubled" | "couple" | "pair" | "twins" | "twin" | "second"
        | "secondly" | "bilateral" => (2.0, false),
        "once" | "single" | "first" | "firstly" | "january" => (1.0, false),
        "third" | "thirdly" | "thrice" | "triple" | "trio" | "tripled" | "trilateral" | "march" => (3.0, false),
        "april" | "quartet" | "quadruple" | "fourthly" => (4.0, false),
        "may" => (5.0, false),
        "june" => (6.0, false),
        "july" => (7.0, false),
        "august" => (8.0, false),
        "september" => (9.0, false),
        "october" | "decade" | "decades" | "tens" => (10.0, false),
        "november" => (11.0, false),
        "december" | "dozens" => (12.0, false),
        "hundreds" | "century" | "centuries" => (100.0, false),
        "thousands" => (1e3, false),
        "millions" => (1e6, false),
        "billions" => (1e9, false),
        "trillions" => (1e12, false),
        "twenties" => (20.0, false),
        "thirties" => (30.0, false),
        "forties" => (40.0, false),
        "fifties" => (50.0, false),
        "sixties" => (60.0, false),
        "seventies" => (70.0, false),
        "eighties" => (80.0, false),
        "nineties" => (90.0, false),
        _ => return None,
    })
}

/// Whether a word, with the one after it, makes a percentage of the number before it.
pub(super) fn is_percent(word: &str, next: Option<&str>) -> bool {
    matches!(word, "%" | "percent" | "percentage" | "pct") || (word == "per" && next == Some("cent")) || word == "٪"
}
