//! A source that is hardly Arabic.

use super::{Evidence, Flag, FlagKind};
use crate::words::is_arabic;

/// Letters that Persian, Urdu and Kurdish have and Arabic has not. (`گ چ پ ڤ` stand in Arabic texts for foreign sounds;
/// a few of them are no other language.)
const FOREIGN: &[char] = &['پ', 'چ', 'ژ', 'گ', 'ک', 'ی', 'ہ', 'ے', 'ٹ', 'ڈ', 'ڑ', 'ں', 'ە', 'ێ', 'ۆ', 'ڵ'];

/// The smallest share of such letters that makes a text another language.
const FOREIGN_SHARE: f64 = 0.05;

/// Flags a source with too few Arabic letters among its letters, or with letters of another language in Arabic script.
/// A source without letters (a number, a row of stars) is no language and is left alone.
pub(super) fn check(evidence: &Evidence<'_>, smallest_share: f32) -> Option<Flag> {
    let (mut letters, mut arabic, mut foreign) = (0_usize, 0_usize, 0_usize);
    for c in evidence.source.chars().filter(|c| c.is_alphabetic()) {
        letters += 1;
        arabic += usize::from(is_arabic(c));
        foreign += usize::from(FOREIGN.contains(&c));
    }
    let share = |count: usize| count as f64 / letters as f64;
    let reason = if letters < 2 {
        return None;
    } else if share(arabic) < f64::from(smallest_share) {
        format!("only {:.0} % of the letters are Arabic", share(arabic) * 100.0)
    } else if foreign > 2 && share(foreign) >= FOREIGN_SHARE {
        "the letters are those of Persian, Urdu or Kurdish".to_owned()
    } else {
        return None;
    };
    Some(Flag { kind: FlagKind::NotArabic, reason, source: Vec::new(), target: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(source: &str) -> Option<String> {
        check(&Evidence { source, ..Evidence::default() }, 0.5).map(|flag| flag.reason)
    }

    #[test]
    fn languages() {
        assert_eq!(reason("قالت الوزارة إن تطبيق WhatsApp متاح"), None);
        assert_eq!(reason("12.3 * 4"), None);
        assert_eq!(reason("This is English").unwrap(), "only 0 % of the letters are Arabic");
        assert!(reason("این کتاب را چه کسی می‌خواند").is_some());
        assert_eq!(reason("مقهى ڤيينا"), None);
    }
}
