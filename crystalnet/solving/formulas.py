"""Chemical formulas as people write them: hydrates, brackets, isotopes, charges."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

from pymatgen.core import Element

from crystalnet.errors import Code, CrystalNetError

MOST_ATOMS = 10_000  # of a formula unit, our choice
DENOMINATOR = 100  # of amounts such as 0.947, our choice
ROUNDING = 1e-2  # relative, that amounts may change on the way to whole ones, our choice
LONGEST = 300  # characters, our choice
DEEPEST = 20  # brackets, our choice
_DOTS = "·•∙⋅*×⸱・"
_AMOUNT = r"\d+(?:\.\d+)?|\.\d+"
_TOKEN = re.compile(rf"(?P<symbol>[A-Z][a-z]?)|(?P<open>[(\[{{])|(?P<close>[)\]}}])|(?P<amount>{_AMOUNT})")
# Capitals that run together: SIO2 is meant as SiO2 rather than as S, I and O2. CO, NO and PO are left: K2CO3.
_MISTYPED = re.compile(r"CU|PB|NB|SC|SN|YB|IN|OS|PU|SI|NI|CS|BI|NP|HG|CD")
_PHASES = {"quartz", "rutile", "anatase", "calcite", "halite", "spinel", "ice", "water", "tin"}


def amounts_of(formula: str | Mapping) -> tuple[dict[str, int], tuple[str, ...]]:
    """Whole amounts of the elements of a formula, and what was taken for granted in reading it.

    Raises:
        CrystalNetError: no formula, amounts that are not above 0, or those of an ion.

    >>> amounts_of("CuSO4·5H2O")[0]
    {'Cu': 1, 'S': 1, 'O': 9, 'H': 10}
    """
    said: list[str] = []
    amounts = _of_text(formula, said) if isinstance(formula, str) else _of_mapping(formula)
    for isotope in {"D", "T"} & set(amounts):
        if isotope == "T":
            _refuse(formula, "T is no symbol that there are tables for")
        amounts["H"] = amounts.get("H", 0) + amounts.pop("D")
        said.append("deuterium D is read as hydrogen")
    return _whole(formula, amounts, said), tuple(said)


def _refuse(formula, reason: str, code: Code = Code.BAD_FORMULA):
    raise CrystalNetError(
        f"{str(formula)[:60]!r}: {reason}. Write elements and amounts, as in 'Mg2Si'.", code
    ) from None


def _of_mapping(formula) -> dict[str, float]:
    try:
        pairs = {str(getattr(key, "symbol", key)): float(value) for key, value in dict(formula).items()}
    except (TypeError, ValueError, OverflowError):
        _refuse(formula, "it is no formula")
    if not pairs:
        _refuse(formula, "it is empty")
    for symbol, amount in pairs.items():
        if not re.fullmatch("[A-Z][a-z]?", symbol):
            _refuse(formula, f"{symbol[:20]!r} is no element")
        if not 0 < amount < math.inf:
            _refuse(formula, f"the amount of {symbol} is {amount:g}, not above 0")
    return pairs


def _of_text(formula: str, said: list[str]) -> dict[str, float]:
    text = formula.strip()
    if not text or len(text) > LONGEST:
        _refuse(formula, "it is empty" if not text else "it is too long")
    _refuse_names(formula, text)
    text = _without_charges(formula, _without_marks(text, said))
    if not re.search("[a-z]", text) and (found := _MISTYPED.search(text)):
        symbol = found[0].capitalize()
        _refuse(
            formula,
            f"is {found[0]} the element {symbol}? Then write {symbol}; if not, part the two by an amount",
        )
    total: Counter[str] = Counter()
    parts = _parts(formula, text)
    for part in parts:
        coefficient, rest = re.fullmatch(rf"(\d+/\d+|{_AMOUNT})?(.*)", part, re.DOTALL).groups()
        times = float(Fraction(coefficient)) if coefficient and not re.search("/0+$", coefficient) else 1.0
        if coefficient and (re.search("/0+$", coefficient) or times == 0):
            _refuse(formula, f"the amount {coefficient} is not above 0")
        for symbol, amount in _counted(formula, rest).items():
            total[symbol] += times * amount
    if len(parts) > 1:
        said.append(f"the formula is read as {' + '.join(parts)}")
    return dict(total)


def _refuse_names(formula: str, text: str) -> None:
    """Names of elements and phases; 'TiN' is none."""
    if not (text.isalpha() and (text.isupper() or text.islower() or text.istitle())):
        return
    names = {element.long_name.lower(): element.symbol for element in Element}
    if symbol := names.get(text.lower()):
        _refuse(formula, f"it is the name of an element, whose symbol is {symbol}")
    if text.lower() in _PHASES or (text.islower() and len(text) > 2):
        _refuse(formula, "it is a name rather than a formula")


def _without_marks(text: str, said: list[str]) -> str:
    """Subscripts and the marks of LaTeX and HTML as plain amounts; numbers of isotopes left out."""
    if re.search(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+(?=[A-Z])|\^\{?\d+\}?(?=[A-Z])", text):
        text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+(?=[A-Z])|\^\{?\d+\}?(?=[A-Z])", "", text)
        said.append("the mass numbers of isotopes are left out")
    text = re.sub(r"([⁰¹²³⁴⁵⁶⁷⁸⁹]*)([⁺⁻])", lambda m: "^" + unicodedata.normalize("NFKC", m[0]), text)
    text = unicodedata.normalize("NFKC", text.replace("½", "1/2").replace("−", "-").replace("–", "-"))
    text = re.sub(r"</?su[bp]>|\$|\\mathrm|\\cdot", lambda m: "·" if "cdot" in m[0] else "", text)
    return re.sub(r"_\{?([\d.]+)\}?", r"\1", text)


def _without_charges(formula: str, text: str) -> str:
    """Charges that are marked, or that stand right behind a symbol, must add up to nothing."""
    charge = 0

    def counted(found: re.Match) -> str:
        nonlocal charge
        charge += int(found["size"] or 1) * (1 if found["sign"] in "+" else -1)
        return ""

    text = re.sub(r"\^\{?(?P<size>\d*)(?P<sign>[+-])\}?", counted, text)
    text = re.sub(r"(?<=[A-Za-z)\]])(?P<size>)(?P<sign>[+-])(?=[A-Z(\[]|$)", counted, text)
    if re.search("[+-]", text):
        _refuse(formula, "it holds '+' or '-': leave charges and variables out")
    if charge:
        _refuse(formula, f"it is an ion of charge {charge:+d}, and a crystal has none")
    return text


def _parts(formula: str, text: str) -> list[str]:
    """What dots and blanks join, as in CuSO4·5H2O; a full stop may be a decimal point too."""
    text = re.sub(rf"\s*[{re.escape(_DOTS)}]\s*", "·", text)
    text = re.sub(r"\s+(?=\d)", "·", text)
    text = re.sub(r"\s+", "", text)
    text = re.sub(r"\.(?=[A-Z(\[])", "·", text)  # no decimal point: no digit behind it
    water = r"(?:\d+/\d+|\d+(?:\.\d+)?)?(?:H2O|D2O|OH2|\(H2O\)|\(D2O\))(?![a-z\d])"
    text = re.sub(r"(?<=[A-Za-z)\]])\.(?=\d)", "·", text)  # no digit before it
    text = re.sub(rf"(?<=[2-9])\.(?={water})|(?<=\d\d)\.(?={water})|(?<=1)\.(?=\d\d+(?:H2O|D2O))", "·", text)
    if found := re.search(r"(?<![\d.])([2-9]|\d\d+)\.(\d+)([A-Z][a-z]?\d*O\d*)(?=[·.]|$)", text):
        _refuse(
            formula,
            f"'{found[1]}.{found[2]}{found[3]}' may be {found[1]}·{found[2]} {found[3]}: write '·' for it",
        )
    if found := re.search(r"1\.\d(?:H2O|D2O)(?:[·.]|$)", text):
        _refuse(formula, f"{found[0]!r} may be a hydrate: write '·' before water")
    parts = text.split("·")
    if not all(parts):
        _refuse(formula, "a part is missing beside a dot")
    return parts


def _counted(formula: str, text: str) -> Counter[str]:
    """Amounts of symbols and brackets, in one go from left to right."""
    levels, last, place = [Counter()], None, 0
    opened: list[str] = []
    while place < len(text):
        found = _TOKEN.match(text, place)
        if not found:
            _refuse(formula, f"{text[place:][:20]!r} is not understood")
        place = found.end()
        if symbol := found["symbol"]:
            if not Element.is_valid_symbol(symbol):
                _refuse(formula, f"it is no formula: there are no tables for {symbol}", Code.UNKNOWN_ELEMENT)
            last = Counter({symbol: 1.0})
            levels[-1].update(last)
        elif found["open"]:
            levels.append(Counter())
            opened.append(found["open"])
            last = None
            if len(levels) > DEEPEST:
                _refuse(formula, "its brackets are too deep")
        elif found["close"]:
            if not opened or opened.pop() + found["close"] not in ("()", "[]", "{}") or not levels[-1]:
                _refuse(formula, "its brackets don't close, or hold nothing")
            last = levels.pop()
            levels[-1].update(last)
        else:
            amount = float(found["amount"])
            if last is None:
                _refuse(formula, f"the amount {found['amount']} belongs to nothing")
            if not 0 < amount <= MOST_ATOMS:
                _refuse(
                    formula,
                    f"the amount {found['amount']} is not above 0"
                    if amount == 0
                    else "an amount is too large",
                )
            for symbol in last:
                levels[-1][symbol] += (amount - 1) * last[symbol]
            last = None
    if len(levels) > 1 or not levels[0]:
        _refuse(formula, "its brackets don't close" if len(levels) > 1 else "a part of it is empty")
    return levels[0]


def _whole(formula, amounts: dict[str, float], said: list[str]) -> dict[str, int]:
    """Amounts in their smallest whole ratio; whole ones are taken as they are."""
    if all(amount == int(amount) for amount in amounts.values()):
        whole = {symbol: int(amount) for symbol, amount in amounts.items()}
        if sum(whole.values()) <= MOST_ATOMS:
            divisor = math.gcd(*whole.values())
            return {symbol: amount // divisor for symbol, amount in whole.items()}
    least = min(amounts.values())
    ratios = {
        symbol: Fraction(amount / least).limit_denominator(DENOMINATOR) for symbol, amount in amounts.items()
    }
    common = math.lcm(*(ratio.denominator for ratio in ratios.values()))
    whole = {symbol: round(ratio * common) for symbol, ratio in ratios.items()}
    errors = [abs(float(ratios[symbol]) * least / amount - 1) for symbol, amount in amounts.items()]
    if max(errors) > ROUNDING or sum(whole.values()) > MOST_ATOMS or min(whole.values()) < 1:
        _refuse(formula, "its amounts have no whole ratio")
    divisor = math.gcd(*whole.values())
    whole = {symbol: amount // divisor for symbol, amount in whole.items()}
    if max(errors) > 1e-6:
        said.append(f"amounts are rounded to {''.join(f'{k}{n}' for k, n in whole.items())}")
    return whole
