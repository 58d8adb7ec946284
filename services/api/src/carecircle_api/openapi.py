"""The OpenAPI 3.1 description: what FastAPI finds in the routes, with our problem details in place of its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from carecircle_api.schemas.problem import ProblemBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI
    from fastapi.routing import APIRoute

REF = "#/components/schemas/{model}"
FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")
DESCRIPTION = """\
Reminders for people who care together for somebody.

A **patient** takes **medications** by **schedules**; each planned dose is an **occurrence**, and its answer an
**administration**. The members of the patient's care circle are told by e-mail and push.

- Log in with `POST /v1/auth/token`, send `Authorization: Bearer …`.
- Instants are RFC 3339 in UTC, wall-clock times `"HH:MM"`, zones IANA names.
- What is not a success is `application/problem+json` (RFC 9457): `code` for programs, `errors` names the fields.
- Send an `Idempotency-Key` with a POST, and it is done once however often it is sent.
- Lists are `{"items": […], "next": null}`; send `next` as `cursor` for the next page.
"""
TAGS = [
    {"name": "auth", "description": "Register, log in, stay logged in."},
    {"name": "me", "description": "Your account."},
    {"name": "patients", "description": "Whom you care for."},
    {"name": "members", "description": "The care circle of a patient, and invitations to it."},
    {"name": "medications", "description": "What a patient takes."},
    {"name": "schedules", "description": "When."},
    {"name": "occurrences", "description": "Planned doses and their answers."},
    {"name": "supply", "description": "What is there of a medication, until when it lasts, and why."},
    {"name": "adherence", "description": "How doses were taken, and how often something was needed."},
    {"name": "push", "description": "Browsers that show your reminders."},
    {"name": "calendar", "description": "Planned doses in calendar programs."},
    {"name": "fhir", "description": "FHIR R4 and R5, out and in."},
    {"name": "deliveries", "description": "What was sent to whom."},
    {"name": "exports", "description": "Files to take with you, and back."},
]


def operation_id(route: APIRoute) -> str:
    """The function's name: unique, and what a generated client's method should be called."""
    return route.name


def describer(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What `app.openapi` is to be: made once, when first asked for."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    return describe


def _describe(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
        license_info={"name": "Apache 2.0", "identifier": "Apache-2.0"},
    )
    schemas = document["components"]["schemas"]
    problem = ProblemBody.model_json_schema(ref_template=REF)
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    for name in FASTAPI_ERRORS:
        schemas.pop(name, None)
    return document
