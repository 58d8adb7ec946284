"""For whoever runs this: is it alive, is it ready, what are its numbers. Not part of the described API."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse

from carecircle_api.deps import ServicesDep

router = APIRouter(include_in_schema=False)


@router.get("/livez")
async def livez() -> dict[str, str]:
    """The process runs and its loop turns; asks nobody else."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(services: ServicesDep) -> Response:
    """PostgreSQL is needed. Without Redis it works on: reminders then come with the reconciler."""
    status, body = await services.readiness()
    return JSONResponse(body, status)


@router.get("/metrics")
async def metrics(services: ServicesDep) -> Response:
    return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)
