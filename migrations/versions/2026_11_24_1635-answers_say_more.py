"""answers say more: a coded reason, when a dose was taken by its window, and whether the amount was another.

What is there already was given as planned, and its window is not known any more: no timing.

Revision: 3f9a52c8e017
Follows: 3c9a51e7b604
Created: 2026-11-24 16:35:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3f9a52c8e017"
down_revision = "3c9a51e7b604"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("administration", sa.Column("reason_code", sa.String(length=32), nullable=True))
    op.add_column("administration", sa.Column("timing", sa.String(length=16), nullable=True))
    # With a constant default PostgreSQL rewrites no rows.
    op.add_column(
        "administration", sa.Column("dose_changed", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )


def downgrade() -> None:
    for column in ("dose_changed", "timing", "reason_code"):
        op.drop_column("administration", column)
