"""Masking functions: PostgreSQL Anonymizer's names, written as plain SQL expressions.

The extension is in no PostgreSQL that can be relied on, so an expression replaces each function. Unlike the
originals they are deterministic: the same value becomes the same replacement in every table and branch of a
service, so joins by value still work. What is replaced goes through a hash with the service's secret salt, so
that a guess cannot be tested against a masked branch. NULL stays NULL.

Names and meaning: https://postgresql-anonymizer.readthedocs.io/en/stable/masking_functions/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

TEXT, NUMBER, MOMENT, UUID = "text", "a number", "a date or time", "uuid"
ENOUGH_TO_DIFFER = 12
"""Characters of a hash that make replacements of different values different."""


def _words(text: str) -> list[str]:
    return text.split()


_FIRST = _words(
    "Ada Ben Cleo Dina Emil Faye Gus Hana Ivo June Kai Lena Milo Nora Omar Pia Quin Rosa Sam Tara"
)
_LAST = _words("Adler Berg Costa Dahl Evans Fox Gray Hahn Ito Jensen Klein Lopez Moss Nagy Olsen Park Reyes")
_CITIES = _words(
    "Aston Brookfield Clearwater Dunmore Eastvale Fairport Glenwood Harborview Kingsford Lakeside"
)
_COUNTRIES = _words("Austria Brazil Canada Denmark Estonia Finland Ghana Hungary India Japan Kenya Latvia")
_STREETS = ["Oak Street", "Mill Lane", "High Road", "Station Way", "Park Avenue", "Church Row"]
_FORMS = ["Ltd", "Inc", "GmbH", "Group", "Partners"]
_LOREM = "Lorem ipsum dolor sit amet, consectetur adipiscing elit."

Argument = str | int | float


class MaskingError(ValueError):
    """A rule that cannot be applied; the message says which part and why."""


@dataclass(frozen=True)
class Source:
    """What replacements are made of.

    Attributes:
        column: The masked column.
        salt: The service's secret.
    """

    column: str
    salt: str

    @property
    def value(self) -> Composed:
        """The value that is replaced, as text."""
        return SQL("{}::text").format(Identifier(self.column))

    def digest(self, part: str = "") -> Composed:
        """Returns 32 hexadecimal digits that depend on the value.

        Args:
            part: Other digits for each.
        """
        return SQL("md5({} || {})").format(Literal(f"{self.salt}/{part}/"), self.value)

    def number(self, part: str) -> Composed:
        """Returns an integer from 0 to 2**60 - 1.

        Args:
            part: Another one for each.
        """
        return SQL("('x' || left({}, 15))::bit(60)::bigint").format(self.digest(part))

    def fraction(self, part: str) -> Composed:
        """Returns a number from 0 to 1.

        Args:
            part: Another one for each.
        """
        return SQL("({}::float8 / {}::float8)").format(self.number(part), Literal(2**60))

    def choice(self, part: str, words: list[str]) -> Composed:
        """Returns one of the words.

        Args:
            part: Another choice for each.
            words: To choose from.
        """
        return SQL("({}::text[])[1 + ({} % {})::int]").format(
            Literal(words), self.number(part), Literal(len(words))
        )


Build = Callable[..., Composable]


@dataclass(frozen=True)
class Function:
    """One masking function.

    Attributes:
        build: From the source and the arguments (without the column) to SQL.
        makes: Kinds of columns that it fits.
        usage: How it is written.
        arguments: Kinds of its arguments; the column itself is `column`.
        distinct: Whether different values get different replacements, given the arguments.
    """

    build: Build
    makes: tuple[str, ...]
    usage: str
    arguments: tuple[str, ...] = ()
    distinct: Callable[[list[Argument]], bool] = lambda _arguments: False


def _always(_arguments: list[Argument]) -> bool:
    return True


def _first(source: Source) -> Composable:
    return source.choice("first", _FIRST)


def _last(source: Source) -> Composable:
    return source.choice("last", _LAST)


def _name(source: Source) -> Composable:
    return SQL("({} || ' ' || {})").format(_first(source), _last(source))


def _email(source: Source) -> Composable:
    return SQL("(lower({}) || '.' || left({}, {}) || '@example.com')").format(
        _first(source), source.digest("email"), Literal(ENOUGH_TO_DIFFER + 4)
    )


def _address(source: Source) -> Composable:
    return SQL("((1 + {} % 200) || ' ' || {} || ', ' || {})").format(
        source.number("house"), source.choice("street", _STREETS), source.choice("city", _CITIES)
    )


def _company(source: Source) -> Composable:
    return SQL("({} || ' ' || {})").format(_last(source), source.choice("form", _FORMS))


def _digits(source: Source, count: int) -> Composed:
    return SQL("lpad(({} % {})::text, {}, '0')").format(
        source.number("digits"), Literal(10**count), Literal(count)
    )


def _phone(source: Source, prefix: str = "0") -> Composable:
    return SQL("({} || {})").format(Literal(prefix), _digits(source, 9))


def _string(source: Source, length: int) -> Composable:
    if not 1 <= length <= 1024:
        raise MaskingError(f"random_string takes a length between 1 and 1024, not {length}")
    parts = [source.digest(f"string{number}") for number in range((length + 31) // 32)]
    return SQL("left({}, {})").format(SQL(" || ").join(parts), Literal(length))


def _hash(source: Source) -> Composable:
    return SQL("encode(sha256(convert_to({} || {}, 'UTF8')), 'hex')").format(
        Literal(f"{source.salt}/"), source.value
    )


def _uuid(source: Source) -> Composable:
    return SQL("overlay({} placing '4' from 13 for 1)::uuid").format(source.digest("uuid"))


def _partial(source: Source, prefix: int, padding: str, suffix: int) -> Composable:
    if prefix < 0 or suffix < 0:
        raise MaskingError("partial takes lengths of 0 or more")
    # A value that is no longer than what would be shown is hidden completely.
    return SQL(
        "CASE WHEN length({0}) > {3} THEN left({0}, {1}) || {2} || right({0}, {4}) ELSE {2} END"
    ).format(source.value, Literal(prefix), Literal(padding), Literal(prefix + suffix), Literal(suffix))


def _partial_email(source: Source) -> Composable:
    return SQL(
        "(left(split_part({0}, '@', 1), 2) || '******@' || left(split_part({0}, '@', 2), 2) || '******.'"
        " || reverse(split_part(reverse({0}), '.', 1)))"
    ).format(source.value)


def _between(source: Source, first: int, last: int) -> Composable:
    if last < first or last - first >= 2**60:
        raise MaskingError(f"the bounds {first} and {last} are no range")
    return SQL("({} + {} % {})").format(Literal(first), source.number("between"), Literal(last - first + 1))


def _noise(source: Source, ratio: float) -> Composable:
    return SQL("({} * (1 + {} * (2 * {} - 1)))").format(
        Identifier(source.column), Literal(float(ratio)), source.fraction("noise")
    )


def _date_between(source: Source, first: str, last: str) -> Composable:
    try:
        begin, finish = datetime.fromisoformat(first), datetime.fromisoformat(last)
    except ValueError:
        raise MaskingError(f"the bounds {first!r} and {last!r} are no dates such as '2020-01-31'") from None
    seconds = (finish.replace(tzinfo=None) - begin.replace(tzinfo=None)).total_seconds()
    if seconds < 0:
        raise MaskingError(f"the date {last} is before {first}")
    return SQL("({}::timestamp + {} * make_interval(secs => {}))").format(
        Literal(begin.replace(tzinfo=None)), source.fraction("date"), Literal(seconds)
    )


def _date(source: Source) -> Composable:
    return _date_between(source, "1950-01-01", date(2020, 1, 1).isoformat())


def _distinct_string(arguments: list[Argument]) -> bool:
    return int(arguments[0]) >= ENOUGH_TO_DIFFER


def _names(*names: str, function: Function) -> dict[str, Function]:
    return dict.fromkeys(names, function)


FUNCTIONS: Mapping[str, Function] = {
    **_names("fake_first_name", "dummy_first_name", function=Function(_first, (TEXT,), "()")),
    **_names("fake_last_name", "dummy_last_name", function=Function(_last, (TEXT,), "()")),
    "pseudo_first_name": Function(_first, (TEXT,), "(column)", ("column",)),
    "pseudo_last_name": Function(_last, (TEXT,), "(column)", ("column",)),
    "dummy_name": Function(_name, (TEXT,), "()"),
    **_names("fake_email", "dummy_safe_email", function=Function(_email, (TEXT,), "()", distinct=_always)),
    "pseudo_email": Function(_email, (TEXT,), "(column)", ("column",), _always),
    "partial_email": Function(_partial_email, (TEXT,), "(column)", ("column",)),
    "partial": Function(
        _partial, (TEXT,), "(column, prefix, 'padding', suffix)", ("column", "int", "text", "int")
    ),
    "hash": Function(_hash, (TEXT,), "(column)", ("column",), _always),
    "random_string": Function(_string, (TEXT,), "(length)", ("int",), _distinct_string),
    "random_phone": Function(_phone, (TEXT,), "('prefix')", ("text",)),
    "dummy_phone_number": Function(_phone, (TEXT,), "()"),
    **_names(
        "random_zip", "fake_postcode", function=Function(lambda source: _digits(source, 5), (TEXT,), "()")
    ),
    "fake_address": Function(_address, (TEXT,), "()"),
    "fake_city": Function(lambda source: source.choice("city", _CITIES), (TEXT,), "()"),
    "fake_country": Function(lambda source: source.choice("country", _COUNTRIES), (TEXT,), "()"),
    "fake_company": Function(_company, (TEXT,), "()"),
    "lorem_ipsum": Function(lambda _source: Literal(_LOREM), (TEXT,), "()"),
    "dummy_uuidv4": Function(_uuid, (UUID, TEXT), "()", distinct=_always),
    **_names(
        "random_int_between",
        "random_bigint_between",
        function=Function(_between, (NUMBER, TEXT), "(first, last)", ("int", "int")),
    ),
    "noise": Function(_noise, (NUMBER,), "(column, ratio)", ("column", "number")),
    "random_date": Function(_date, (MOMENT,), "()"),
    "random_date_between": Function(_date_between, (MOMENT,), "('first', 'last')", ("text", "text")),
}
