"""A worker is killed while it holds a claim: another one sends, once."""

from __future__ import annotations

import signal

import psycopg
import pytest
from sqlalchemy.engine import make_url
from tests.e2e.app import Story, next_minute
from tests.e2e.system import LEASE_SECONDS, System
from tests.waiting import eventually, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180), pytest.mark.slow]

HOLD = 4711
STOP_AT_HANDOFF = f"""
    CREATE FUNCTION hold_handoff() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock({HOLD}); RETURN NEW; END $$;
    CREATE TRIGGER hold_handoff BEFORE UPDATE ON delivery FOR EACH ROW
    WHEN (NEW.state = 'handoff' AND NEW.channel = 'email' AND NEW.attempt = 1) EXECUTE FUNCTION hold_handoff();
"""


async def test_a_worker_killed_between_claim_and_handoff_costs_a_lease_and_nothing_else(system: System) -> None:
    due_at = next_minute(after_seconds=10)
    async with system.app() as app:
        story = await Story.begin(app)
        await story.schedule(due_at)
        plain = make_url(system.database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        async with await psycopg.AsyncConnection.connect(plain, autocommit=True) as gate:
            await gate.execute(STOP_AT_HANDOFF)
            await gate.execute("SELECT pg_advisory_lock(%s)", (HOLD,))  # the first handoff waits here

            async def claimed() -> bool:
                return await story.states() == {"email": "claimed"}

            await until(due_at)
            await eventually(claimed, "the mail is claimed", seconds=20)
            await system.stop("carecircle_email", signal.SIGKILL)
            await gate.execute("SELECT pg_advisory_unlock(%s)", (HOLD,))
        system.start("carecircle_email", name="second_email_worker")

        async def sent() -> bool:
            return await story.states() == {"email": "sent"}

        await eventually(sent, "another worker has sent it", seconds=LEASE_SECONDS + 40)
        (row,) = await story.deliveries()
        assert row["attempts"] == 2
        assert row["ambiguous_attempts"] == 0, "nothing had left the first worker"
        assert len(system.mail.to(app.email)) == 1
