"""doses that were moved.

Revision: 7a1f4e02c9d8
Follows: 7b1e60c4d92a
Created: 2026-11-24 17:00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "7a1f4e02c9d8"
down_revision = "7b1e60c4d92a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("occurrence", sa.Column("moved_from", sa.DateTime(timezone=True), nullable=True))
    op.add_column("occurrence", sa.Column("moved_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for column in ("moved_at", "moved_from"):
        op.drop_column("occurrence", column)
