//! Arabic number words, with the particles written onto them.

use super::Numeral;

/// The numerals in one word. Each comes with whether an `and` (و) is written onto it.
pub(super) fn numeral(word: &str) -> Vec<(Numeral, bool)> {
    let word = fold(word);
    // `لست` is `I am not`, not `to six`.
    if matches!(word.as_str(), "لست" | "ولست" | "فلست") {
        return Vec::new();
    }
    if let Some(numeral) = one(&word) {
        return vec![(numeral, false)];
    }
    // `و`/`ف`, then `ب`/`ل`/`ك`, then the article; each is taken off only if what is left is a number.
    let (joined, rest) = match word.strip_prefix(['و', 'ف']) {
        Some(rest) => (word.starts_with('و'), rest),
        None => (false, word.as_str()),
    };
    let bare = rest.strip_prefix(['ب', 'ل', 'ك']).unwrap_or(rest);
    for candidate in [rest, bare] {
        let without_article =
            candidate.strip_prefix("ال").or_else(|| (candidate != rest).then(|| candidate.strip_prefix('ل')).flatten());
        for form in [Some(candidate), without_article].into_iter().flatten() {
            if let Some(numeral) = one(form) {
                return vec![(numeral, joined)];
            }
        }
    }
    Vec::new()
}

/// The word without vowel marks and tatweel, with one alif for all and `ه`-final `ة` kept: how number words and
/// particles are looked up.
pub(in super::super) fn fold(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{640}') && !crate::words::is_invisible(*c))
        .map(|c| match c {
            'أ' | 'إ' | 'آ' | 'ٱ' => 'ا',
            'ى' => 'ي',
            c => c,
        })
        .collect()
}

fn one(word: &str) -> Option<Numeral> {
    use Numeral::{Dual, Hundred, Parts, Scale, ScaleOrDual, Teen, Ten, Unit};
    Some(match word {
        "صفر" | "الصفر" => Unit(0.0),
        "واحد" | "واحدة" | "واحدا" | "احدي" | "احد" | "الواحد" | "حادي" | "حادية" => {
            Unit(1.0)
        }
        "اثنان" | "اثنين" | "اثنتان" | "اثنتين" | "اثنا" | "اثني" | "اثنتا" | "اثنتي" | "ثاني" | "ثانية" => {
            Unit(2.0)
        }
        "ثلاثة" | "ثلاث" | "ثالث" | "ثالثة" => Unit(3.0),
        "اربعة" | "اربع" | "رابع" | "رابعة" => Unit(4.0),
        "خمسة" | "خمس" | "خامس" | "خامسة" => Unit(5.0),
        "ستة" | "ست" | "سادس" | "سادسة" => Unit(6.0),
        "سبعة" | "سبع" | "سابع" | "سابعة" => Unit(7.0),
        "ثمانية" | "ثمان" | "ثماني" | "ثامن" | "ثامنة" => Unit(8.0),
        "تسعة" | "تسع" | "تاسع" | "تاسعة" => Unit(9.0),
        "عشر" | "عشرة" => Teen,
        "عاشر" | "عاشرة" => Unit(10.0),
        "عشرون" | "عشرين" => Ten(20.0),
        "ثلاثون" | "ثلاثين" => Ten(30.0),
        "اربعون" | "اربعين" => Ten(40.0),
        "خمسون" | "خمسين" => Ten(50.0),
        "ستون" | "ستين" => Ten(60.0),
        "سبعون" | "سبعين" => Ten(70.0),
        "ثمانون" | "ثمانين" => Ten(80.0),
        "تسعون" | "تسعين" => Ten(90.0),
        "مئة" | "مائة" | "مئه" | "مائه" => Hundred(100.0),
        "مئتان" | "مئتين" | "مائتان" | "مائتين" | "مئتي" | "مائتي" | "مئتا" | "مائتا" => {
            Hundred(200.0)
        }
        "الف" | "الاف" => Scale(1e3),
        "الفا" => ScaleOrDual(1e3),
        "الفان" | "الفين" | "الفي" => Dual(1e3),
        "مليون" | "ملايين" => Scale(1e6),
        "مليونا" => ScaleOrDual(1e6),
        "مليونان" | "مليونين" | "مليوني" => Dual(1e6),
        "مليار" | "مليارات" | "بليون" | "بليونا" | "بلايين" => Scale(1e9),
        "مليارا" => ScaleOrDual(1e9),
        "ملياران" | "مليارين" | "ملياري" => Dual(1e9),
        "تريليون" | "تريليونا" | "تريليونات" | "ترليون" => Scale(1e12),
        "ارباع" => Parts(0.25),
        "اثلاث" => Parts(3.0),
        "اخماس" => Parts(5.0),
        "اعشار" => Parts(10.0),
        _ => return hundreds(word).map(Hundred).or_else(|| alone(word).map(|value| Numeral::Alone(value, false))),
    })
}

/// `ثلاثمئة` to `تسعمائة`, in their spellings.
fn hundreds(word: &str) -> Option<f64> {
    let stem = ["مئة", "مائة", "مئه", "مائه"].iter().find_map(|ending| word.strip_suffix(ending))?;
    Some(match stem {
        "ثلاث" => 300.0,
        "اربع" => 400.0,
        "خمس" => 500.0,
        "ست" => 600.0,
        "سبع" => 700.0,
        "ثمان" | "ثماني" => 800.0,
        "تسع" => 900.0,
        _ => return None,
    })
}

/// Numbers that join nothing and that English may say otherwise.
fn alone(word: &str) -> Option<f64> {
    Some(match word {
        "اول" | "اولي" | "اولا" | "مرة" | "يناير" | "جانفي" => 1.0,
        "كلا" | "كلتا" | "كلي" | "كلتي" | "مرتين" | "مرتان" | "ضعف" | "ضعفي" | "مزدوج" | "ثنائي" | "ثنائية"
        | "ثانيا" | "فبراير" | "شباط" | "فيفري" => 2.0,
        "ثلث" | "ثلثي" | "ثلثا" | "ثالثا" | "ثلاثي" | "ثلاثية" | "مارس" | "اذار" => {
            3.0
        }
        "رابعا" | "رباعي" | "رباعية" | "ابريل" | "نيسان" | "افريل" => 4.0,
        "خمسي" | "خماسي" | "مايو" | "ايار" | "ماي" => 5.0,
        "سداسي" | "يونيو" | "حزيران" | "جوان" => 6.0,
        "يوليو" | "تموز" | "جويلية" => 7.0,
        "اغسطس" | "اب" | "اوت" => 8.0,
        "سبتمبر" | "ايلول" => 9.0,
        "اكتوبر" | "عقد" | "عقود" | "عشرات" => 10.0,
        "نوفمبر" => 11.0,
        "ديسمبر" | "دزينة" => 12.0,
        "نصف" => 0.5,
        "ربع" => 0.25,
        "مئات" | "قرن" | "قرون" => 100.0,
        "الوف" => 1e3,
        _ => return decade(word),
    })
}

/// `العشرينيات` to `التسعينيات`: the twenties to the nineties.
fn decade(word: &str) -> Option<f64> {
    let stem = word.strip_suffix("يات").or_else(|| word.strip_suffix("ات"))?;
    Some(match stem {
        "عشرين" => 20.0,
        "ثلاثين" => 30.0,
        "اربعين" => 40.0,
        "خمسين" => 50.0,
        "ستين" => 60.0,
        "سبعين" => 70.0,
        "ثمانين" => 80.0,
        "تسعين" => 90.0,
        _ => return None,
    })
}

/// Whether the word names a decade.
pub(super) fn is_decade(word: &str) -> bool {
    decade(fold(word).trim_start_matches(['و', 'ب', 'ل'])).is_some()
}

/// Whether a word, with the one after it, makes a percentage of the number before it.
pub(super) fn is_percent(word: &str, next: Option<&str>) -> bool {
    let hundred = |word: &str| matches!(fold(word).as_str(), "المئة" | "المائة" | "المية" | "المئه" | "المائه");
    matches!(word, "%" | "٪" | "بالمئة" | "بالمائة" | "بالمية") || (word == "في" && next.is_some_and(hundred))
}
