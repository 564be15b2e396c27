"""Frozen dataclasses to JSON and back, strictly: a file that says something unknown is refused, not guessed at."""

from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from fictile.errors import RequestError

T = TypeVar("T")


def from_json(kind: type[T], data: object, where: str) -> T:
    """The dataclass `kind` from a JSON object; lists become tuples, whole numbers floats where a float is meant.

    Fields may be numbers, strings, dicts, tuples, literals, other dataclasses, and each of these or None.

    `where` names the object in messages. Raises RequestError for unknown, missing and mistyped fields.
    """
    if not isinstance(data, dict):
        raise RequestError(f"A JSON object was expected for {where}, but it is {_short(data)}; the file is damaged.")
    given = cast(dict[str, object], data)
    members = {field.name: field for field in fields(cast(Any, kind)) if field.init}
    if unknown := sorted(given.keys() - members.keys()):
        raise RequestError(
            f"The unknown fields {few(unknown)} stand in {where}; it was written by another version of Fictile, "
            "read it with that one or a newer one."
        )
    required = {
        name for name, field in members.items() if field.default is MISSING and field.default_factory is MISSING
    }
    if missing := sorted(required - given.keys()):
        raise RequestError(
            f"The fields {few(missing)} are missing from {where}; it is damaged or was written by another version of "
            "Fictile."
        )
    hints = get_type_hints(kind)
    return kind(**{name: _read(hints[name], value, f"{name} in {where}") for name, value in given.items()})


def _read(hint: object, value: object, where: str) -> object:
    """`value` as the type `hint` asks for."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType and value is not None:
        return _read(next(option for option in arguments if option is not NoneType), value, where)
    if origin is tuple and isinstance(value, list):
        items = cast(list[object], value)
        hints = [arguments[0]] * len(items) if arguments[-1] is Ellipsis else list(arguments)
        if len(hints) == len(items):
            return tuple(_read(hint, item, where) for hint, item in zip(hints, items, strict=True))
    if is_dataclass(hint):
        return from_json(cast(type[object], hint), value, where)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is (origin or hint) or (origin is Literal and value in arguments) or origin is UnionType:
        return value
    raise RequestError(f"The value {_short(value)} does not fit {where}; the file is damaged or was edited by hand.")


def few(names: list[str], count: int = 3) -> str:
    """The first few names, and how many more there are."""
    rest = len(names) - count
    return ", ".join(names[:count]) + (f" and {rest} more" if rest > 0 else "")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
