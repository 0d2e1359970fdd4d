"""What looks like a patient: numbers with a valid check digit, names with titles, birth dates, addresses.

A guard for accidents, not against intent: a bare name in running text cannot be told from a product's name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

REMOVED = "[removed]"

Check = Callable[[re.Match[str]], bool]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A named form; `holds` looks at what the expression cannot (check digits, real dates, known areas)."""

    name: str
    form: re.Pattern[str]
    holds: Check = lambda match: True


def suspicious(text: str) -> str | None:
    """The name of the first pattern that looks like a person's identifier, or None."""
    for reading in _readings(text):
        for name, _, _ in _hits(reading):
            return name
    return None


def scrub(text: str) -> str:
    """The text with every suspicious part replaced by `[removed]`; all of it when the part is in disguise."""
    clean, end = [], 0
    for _, start, stop in sorted(_hits(text), key=lambda hit: hit[1:]):
        if start >= end:
            clean += [text[end:start], REMOVED]
        end = max(end, stop)
    result = "".join([*clean, text[end:]])
    return REMOVED if suspicious(result) else result


def _hits(text: str) -> Iterator[tuple[str, int, int]]:
    if _WORTH_A_LOOK.search(text):
        for pattern in PATTERNS:
            for match in pattern.form.finditer(text):
                if pattern.holds(match):
                    yield pattern.name, *match.span()


def _readings(text: str) -> Iterator[str]:
    """The text as it stands, and as a person or a browser would read it."""
    yield text
    plain = text
    if not text.isascii():
        plain = unicodedata.normalize("NFKC", text).translate(_INVISIBLE)
    if "%" in plain:
        plain = unquote(plain)
    if plain != text:
        yield plain
    if "+" in plain and "=" in plain:
        yield plain.replace("+", " ")


#: Every pattern needs a digit, an `@` or a capital letter.
_WORTH_A_LOOK = re.compile(r"[\d@]|[^\W\d_a-z]")
_INVISIBLE = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))

_MONTHS = "jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]"
_DATE = (
    r"(?:\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d\d|(?:19|20)\d\d-?\d\d-?\d\d"
    rf"|\d{{1,2}}[ .-]{{0,2}}(?:{_MONTHS})[a-z]*[ .-]{{0,2}}(?:19|20)\d\d)"
)
_TITLES = r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Dame|Herrn?|Frau)"
_NAME = r"[A-ZÀ-ÖØ-Þ](?:[a-zß-öø-ÿ]+|['’][A-Z][a-z]+|[A-ZÀ-ÖØ-Þ]{2,})(?:[-'’][A-ZÀ-Þ]?[a-zß-ÿ]+)*"
#: After "Patient", these begin the name of a system, not of a person.
_SYSTEMS = (
    r"(?:Record|Admin|System|Index|Portal|Service|Data|Monitor|Flow|Access|Information|Care|Safety|Transport|Entertain"
    r"|Call|Summary|Resource|Master|Document|Manage|Engage|Archive|Level|Online|Journey|Demographic)"
)
#: Moments at which clocks begin: they stand for "never", not for a birthday.
_CLOCK_ZEROS = frozenset({"1900-01-01", "1904-01-01", "1970-01-01", "1980-01-01", "1980-01-06", "1999-12-31"})
_AREAS = frozenset(
    "AB AL B BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN EX FK FY "
    "G GL GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE NG NN NP NR "
    "NW OL OX PA PE PH PL PO PR RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA "
    "WC WD WF WN WR WS WV YO ZE".split()
)


def _digits(match: re.Match[str]) -> str:
    return "".join(filter(str.isdigit, match.group()))


def mod11(digits: str) -> bool:
    """The check digit of NHS, CHI and H&C numbers (NHS Data Dictionary: modulus 11, weights 10 to 2)."""
    check = 11 - sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False)) % 11
    return check != 10 and (0 if check == 11 else check) == int(digits[9])


def _is_birthday(day: str, month: str) -> bool:
    return 1 <= int(day) <= 31 and 1 <= int(month) <= 12


def _health_number(match: re.Match[str]) -> bool:
    """NHS numbers begin with 4, 6, 7 or 9 (tests), H&C with 3, CHI with a birthday; counters wrap at 2^32."""
    digits = _digits(match)
    if len(set(digits)) == 1 or digits in ("4294967295", "4294967296") or not mod11(digits):
        return False
    if digits[0] in "345679":
        return True
    bare = match.group() == digits
    if bare and 1_700_000_000 <= int(digits) <= 1_950_000_000:  # seconds since 1970, until 2031
        return False
    return _is_birthday(digits[:2], digits[2:4])


def _kvnr(match: re.Match[str]) -> bool:
    """German health insurance number: letter as 01 to 26, weights 1 and 2, digit sums, modulus 10."""
    text = match.group().upper()
    digits = f"{ord(text[0]) - 64:02d}{text[1:9]}"
    products = (int(digit) * (1 + i % 2) for i, digit in enumerate(digits))
    return sum(product // 10 + product % 10 for product in products) % 10 == int(text[9])


def _birth_date(match: re.Match[str]) -> bool:
    year, month, day = (match.group(part) for part in ("year", "month", "day"))
    return _is_birthday(day, month) and f"{year}-{int(month):02d}-{int(day):02d}" not in _CLOCK_ZEROS


def _postcode(match: re.Match[str]) -> bool:
    area, district, gap, inward = match.groups()
    if area not in _AREAS or inward[1:] in ("GB", "TB"):  # "M2 8GB" is a disk
        return False
    return bool(gap) or not re.fullmatch("[0-9A-F]+", area + district + inward)


def _telephone(match: re.Match[str]) -> bool:
    digits = _digits(match)
    return 10 <= len(digits) <= 15 and len(set(digits)) > 3


PATTERNS = (
    Pattern(
        "health_number",
        re.compile(r"(?<![0-9A-Za-z.])\d{3}([ .\u00a0-]?)\d{3}\1\d{4}(?![0-9A-Za-z]|[.]\d)"),
        _health_number,
    ),
    Pattern(
        "health_number",
        re.compile(
            r"(?<![a-z])(?:nhs|chi|h&c|hcn)[ _-]?(?:no|number|nr|id|#)?[\s:=#._-]{0,4}\d{3}[ -]?\d{3}[ -]?\d{4}(?!\d)",
            re.I,
        ),
    ),
    Pattern("kvnr", re.compile(r"(?<![0-9A-Za-z.])[A-Z]\d{9}(?![0-9A-Za-z])"), _kvnr),
    Pattern(
        "hospital_number",
        re.compile(
            r"(?<![a-z])(?:(?:mrn|pat(?:ient)?s?|patienten)(?:[ _.-]?(?:no|nr|num|number|nummer|id|ref|identifier))?"
            r"|(?:hosp(?:ital)?|unit|case|admission|episode|fall|aufnahme)[ _.-]?(?:no|nr|num|number|nummer|id|ref))"
            r"[\s.:=#_-]{1,4}[A-Z]{0,3}[ -]?\d{5,10}[A-Z]?(?![0-9A-Za-z])",
            re.I,
        ),
    ),
    Pattern("hl7_segment", re.compile(r"(?<![A-Za-z0-9])(?:PID|NK1|IN1|GT1|MRG)\|")),
    Pattern(
        "hl7_name",
        re.compile(r"(?<![A-Za-z0-9])[A-Z](?:[A-Za-z'’-]{3,}|[a-z'’]{2,})\^[A-Z][A-Za-z'’-]+(?![A-Za-z0-9])"),
    ),
    Pattern("fhir_patient", re.compile(r"(?<![A-Za-z])Patient/[A-Za-z0-9][A-Za-z0-9.-]{0,63}")),
    Pattern(
        "fhir_search",
        re.compile(
            r"(?:[?&]|Patient\?)(?:family|given|birthdate|name|identifier|phone|address)(?::\w+)?=[^&\s]{2,}", re.I
        ),
    ),
    Pattern(
        "dicom_patient",
        re.compile(r"\(?0010,(?:0010|0020|0030|0040|1000|1001|1040)\)?|\bPatient(?:Name|ID|BirthDate)\b\W{1,3}\w"),
    ),
    Pattern(
        "birth_date",
        re.compile(
            r"(?<![a-z])(?:d\.?o\.?b\.?|born|birth[ _-]?(?:date|day)?|date[ _]of[ _]birth|geb(?:oren)?(?:urtsdatum)?)"
            rf"[\s.:=_-]{{0,4}}(?:am |on )?{_DATE}(?!\d)",
            re.I,
        ),
    ),
    Pattern(
        "birth_date",
        re.compile(r"(?<![\d./-])(?P<day>\d{1,2})(?P<gap>[./-])(?P<month>\d{1,2})(?P=gap)(?P<year>19\d\d)(?![\d.])"),
        _birth_date,
    ),
    Pattern(
        "birth_date",
        re.compile(r"(?<![\d./-])(?P<year>19[0-8]\d)-(?P<month>\d\d)-(?P<day>\d\d)(?!\d)"),
        _birth_date,
    ),
    Pattern("birth_date", re.compile(r"[|^](?:19\d\d|20[0-2]\d)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[|^]")),
    Pattern(
        "birth_date", re.compile(rf"(?<!\d)\d{{1,2}}[ .-]{{1,2}}(?:{_MONTHS})[a-z]*[ .-]{{1,2}}19\d\d(?!\d)", re.I)
    ),
    Pattern("name", re.compile(rf"(?<![A-Za-z.]){_TITLES}\.?[ _]{{1,2}}(?!Rate|Ratio|Count|Windows|Web\b){_NAME}")),
    Pattern("name", re.compile(rf"\({_TITLES}\.?\)")),
    Pattern(
        "name",
        re.compile(
            rf"(?<![a-z])(?i:patient(?:en)?(?:[ _-]?name)?|pt|surname|forename|(?:given|family|first|last)[ _-]?name"
            rf"|vorname|nachname)\s{{0,2}}[:=]\s{{0,2}}(?!{_SYSTEMS}){_NAME}"
        ),
    ),
    Pattern("name", re.compile(rf"(?<![A-Za-z])[Pp]atient(?:in)? (?!{_SYSTEMS}){_NAME} (?!{_SYSTEMS}){_NAME}")),
    Pattern(
        "postcode",
        re.compile(r"(?<![0-9A-Za-z])([A-Z]{1,2})(\d[A-Z\d]?)( ?)(\d[ABD-HJLNP-UW-Z]{2})(?![0-9A-Za-z])"),
        _postcode,
    ),
    Pattern("email", re.compile(r"[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")),
    Pattern(
        "telephone",
        re.compile(
            r"(?<![0-9A-Za-z.:/_-])(?:\+\d{1,3}[ ()/-]*|\(?0(?=[1-37-9]))\d(?:[ ()/-]{0,2}\d){7,12}"
            r"(?![0-9A-Za-z:]|[.]\d)"
        ),
        _telephone,
    ),
)
