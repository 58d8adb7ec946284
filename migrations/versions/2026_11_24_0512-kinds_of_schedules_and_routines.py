"""kinds of schedules and routines.

Revision: 8e41d0a7c256
Follows: 5d2b7c1f9a40
Created: 2026-11-24 05:12:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "8e41d0a7c256"
down_revision = "5d2b7c1f9a40"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("schedule", sa.Column("count", sa.Integer(), nullable=True))
    op.add_column("schedule", sa.Column("min_gap", sa.Interval(), nullable=True))
    op.add_column("schedule", sa.Column("severity", sa.String(length=16), nullable=True))
    op.add_column("schedule", sa.Column("on_time", sa.Interval(), nullable=True))
    op.add_column("schedule", sa.Column("missed_after", sa.Interval(), nullable=True))
    op.add_column("patient", sa.Column("routine", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("patient", "routine")
    for column in ("missed_after", "on_time", "severity", "min_gap", "count"):
        op.drop_column("schedule", column)
