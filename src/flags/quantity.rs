//! Quantities in a text, in digits or in words, of either language.

use crate::span::Span;

mod arabic;
mod digits;
mod english;

pub(super) use arabic::fold as fold_arabic;

/// A number as it stands in a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantity {
    /// Where it stands.
    pub(super) span: Span,
    /// What it may be read as: `1,200` is 1200 or, on the continent, 1.2.
    pub(super) values: Vec<f64>,
    /// Whether the other language must have it too.
    pub(super) firm: bool,
    /// Whether it is a percentage.
    pub(super) percent: bool,
}

impl Quantity {
    /// Whether the two can be the same number.
    pub(super) fn meets(&self, other: &Quantity) -> bool {
        let same = |left: f64, right: f64| (left - right).abs() <= 1e-6 * left.abs().max(right.abs());
        self.values.iter().any(|&left| other.values.iter().any(|&right| same(left, right)))
    }
}

/// What a word of a text says about numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Numeral {
    /// Adds: `seven`, `سبعة`.
    Unit(f64),
    /// After a unit adds ten (`عشر`), alone is ten.
    Teen,
    /// Twenty to ninety.
    Ten(f64),
    /// Multiplies what stands before it by a hundred.
    Hundred(f64),
    /// Multiplies what stands before it: thousand, million.
    Scale(f64),
    /// A scale that may also be two of it: `ألفا` is a thousand, or the two thousand of something.
    ScaleOrDual(f64),
    /// Two of a scale: `مليونين`.
    Dual(f64),
    /// The lower half of a fraction: `quarters`, `أرباع`.
    Parts(f64),
    /// A number that stands for itself and joins nothing: ordinals, fractions, months. Not missed when `false`.
    Alone(f64, bool),
}

/// The quantities of an Arabic text.
pub(super) fn arabic(text: &str, words: &[Span]) -> Vec<Quantity> {
    let mut found = quantities(text, words, &arabic::numeral, &arabic::is_percent, true);
    // `ثلاثينيات القرن التاسع عشر` is `the 1830s`: the century is in the year.
    for quantity in &mut found {
        let at = words.partition_point(|word| word.start < quantity.span.start);
        let before = |back: usize| at.checked_sub(back).and_then(|i| words.get(i)).map_or("", |word| word.of(text));
        if before(1) == "القرن" && arabic::is_decade(before(2)) {
            quantity.firm = false;
        }
    }
    found
}

/// The quantities of an English text.
pub(super) fn english(text: &str, words: &[Span]) -> Vec<Quantity> {
    let mut found = quantities(text, words, &english::numeral, &english::is_percent, false);
    for quantity in &mut found {
        // Arabic says one by the singular and two by the dual.
        quantity.firm &= !matches!(quantity.values.as_slice(), [value] if *value <= 2.0);
    }
    found
}

/// The numerals in a word, each with whether an `and` is written onto it.
type NumeralOf = dyn Fn(&str) -> Vec<(Numeral, bool)>;

fn quantities(
    text: &str,
    words: &[Span],
    numeral: &NumeralOf,
    is_percent: &dyn Fn(&str, Option<&str>) -> bool,
    needs_and: bool,
) -> Vec<Quantity> {
    let mut found = Vec::new();
    let mut number: Option<Composed> = None;
    let mut joined = false;
    let mut at = 0;
    // A scale right after a word belongs to that word: `بين مليونين وثلاثة ملايين` is 2 and 3 million.
    let scale_after = |at: usize| {
        words.get(at).and_then(|word| match numeral(word.of(text)).first() {
            Some((Numeral::Scale(scale) | Numeral::ScaleOrDual(scale), _)) => Some(*scale),
            _ => None,
        })
    };
    while let Some(&word) = words.get(at) {
        at += 1;
        let token = word.of(text);
        let mut readings = digits::read(text, word);
        if let Some(last) = readings.pop() {
            joined = false;
            // `مليون و200 ألف`
            let goes_on = readings.is_empty() && token.starts_with('و');
            if goes_on && number.as_mut().is_some_and(|number| number.add_digits(&last, scale_after(at))) {
                continue;
            }
            flush(&mut number, &mut found);
            found.extend(readings.into_iter().map(|reading| reading.quantity));
            if last.open {
                number = Some(Composed::digits(last));
            } else {
                found.push(last.quantity);
            }
            continue;
        }
        if is_percent(token, words.get(at).map(|next| next.of(text))) {
            flush(&mut number, &mut found);
            if let Some(last) = found.last_mut()
                && text
                    .get(last.span.end..word.start)
                    .is_some_and(|gap| gap.chars().all(|c| c.is_whitespace() || c == '-'))
            {
                last.percent = true;
            }
            // The second word of `per cent`, which is no hundred.
            at += usize::from(matches!(token, "per" | "في"));
            continue;
        }
        let numerals = numeral(token);
        if numerals.is_empty() {
            // `two and a half million`, `half a million`, `a hundred and five`
            if matches!(token, "and" | "a" | "و") && number.is_some() {
                joined |= token != "a";
            } else {
                flush(&mut number, &mut found);
                joined = false;
            }
            continue;
        }
        for (numeral, and) in numerals {
            let glued = !needs_and || and || joined;
            let fits =
                number.as_mut().is_some_and(|number| number.add(numeral, word, glued, and || joined, scale_after(at)));
            if !fits {
                flush(&mut number, &mut found);
                number = Some(Composed::new(numeral, word));
            }
            joined = false;
        }
    }
    flush(&mut number, &mut found);
    found
}

fn flush(number: &mut Option<Composed>, found: &mut Vec<Quantity>) {
    found.extend(number.take().map(Composed::quantity));
}

/// A number being put together from numerals.
struct Composed {
    span: Span,
    /// What the scales so far have closed: 23,000 in `23 thousand five hundred`.
    closed: f64,
    /// The last scale: what follows must be smaller.
    scale: f64,
    /// The group below the next scale.
    group: f64,
    /// The last numeral, which decides what may follow.
    last: Numeral,
    /// What else the first numeral may be read as, with the scales after it.
    others: Vec<f64>,
    in_digits: bool,
    firm: bool,
}

impl Composed {
    fn new(numeral: Numeral, span: Span) -> Self {
        let mut number = Composed {
            span,
            closed: 0.0,
            scale: f64::INFINITY,
            group: 0.0,
            last: numeral,
            others: Vec::new(),
            in_digits: false,
            firm: true,
        };
        match numeral {
            Numeral::Unit(value) | Numeral::Ten(value) | Numeral::Hundred(value) => number.group = value,
            Numeral::Teen => number.group = 10.0,
            Numeral::Scale(scale) | Numeral::ScaleOrDual(scale) | Numeral::Dual(scale) => {
                number.closed = if matches!(numeral, Numeral::Dual(_)) { 2.0 * scale } else { scale };
                if matches!(numeral, Numeral::ScaleOrDual(_)) {
                    number.others.push(2.0 * scale);
                }
                number.scale = scale;
                number.last = Numeral::Scale(scale);
            }
            Numeral::Parts(value) => {
                number.group = value;
                number.firm = false;
            }
            Numeral::Alone(value, firm) => {
                number.group = value;
                number.firm = firm;
            }
        }
        number
    }

    fn digits(reading: digits::Reading) -> Self {
        let Quantity { span, mut values, .. } = reading.quantity;
        let first = values.remove(0);
        let mut number = Composed::new(Numeral::Unit(first), span);
        number.others = values;
        number.in_digits = true;
        number
    }

    /// Takes digits in that go on after a scale.
    fn add_digits(&mut self, reading: &digits::Reading, scale_after: Option<f64>) -> bool {
        let value = reading.quantity.values[0];
        let fits = matches!(self.last, Numeral::Scale(scale) if value < scale && scale_after.is_none_or(|after| after < scale));
        if fits {
            self.group += value;
            self.last = Numeral::Unit(value);
            self.in_digits = true;
            self.span = self.span.cover(reading.quantity.span);
        }
        fits
    }

    /// Takes one more numeral in, if it goes on with this number.
    ///
    /// `glued` where an `and` joins them or the language needs none; `joined` where there is an `and`.
    fn add(&mut self, numeral: Numeral, span: Span, glued: bool, joined: bool, scale_after: Option<f64>) -> bool {
        let numeral = if let Numeral::ScaleOrDual(scale) = numeral { Numeral::Scale(scale) } else { numeral };
        let fits = match (self.last, numeral) {
            // half a million
            (Numeral::Alone(part, false), Numeral::Scale(scale)) if part < 1.0 && self.closed == 0.0 => {
                self.close(scale);
                self.firm = true;
                true
            }
            // `مليونين ونصف المليون`: the scale is said once more
            (Numeral::Alone(part, false), Numeral::Scale(scale)) => part < 1.0 && scale == self.scale,
            (Numeral::Alone(..), _) => false,
            // 3.5 million; three hundred thousand
            (_, Numeral::Scale(scale)) if self.group > 0.0 && scale < self.scale && scale > self.group.min(999.0) => {
                self.close(scale);
                true
            }
            (Numeral::Scale(scale), Numeral::Alone(part, false)) if joined && part < 1.0 => {
                self.closed += part * scale;
                true
            }
            // three quarters, which may become 75 %
            (Numeral::Unit(_), Numeral::Parts(_)) => {
                self.firm = false;
                true
            }
            // two and a half
            (_, Numeral::Alone(part, false)) if joined && part < 1.0 && self.closed == 0.0 => {
                self.others = vec![self.group];
                self.group += part;
                self.span = self.span.cover(span);
                return true;
            }
            _ if self.in_digits => false,
            (Numeral::Unit(unit), Numeral::Teen) if unit < 10.0 => {
                self.group += 10.0;
                true
            }
            (Numeral::Unit(unit), Numeral::Hundred(100.0)) if unit < 100.0 => {
                self.group += unit * 99.0;
                true
            }
            // Arabic has the unit before the ten (three and twenty), English after it.
            (Numeral::Unit(unit), Numeral::Ten(ten)) if glued && unit < 10.0 => {
                self.group += ten;
                true
            }
            (Numeral::Ten(_), Numeral::Unit(unit)) if glued && unit < 10.0 => {
                self.group += unit;
                true
            }
            // twenty-first
            (Numeral::Ten(_), Numeral::Alone(unit, false)) if joined && (1.0..=3.0).contains(&unit) => {
                self.group += unit;
                true
            }
            (Numeral::Hundred(_), Numeral::Unit(_) | Numeral::Ten(_) | Numeral::Teen) if glued => {
                self.group += value(numeral);
                true
            }
            (Numeral::Scale(scale), Numeral::Unit(_) | Numeral::Ten(_) | Numeral::Teen | Numeral::Hundred(_))
                if glued && value(numeral) < scale && scale_after.is_none_or(|after| after < scale) =>
            {
                self.group += value(numeral);
                true
            }
            _ => false,
        };
        if fits {
            // After a teen nothing but a scale or a hundred goes on.
            self.last = if numeral == Numeral::Teen { Numeral::Unit(19.0) } else { numeral };
            self.span = self.span.cover(span);
        }
        fits
    }

    /// Multiplies the open group by a scale.
    fn close(&mut self, scale: f64) {
        self.closed += self.group * scale;
        if self.scale.is_infinite() {
            for other in &mut self.others {
                *other *= scale;
            }
        }
        self.group = 0.0;
        self.scale = scale;
    }

    fn quantity(self) -> Quantity {
        let value = self.closed + self.group;
        let rest = if self.scale.is_finite() { self.group } else { 0.0 };
        let mut values = vec![value];
        values.extend(self.others.iter().map(|other| other + rest));
        // One and two hide in Arabic's singular and dual, and `one` in English is mostly no number.
        let plain = !self.in_digits && value <= 2.0;
        Quantity { span: self.span, values, firm: self.firm && !plain, percent: false }
    }
}

fn value(numeral: Numeral) -> f64 {
    match numeral {
        Numeral::Unit(value)
        | Numeral::Ten(value)
        | Numeral::Hundred(value)
        | Numeral::Scale(value)
        | Numeral::ScaleOrDual(value)
        | Numeral::Dual(value)
        | Numeral::Parts(value)
        | Numeral::Alone(value, _) => value,
        Numeral::Teen => 10.0,
    }
}
