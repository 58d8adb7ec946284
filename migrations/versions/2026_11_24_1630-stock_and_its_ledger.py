"""stock and its ledger.

Revision: 3c9a51e7b604
Follows: 8e41d0a7c256
Created: 2026-11-24 16:30:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "3c9a51e7b604"
down_revision = "8e41d0a7c256"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "supply",
        sa.Column("medication_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.String(length=50), nullable=False),
        sa.Column("stock", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("equivalents", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("package_size", sa.Numeric(precision=12, scale=4), nullable=True),
        sa.Column("warn_days", sa.Integer(), nullable=True),
        sa.Column("warn_stock", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.Column("warn_expiry_days", sa.Integer(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_entry_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("stock >= 0", name=op.f("ck_supply_stock_not_negative")),
        sa.ForeignKeyConstraint(
            ["medication_id"], ["medication.id"], name=op.f("fk_supply_medication_id_medication"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_supply_patient_id_patient"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("medication_id", name=op.f("pk_supply")),
    )
    op.create_index(op.f("ix_supply_patient_id"), "supply", ["patient_id"])
    op.create_table(
        "supply_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("medication_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("change", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("stock_after", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("unit", sa.String(length=50), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("administration_id", sa.Uuid(), nullable=True),
        sa.Column("undoes", sa.Uuid(), nullable=True),
        sa.Column("dose_quantity", sa.Numeric(precision=12, scale=4), nullable=True),
        sa.Column("dose_unit", sa.String(length=50), nullable=True),
        sa.Column("quantity", sa.Numeric(precision=12, scale=4), nullable=True),
        sa.Column("filled_on", sa.Date(), nullable=True),
        sa.Column("days_supply", sa.Numeric(precision=6, scale=1), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("lot", sa.String(length=100), nullable=True),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(
            ["administration_id"],
            ["administration.id"],
            name=op.f("fk_supply_entry_administration_id_administration"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["medication_id"],
            ["supply.medication_id"],
            name=op.f("fk_supply_entry_medication_id_supply"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_supply_entry_patient_id_patient"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["recorded_by"], ["account.id"], name=op.f("fk_supply_entry_recorded_by_account")),
        sa.ForeignKeyConstraint(
            ["undoes"], ["supply_entry.id"], name=op.f("fk_supply_entry_undoes_supply_entry"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supply_entry")),
        sa.UniqueConstraint("medication_id", "recorded_at", name=op.f("uq_supply_entry_medication_id_recorded_at")),
    )
    op.create_index(op.f("ix_supply_entry_patient_id"), "supply_entry", ["patient_id"])
    op.create_index(op.f("ix_supply_entry_administration_id"), "supply_entry", ["administration_id"])
    op.create_index(
        "uq_supply_entry_intake",
        "supply_entry",
        ["administration_id"],
        unique=True,
        postgresql_where=sa.text("kind IN ('intake', 'uncounted')"),
    )
    op.create_index(
        "uq_supply_entry_undoes",
        "supply_entry",
        ["undoes"],
        unique=True,
        postgresql_where=sa.text("undoes IS NOT NULL"),
    )
    op.create_index(
        "ix_supply_entry_refill",
        "supply_entry",
        ["medication_id", "filled_on"],
        postgresql_where=sa.text("kind = 'refill'"),
    )


def downgrade() -> None:
    op.drop_table("supply_entry")
    op.drop_table("supply")
