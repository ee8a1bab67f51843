"""Would a changed JSON Schema still read everything that was written under the old one?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

#: Bounds that must not become tighter: name → whether a larger number is looser.
_BOUNDS = {
    "maxLength": True,
    "maxItems": True,
    "maximum": True,
    "exclusiveMaximum": True,
    "minLength": False,
    "minItems": False,
    "minimum": False,
    "exclusiveMinimum": False,
}


def breaking(old: Schema, new: Schema) -> list[str]:
    """Every difference that breaks reading; empty when all old values are still understood."""
    return list(_compare(old, new, old, new, "", ()))


def _compare(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str, seen: tuple[str, ...]
) -> Iterator[str]:
    if "$ref" in old:
        if old["$ref"] in seen:
            return
        seen = (*seen, old["$ref"])
    old, new = _resolve(old, old_root), _resolve(new, new_root)
    if "anyOf" in old or "anyOf" in new:
        yield from _any_of(old, new, old_root, new_root, path, seen)
        return
    if old.get("type") != new.get("type") and "type" in new and not _wider(old.get("type"), new["type"]):
        yield f"{path or 'value'}: was {old.get('type', 'anything')}, is {new['type']}"
        return
    yield from _narrower(old, new, path)
    old_properties, new_properties = old.get("properties", {}), new.get("properties", {})
    for name, before in old_properties.items():
        here = f"{path}.{name}" if path else name
        if name in new_properties:
            yield from _compare(before, new_properties[name], old_root, new_root, here, seen)
        else:
            yield f"{here}: removed or renamed"
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{path + '.' if path else ''}{name}: became required"
    for key in ("items", "additionalProperties"):
        if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
            yield from _compare(old[key], new[key], old_root, new_root, f"{path}[]", seen)


def _any_of(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str, seen: tuple[str, ...]
) -> Iterator[str]:
    """Each former alternative must still be read by one of the new ones."""
    choices = new.get("anyOf", [new])
    for before in old.get("anyOf", [old]):
        findings = [list(_compare(before, after, old_root, new_root, path, seen)) for after in choices]
        if all(findings):
            yield min(findings, key=len)[0]


def _narrower(old: Schema, new: Schema, path: str) -> Iterator[str]:
    where = path or "value"
    for name, larger_is_looser in _BOUNDS.items():
        if name not in new:
            continue
        if name not in old:
            yield f"{where}: {name} {new[name]} is new"
        elif (new[name] < old[name]) if larger_is_looser else (new[name] > old[name]):
            yield f"{where}: {name} was {old[name]}, is {new[name]}"
    if "enum" in new or "const" in new:
        allowed = new.get("enum", [new.get("const")])
        given = old.get("enum", [old["const"]] if "const" in old else None)
        lost = "any value" if given is None else [v for v in given if v not in allowed]
        if lost:
            yield f"{where}: no longer allowed: {lost}"
    for name in ("pattern", "format"):
        if name in new and new[name] != old.get(name):
            yield f"{where}: {name} was {old.get(name)!r}, is {new[name]!r}"


def _wider(old: object, new: object) -> bool:
    return (old, new) == ("integer", "number")


def _resolve(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema
