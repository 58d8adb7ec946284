"""names of answers that were brought along.

Revision: 6f2d18c0b7e3
Follows: 6d04b8f2a9c1
Created: 2026-11-24 17:10:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "6f2d18c0b7e3"
down_revision = "6d04b8f2a9c1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("administration", sa.Column("recorded_as", sa.String(length=200), nullable=True))
    op.add_column("administration", sa.Column("entered_in_error_as", sa.String(length=200), nullable=True))


def downgrade() -> None:
    op.drop_column("administration", "entered_in_error_as")
    op.drop_column("administration", "recorded_as")
