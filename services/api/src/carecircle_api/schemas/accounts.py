"""Registering, logging in, and the own account."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, with_config
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from carecircle.db.accounts import Account
from carecircle_api.schemas.values import Answer, Body, Email, Flag, Name, Password, Token, ZoneName, plain

# Only compared, never stored: a short one is wrong, not invalid.
GivenPassword = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(plain)]
Word = Annotated[str, StringConstraints(max_length=200), AfterValidator(plain)]


class Registration(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "email": "anna@example.org",
                    "password": "correct horse battery",
                    "display_name": "Anna",
                    "zone": "Europe/Berlin",
                }
            ]
        }
    )

    email: Email
    password: Password
    display_name: Name
    zone: ZoneName = "UTC"


class LoginForm(Body):
    """RFC 6749, 4.3: the resource owner password form."""

    grant_type: Literal["password"] | None = None
    username: Annotated[str, StringConstraints(min_length=1, max_length=254), AfterValidator(plain)] = Field(
        description="The e-mail address.", examples=["anna@example.org"]
    )
    password: GivenPassword = Field(examples=["correct horse battery"], json_schema_extra={"format": "password"})
    scope: Word = ""
    client_id: Word | None = None
    client_secret: Word | None = None


class RefreshRequest(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"refresh_token": "k0qP0bbv1yJ3l6bJm0jQdWQ1fO2cX9n8v7u6t5s4r3q"}]}
    )

    refresh_token: Token


class Tokens(Answer):
    """`access_token` goes into `Authorization: Bearer …`; `refresh_token` works once, for the next pair."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.…",
                    "refresh_token": "k0qP0bbv1yJ3l6bJm0jQdWQ1fO2cX9n8v7u6t5s4r3q",
                    "token_type": "bearer",
                    "expires_in": 900,
                }
            ]
        }
    )

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the kind of token, not one
    expires_in: int = Field(description="Seconds until the access token ends.")


class Me(Answer):
    id: UUID
    email: str
    display_name: str
    zone: str
    details_in_messages: bool = Field(description="Names of medicines may stand in mail and push messages.")
    email_enabled: bool
    push_enabled: bool
    email_undeliverable_at: datetime | None = Field(
        description="When the mail server said that the address does not exist."
    )
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> Self:
        return cls.model_validate(account)


@with_config(
    ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"zone": "Europe/London", "details_in_messages": True}]},
    )
)
class MeChanges(TypedDict, total=False):
    """What is to change. A new `email` or `new_password` needs `current_password` and ends every session."""

    display_name: Name
    zone: ZoneName
    details_in_messages: Flag
    email_enabled: Flag
    push_enabled: Flag
    email: Email
    new_password: Password
    current_password: GivenPassword
