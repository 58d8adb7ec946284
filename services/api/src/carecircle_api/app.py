"""The application: routes, the layers around them, and how refusals are answered. Made by `create_app`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from carecircle_api import docs, errors, idempotency
from carecircle_api.guard import BodyGate, SecurityHeaders
from carecircle_api.observe import Observe
from carecircle_api.openapi import describer, operation_id
from carecircle_api.routes import (
    acknowledgements,
    adherence,
    answers,
    as_needed,
    auth,
    calendar_feeds,
    deliveries,
    exports,
    fhir,
    health,
    imports,
    me,
    medications,
    members,
    moving,
    occurrences,
    patients,
    previews,
    push_subscriptions,
    schedules,
    supply,
)

if TYPE_CHECKING:
    from carecircle_api.services import Services

VERSION = "0.1.0"
ROUTES = (
    auth,
    me,
    patients,
    members,
    medications,
    previews,
    imports,
    schedules,
    occurrences,
    acknowledgements,
    answers,
    moving,
    as_needed,
    supply,
    adherence,
    push_subscriptions,
    deliveries,
    exports,
    calendar_feeds,
    fhir,
    health,
    docs,
)


def create_app(services: Services) -> FastAPI:
    """The ASGI application on ready-made services. It starts and stops nothing of its own."""
    app = FastAPI(
        title="CareCircle Reminders",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
    )
    app.state.services = services
    for module in ROUTES:
        app.include_router(module.router)
    app.openapi = describer(app)
    errors.install(app)
    idempotency.install(app)
    _wrap(app, services)
    return app


def _wrap(app: FastAPI, services: Services) -> None:
    """The layers, innermost first: the last one added sees a request first."""
    settings = services.settings
    app.add_middleware(
        BodyGate,
        max_bytes=settings.max_body_bytes,
        timeout=settings.body_timeout_seconds,
        large={exports.IMPORT_PATH: settings.max_import_bytes},
    )
    app.add_middleware(Observe, metrics=services.metrics)
    app.add_middleware(SecurityHeaders, https=settings.public_url.startswith("https://"))
