"""who is told of supplies: alerts, their notices, and deliveries that are about no dose.

Who was told of doses is told of supplies as well, until they say otherwise.

Revision: 6d04b8f2a9c1
Follows: 7b1e60c4d92a
Created: 2026-11-24 17:15:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "6d04b8f2a9c1"
down_revision = "7a1f4e02c9d8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "supply_notice",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_supply_notice_patient_id_patient"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supply_notice")),
    )
    op.create_index(op.f("ix_supply_notice_patient_id"), "supply_notice", ["patient_id"])
    op.create_table(
        "supply_alert",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("medication_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("stock", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("unit", sa.String(length=50), nullable=False),
        sa.Column("run_out_on", sa.Date(), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["medication_id"],
            ["medication.id"],
            name=op.f("fk_supply_alert_medication_id_medication"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["notice_id"],
            ["supply_notice.id"],
            name=op.f("fk_supply_alert_notice_id_supply_notice"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supply_alert")),
    )
    op.create_index(op.f("ix_supply_alert_notice_id"), "supply_alert", ["notice_id"])
    op.create_index(
        "uq_supply_alert_standing",
        "supply_alert",
        ["medication_id", "kind"],
        unique=True,
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.add_column(
        "supply",
        sa.Column("check_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.create_index("ix_supply_check_at", "supply", ["check_at"], postgresql_where=sa.text("ended_at IS NULL"))
    op.add_column(
        "membership", sa.Column("supply_messages", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.execute("UPDATE membership SET supply_messages = reminders")
    op.alter_column("delivery", "occurrence_id", nullable=True)
    op.add_column("delivery", sa.Column("supply_notice_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_delivery_supply_notice_id_supply_notice"),
        "delivery",
        "supply_notice",
        ["supply_notice_id"],
        ["id"],
        ondelete="CASCADE",
    )
    op.create_check_constraint(
        op.f("ck_delivery_about_one_thing"), "delivery", "num_nonnulls(occurrence_id, supply_notice_id) = 1"
    )
    op.create_index(
        "uq_delivery_supply_notice",
        "delivery",
        ["supply_notice_id", "recipient_id", "channel", "target_id"],
        unique=True,
        postgresql_where=sa.text("supply_notice_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.execute("DELETE FROM delivery WHERE supply_notice_id IS NOT NULL")
    op.drop_index("uq_delivery_supply_notice", table_name="delivery")
    op.drop_constraint(op.f("ck_delivery_about_one_thing"), "delivery")
    op.drop_column("delivery", "supply_notice_id")
    op.alter_column("delivery", "occurrence_id", nullable=False)
    op.drop_column("membership", "supply_messages")
    op.drop_column("supply", "check_at")
    op.drop_table("supply_alert")
    op.drop_table("supply_notice")
