"""What each answer of a mail server means, row by row."""

from __future__ import annotations

from datetime import timedelta

import pytest

from carecircle.domain.delivery import Ambiguous, Misconfigured, Outcome, Rejected, Sent, TryLater
from carecircle_email.outcomes import PROBLEM_RULES, Phase, Problem, classify

SOON = timedelta(seconds=60)
SETUP = (Phase.CONNECT, Phase.HELLO, Phase.TLS, Phase.AUTH)
ENVELOPE = (Phase.MAIL, Phase.RCPT, Phase.DATA)

REPLIES: list[tuple[Phase, int, str | None, Outcome]] = [
    (Phase.END, 250, "2.0.0", Sent(code="smtp_250")),
    (Phase.END, 251, None, Sent(code="smtp_251")),
    # Not now.
    *((phase, 421, "4.3.2", TryLater("smtp_421")) for phase in Phase),
    (Phase.CONNECT, 450, None, TryLater("smtp_450")),
    (Phase.TLS, 454, "4.7.0", TryLater("smtp_454")),
    (Phase.AUTH, 454, "4.7.0", TryLater("smtp_454")),
    *((phase, 450, None, TryLater("smtp_450", SOON)) for phase in ENVELOPE),
    *((phase, 451, "4.7.1", TryLater("smtp_451", SOON)) for phase in ENVELOPE),
    (Phase.RCPT, 451, "4.3.0", TryLater("smtp_451", SOON)),
    (Phase.RCPT, 452, "4.2.2", TryLater("smtp_452")),
    (Phase.MAIL, 452, "4.3.1", TryLater("smtp_452")),
    (Phase.RCPT, 421, "4.7.0", TryLater("smtp_421")),
    (Phase.RCPT, 452, "4.7.28", TryLater("smtp_452", SOON)),
    (Phase.END, 451, "4.3.0", TryLater("smtp_451")),
    (Phase.END, 450, None, TryLater("smtp_450")),
    (Phase.END, 451, "4.7.500", TryLater("smtp_451", SOON)),
    (Phase.END, 452, "4.3.1", TryLater("smtp_452")),
    # The address is dead.
    (Phase.RCPT, 550, "5.1.1", Rejected("smtp_550", target_gone=True)),
    (Phase.RCPT, 550, "5.1.10", Rejected("smtp_550", target_gone=True)),
    (Phase.RCPT, 550, "5.2.1", Rejected("smtp_550", target_gone=True)),
    (Phase.RCPT, 554, "5.1.1", Rejected("smtp_554", target_gone=True)),
    (Phase.RCPT, 550, None, Rejected("smtp_550", target_gone=True)),
    (Phase.RCPT, 551, None, Rejected("smtp_551", target_gone=True)),
    (Phase.RCPT, 553, None, Rejected("smtp_553", target_gone=True)),
    (Phase.DATA, 550, "5.1.1", Rejected("smtp_550", target_gone=True)),
    (Phase.END, 550, "5.1.1", Rejected("smtp_550", target_gone=True)),
    # Refused, but not because of the address.
    (Phase.RCPT, 552, "5.2.2", Rejected("smtp_552")),
    (Phase.RCPT, 552, None, Rejected("smtp_552")),
    (Phase.RCPT, 550, "5.7.1", Rejected("smtp_550")),
    (Phase.RCPT, 550, "5.4.1", Rejected("smtp_550")),
    (Phase.RCPT, 550, "5.1.8", Rejected("smtp_550")),
    (Phase.RCPT, 554, "5.7.1", Rejected("smtp_554")),
    (Phase.RCPT, 501, "5.5.4", Rejected("smtp_501")),
    (Phase.MAIL, 552, "5.3.4", Rejected("smtp_552")),
    (Phase.DATA, 554, "5.5.1", Rejected("smtp_554")),
    (Phase.END, 552, "5.3.4", Rejected("smtp_552")),
    (Phase.END, 554, "5.7.1", Rejected("smtp_554")),
    (Phase.END, 550, None, Rejected("smtp_550")),
    (Phase.END, 599, None, Rejected("smtp_599")),
    # Nobody's mail goes out.
    (Phase.AUTH, 535, "5.7.8", Misconfigured("smtp_535")),
    (Phase.AUTH, 534, "5.7.9", Misconfigured("smtp_534")),
    (Phase.AUTH, 504, "5.5.4", Misconfigured("smtp_504")),
    (Phase.MAIL, 530, "5.7.0", Misconfigured("smtp_530")),
    (Phase.RCPT, 530, "5.7.0", Misconfigured("smtp_530")),
    (Phase.MAIL, 538, "5.7.11", Misconfigured("smtp_538")),
    (Phase.MAIL, 550, "5.7.1", Misconfigured("smtp_550")),
    (Phase.MAIL, 553, "5.1.8", Misconfigured("smtp_553")),
    (Phase.CONNECT, 554, "5.7.1", Misconfigured("smtp_554")),
    (Phase.HELLO, 550, None, Misconfigured("smtp_550")),
    (Phase.TLS, 502, "5.5.1", Misconfigured("smtp_502")),
    # Replies that SMTP does not know.
    (Phase.RCPT, 354, None, TryLater("smtp_bad_reply")),
    (Phase.DATA, 250, None, TryLater("smtp_bad_reply")),
    (Phase.MAIL, 600, None, TryLater("smtp_bad_reply")),
    (Phase.END, 354, None, Ambiguous("smtp_bad_reply_after_data")),
    (Phase.END, 650, None, Ambiguous("smtp_bad_reply_after_data")),
]


@pytest.mark.parametrize(
    ("phase", "code", "enhanced", "outcome"), REPLIES, ids=[f"{p}-{c}-{e}" for p, c, e, _ in REPLIES]
)
def test_a_reply_means(phase: Phase, code: int, enhanced: str | None, outcome: Outcome) -> None:
    assert classify(phase, code, enhanced) == outcome


BEFORE_THE_DOT: dict[Problem, Outcome] = {
    Problem.DNS: TryLater("smtp_dns"),
    Problem.REFUSED: TryLater("smtp_refused"),
    Problem.TIMEOUT: TryLater("smtp_timeout"),
    Problem.DISCONNECTED: TryLater("smtp_disconnected"),
    Problem.TLS_FAILED: TryLater("smtp_tls"),
    Problem.BAD_CERTIFICATE: Misconfigured("smtp_certificate"),
    Problem.NO_STARTTLS: Misconfigured("smtp_no_starttls"),
    Problem.NO_AUTH: Misconfigured("smtp_no_auth"),
    Problem.NO_SMTPUTF8: Rejected("smtp_no_smtputf8"),
    Problem.BAD_REPLY: TryLater("smtp_bad_reply"),
    Problem.UNKNOWN: TryLater("smtp_error"),
}


@pytest.mark.parametrize("problem", Problem)
@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.END])
def test_before_the_final_dot_nothing_was_taken(phase: Phase, problem: Problem) -> None:
    assert classify(phase, problem=problem) == BEFORE_THE_DOT[problem]


@pytest.mark.parametrize("problem", Problem)
def test_after_the_final_dot_silence_of_any_kind_is_ambiguous(problem: Problem) -> None:
    assert classify(Phase.END, problem=problem) == Ambiguous(f"smtp_{problem}_after_data")


def test_every_problem_has_a_rule() -> None:
    assert set(PROBLEM_RULES) == set(Problem)


@pytest.mark.parametrize("phase", Phase)
def test_every_refusal_has_an_outcome_and_a_temporary_one_is_never_final(phase: Phase) -> None:
    for code in range(400, 600):
        assert isinstance(classify(phase, code), TryLater) == (code < 500), code


def test_the_greylist_wait_is_a_setting() -> None:
    shorter = timedelta(milliseconds=50)

    assert classify(Phase.RCPT, 451, "4.7.1", greylist_wait=shorter) == TryLater("smtp_451", shorter)
