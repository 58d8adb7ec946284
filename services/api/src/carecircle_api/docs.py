"""/docs: the API's description as one page, made from its OpenAPI document. No script, and nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

METHODS = ("get", "post", "put", "patch", "delete")
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    state = request.app.state
    if not hasattr(state, "docs"):
        state.docs = _page(request.app.openapi())
    page, style_hash = state.docs
    policy = f"default-src 'none'; style-src 'sha256-{style_hash}'; frame-ancestors 'none'; base-uri 'none'"
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a table: a parameter, or a member of a body."""

    name: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    anchor: str
    method: str
    path: str
    summary: str
    locked: bool
    parameters: list[Field]
    body: list[Field]
    curl: str
    answers: list[tuple[str, str]]
    example: str


def _page(document: dict[str, Any]) -> tuple[str, str]:
    """The page, and the hash of its style."""
    environment = Environment(
        loader=PackageLoader("carecircle_api", "templates"), autoescape=True, undefined=StrictUndefined
    )
    style = environment.get_template("docs.css").render().strip()
    page = environment.get_template("docs.html").render(
        info=document["info"],
        groups=_groups(document),
        style=Markup(style),  # noqa: S704 - our own file
    )
    return page, base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _groups(document: dict[str, Any]) -> list[tuple[dict[str, str], list[Operation]]]:
    """Each tag with its operations, in the order of the document."""
    found: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                found[item[method]["tags"][0]].append(_operation(document, method, path, item[method]))
    return [(tag, found[tag["name"]]) for tag in document["tags"]]


def _operation(document: dict[str, Any], method: str, path: str, described: dict[str, Any]) -> Operation:
    content = described.get("requestBody", {}).get("content", {})
    kind = next(iter(content), None)
    schema = _resolved(document, content[kind]["schema"]) if kind else {}
    example = _example(document, schema)
    return Operation(
        anchor=described["operationId"],
        method=method.upper(),
        path=path,
        summary=described.get("description") or described["summary"],
        locked="security" in described,
        parameters=[_parameter(one) for one in described.get("parameters", [])],
        body=_members(document, schema),
        curl=_curl(method.upper(), path, kind, example, locked="security" in described),
        answers=[(status, answer["description"]) for status, answer in described["responses"].items()],
        example=_answer_example(document, described),
    )


def _parameter(described: dict[str, Any]) -> Field:
    name = f"{described['name']} ({described['in']})"
    return Field(name, _type(described["schema"]), described.get("required", False), described.get("description", ""))


def _members(document: dict[str, Any], schema: dict[str, Any], prefix: str = "") -> list[Field]:
    """The members of an object and of the objects in it, dotted."""
    if "oneOf" in schema:
        return _members_of_any(document, schema["oneOf"], prefix)
    required = schema.get("required", [])
    fields: list[Field] = []
    for name, member in schema.get("properties", {}).items():
        inner = _resolved(document, member)
        shown = inner if "$ref" in member else member
        fields.append(Field(prefix + name, _type(shown), name in required, member.get("description", "")))
        if inner.get("properties"):
            fields += _members(document, inner, f"{prefix}{name}.")
    return fields


def _members_of_any(document: dict[str, Any], choices: list[dict[str, Any]], prefix: str) -> list[Field]:
    """The members of all choices; needed is what each of them needs."""
    lists = [_members(document, _resolved(document, choice), prefix) for choice in choices]
    needed = set[str].intersection(*({field.name for field in members if field.required} for members in lists))
    found: dict[str, Field] = {}
    for field in (field for members in lists for field in members):
        other = found.setdefault(field.name, replace(field, required=field.name in needed))
        if field.type not in other.type:  # `kind`, and what two kinds mean differently
            found[field.name] = replace(other, type=f"{other.type} | {field.type}")
    return list(found.values())


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return document["components"]["schemas"][reference.rsplit("/", 1)[-1]] if reference else schema


def _type(schema: dict[str, Any]) -> str:
    """In words: `string (date-time) or null`, `array of mon | tue`."""
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(choice) for choice in choices)
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[-1]
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"array of {_type(schema.get('items', {}))}"
    kind = schema.get("format")
    return schema.get("type", "any") + (f" ({kind})" if kind else "")


def _example(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """The schema's own example, else one put together from its required members."""
    if examples := schema.get("examples"):
        return examples[0]
    members = schema.get("properties", {})
    return {
        name: _example(document, _resolved(document, members[name]))
        if "$ref" in members[name]
        else (members[name].get("examples") or [members[name].get("default", "…")])[0]
        for name in schema.get("required", [])
    }


def _curl(method: str, path: str, kind: str | None, example: Any, *, locked: bool) -> str:
    lines = ["curl -sS" + ("" if method == "GET" else f" -X {method}") + f' "$API{path}"']
    if locked:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if kind == JSON_TYPE:
        lines += [f"-H 'Content-Type: {JSON_TYPE}'", f"-d '{json.dumps(example, ensure_ascii=False)}'"]
    if kind == FORM_TYPE:
        lines += [f"--data-urlencode '{name}={value}'" for name, value in example.items()]
    return " \\\n  ".join(lines)


def _answer_example(document: dict[str, Any], described: dict[str, Any]) -> str:
    """The members of the successful answer, with their types."""
    for status in ("200", "201"):
        content = described["responses"].get(status, {}).get("content", {})
        if JSON_TYPE in content:
            fields = _members(document, _resolved(document, content[JSON_TYPE]["schema"]))
            return "\n".join(f"{field.name}: {field.type}" for field in fields)
    return ""
