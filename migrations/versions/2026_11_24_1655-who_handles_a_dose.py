"""who handles a dose, and until when.

Nobody handles what is there already.

Revision: 7b1e60c4d92a
Follows: a7d1f0c4e928
Created: 2026-11-24 16:55:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "7b1e60c4d92a"
down_revision = "a7d1f0c4e928"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("occurrence", sa.Column("acknowledged_by", sa.Uuid(), nullable=True))
    op.add_column("occurrence", sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("occurrence", sa.Column("acknowledged_until", sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(
        op.f("fk_occurrence_acknowledged_by_account"),
        "occurrence",
        "account",
        ["acknowledged_by"],
        ["id"],
        ondelete="SET NULL",
    )
    op.create_index(
        "ix_occurrence_acknowledged",
        "occurrence",
        ["acknowledged_until"],
        postgresql_where=sa.text("acknowledged_until IS NOT NULL AND state IN ('planned', 'due')"),
    )


def downgrade() -> None:
    op.drop_index("ix_occurrence_acknowledged", table_name="occurrence")
    op.drop_constraint(op.f("fk_occurrence_acknowledged_by_account"), "occurrence", type_="foreignkey")
    for column in ("acknowledged_until", "acknowledged_at", "acknowledged_by"):
        op.drop_column("occurrence", column)
