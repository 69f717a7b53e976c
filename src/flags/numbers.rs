//! Numbers lost, invented or changed: both sides' quantities must meet.

use super::quantity::{self, Quantity};
use super::{Evidence, Flag, FlagKind, quoted};
use crate::span::Span;

/// Compares the quantities of both sides, however each is written.
///
/// A quantity that can be said without a number (the Arabic dual, `one`, `first`, `dozens`) may meet another but is
/// never missed.
pub(super) fn check(evidence: &Evidence<'_>) -> Option<Flag> {
    let source = quantity::arabic(evidence.source, evidence.source_words);
    let target = quantity::english(evidence.target, evidence.target_words);
    let (lost, invented) = unmatched(&source, &target);
    let percent_lost: Vec<&Quantity> = if target.iter().any(|quantity| quantity.percent) {
        Vec::new()
    } else {
        source.iter().filter(|quantity| quantity.percent).collect()
    };
    if lost.is_empty() && invented.is_empty() && percent_lost.is_empty() {
        return None;
    }
    let shown = |text, quantities: &[&Quantity]| quoted(spans(quantities).iter().map(|span| span.of(text)));
    let mut reasons = Vec::new();
    match (lost.is_empty(), invented.is_empty()) {
        (false, false) => {
            reasons.push(format!("{} became {}", shown(evidence.source, &lost), shown(evidence.target, &invented)));
        }
        (false, true) => reasons.push(format!("{} is missing", shown(evidence.source, &lost))),
        (true, false) => reasons.push(format!("{} is not in the source", shown(evidence.target, &invented))),
        (true, true) => {}
    }
    if lost.is_empty() && !percent_lost.is_empty() {
        reasons.push(format!("{} is a percentage", shown(evidence.source, &percent_lost)));
    }
    Some(Flag {
        kind: FlagKind::NumberMismatch,
        reason: reasons.join("; "),
        source: spans(if lost.is_empty() { &percent_lost } else { &lost }),
        target: spans(&invented),
    })
}

/// Where quantities stand; the parts of a date stand in one place.
fn spans(quantities: &[&Quantity]) -> Vec<Span> {
    let mut spans: Vec<Span> = quantities.iter().map(|quantity| quantity.span).collect();
    spans.dedup();
    spans
}

/// The firm quantities of each side that nothing on the other side meets. One quantity may be met by several: texts
/// repeat a number on one side only.
fn unmatched<'a>(source: &'a [Quantity], target: &'a [Quantity]) -> (Vec<&'a Quantity>, Vec<&'a Quantity>) {
    let missing = |these: &'a [Quantity], those: &[Quantity]| {
        // `ساعة ونصف` is 1.5 hours: with a half on the other side, the whole is enough.
        let has_half = those.iter().any(|that| that.values.contains(&0.5));
        let met_by_half = |this: &Quantity| {
            let whole = this.values[0] - 0.5;
            has_half && (whole <= 2.0 || those.iter().any(|that| that.values.contains(&whole)))
        };
        let is_met = |this: &Quantity| those.iter().any(|that| this.meets(that)) || met_by_half(this);
        these.iter().filter(|this| this.firm && !is_met(this)).collect()
    };
    (missing(source, target), missing(target, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;

    fn flag(source: &str, target: &str) -> Option<Flag> {
        let (source_words, target_words) = (words(source), words(target));
        check(&Evidence {
            source,
            target,
            source_words: &source_words,
            target_words: &target_words,
            ..Evidence::default()
        })
    }

    #[test]
    fn the_same_number_however_written() {
        for (source, target) in [
            ("وصل ٢٥ قطارا", "25 trains arrived"),
            ("دفع 1,200 دولار", "He paid $1,200"),
            ("دفع ١٬٢٠٠ دولار", "He paid 1200 dollars"),
            ("بنسبة 3,5 في المئة", "by 3.5 percent"),
            ("بنسبة ٣٫٥٪", "by 3.5%"),
            ("خسرت الشركة 1.5 مليون يورو", "The firm lost €1.5m"),
            ("نحو مليونين ونصف المليون", "about two and a half million"),
            ("خمسة عشر طالبا", "fifteen students"),
            ("ثلاثة وعشرون ألفا وخمسمئة", "23,500"),
            ("مئتان وخمسون", "two hundred and fifty"),
            ("في 12/3/2024", "on March 12, 2024"),
            ("يوم 12 مارس 2024", "on 12 March 2024"),
            ("الساعة 18:30", "at 6:30 p.m."),
            ("القرن التاسع عشر", "the 19th century"),
            ("في الستينيات", "in the 1960s"),
            ("سنتان", "two years"),
            ("بين عامي 2004 و2006", "between 2004 and 2006"),
            ("فيروس كوفيد-19", "the COVID-19 virus"),
            ("مجموعة العشرين", "the G20"),
            ("عشرات القتلى", "dozens dead"),
            ("ألفا جندي", "two thousand soldiers"),
            ("ثلث السكان", "a third of the people"),
            ("3 آلاف", "3,000"),
            ("سبعة أو ثمانية أعوام", "seven or eight years"),
            ("بين 340 مليون و500 مليون", "between 340 million and 500 million"),
            ("بين مليونين وثلاثة ملايين", "between two million and three million"),
            ("مليون و200 ألف", "1.2 million"),
            ("ساعة ونصف", "1.5 hours"),
            ("ثلاثة أمتار ونصف المتر", "three and a half metres"),
            ("ثلاثة أرباع الناس", "three-quarters of people"),
            ("24 بيضة", "two dozen eggs"),
            ("عيدها الخمسون", "its fiftieth feast"),
            ("القرن الحادي والعشرين", "the twenty-first century"),
            ("ثلاثينيات القرن التاسع عشر", "the 1830s"),
            ("المراكز العشرة الأولى", "the top-ten places"),
            ("نصف مليون", "500,000"),
            ("لست هنا", "I am not here"),
        ] {
            assert_eq!(flag(source, target), None, "{source} = {target}");
        }
    }

    #[test]
    fn lost_invented_and_changed_numbers() {
        let changed = flag("وصل 25 قطارا", "52 trains arrived").unwrap();
        assert_eq!(changed.reason, "“25” became “52”");
        assert_eq!(changed.source[0].of("وصل 25 قطارا"), "25");
        assert_eq!(flag("وصل 25 قطارا", "Trains arrived").unwrap().reason, "“25” is missing");
        assert_eq!(flag("وصلت القطارات", "Ninety trains").unwrap().reason, "“Ninety” is not in the source");
        assert!(flag("3 ملايين", "3 billion").is_some());
        assert!(flag("ثلاثة وعشرون", "thirty-two").is_some());
        assert!(flag("بنسبة 7%", "by 7").unwrap().reason.contains("percentage"));
    }

    #[test]
    fn odd_digits_do_no_harm() {
        let long = "9".repeat(4000);
        assert_eq!(flag(&long, &long), None);
        assert!(flag(&long, "9").is_some());
        assert_eq!(flag("1,,2..3", "1,,2..3"), None);
        assert_eq!(flag("٣.", "3."), None);
    }
}
