"""What an SMTP server's answer, or its silence, means for one message. Pure; the rules are tables, first match wins.

The line that matters is the final dot: before it went out nothing was taken, whatever happened; after it, only a
reply tells (RFC 5321, 4.2.5 and RFC 1047), and silence is `Ambiguous`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum, auto

from carecircle.domain.delivery import Ambiguous, Misconfigured, Outcome, Rejected, Sent, TryLater

GREYLIST_WAIT = timedelta(seconds=60)
"""Greylisting servers turn away whoever comes back sooner."""


class Phase(StrEnum):
    """How far the dialogue had come. Each is named after what we were waiting for."""

    CONNECT = "connect"
    HELLO = "hello"
    TLS = "tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    """The body is being written; the final dot has not left."""
    END = "end"
    """The final dot has left; its reply is outstanding."""


class Problem(StrEnum):
    """What went wrong when there is no reply code to go by."""

    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    TLS_FAILED = "tls"
    BAD_CERTIFICATE = "certificate"
    NO_STARTTLS = "no_starttls"
    NO_AUTH = "no_auth"
    NO_SMTPUTF8 = "no_smtputf8"
    BAD_REPLY = "bad_reply"
    UNKNOWN = "error"


class Verdict(Enum):
    RETRY = auto()
    RETRY_GREYLISTED = auto()
    REJECT = auto()
    GONE = auto()
    MISCONFIGURED = auto()


SETUP = frozenset({Phase.CONNECT, Phase.HELLO, Phase.TLS, Phase.AUTH})
ENVELOPE = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA})
EVERY = frozenset(Phase)


@dataclass(frozen=True, slots=True)
class ReplyRule:
    """Fits a reply by phase, by code and, where given, by the start of its enhanced status code (RFC 3463)."""

    verdict: Verdict
    codes: range | frozenset[int]
    phases: frozenset[Phase] = EVERY
    enhanced: tuple[str, ...] | None = None

    def fits(self, phase: Phase, code: int, enhanced: str | None) -> bool:
        if code not in self.codes or phase not in self.phases:
            return False
        return self.enhanced is None or (enhanced or "").startswith(self.enhanced)


TEMPORARY = range(400, 500)
PERMANENT = range(500, 600)
DEAD_ADDRESS = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1")
NOT_THE_ADDRESS = ("5.1.7", "5.1.8", "5.2.", "5.3.", "5.4.", "5.5.", "5.6.", "5.7.")

REPLY_RULES: tuple[ReplyRule, ...] = (
    # Our credentials, our encryption: nobody's mail goes out until an operator looks.
    ReplyRule(Verdict.MISCONFIGURED, frozenset({530, 534, 535, 538})),
    ReplyRule(Verdict.MISCONFIGURED, PERMANENT, SETUP),
    # Not now. A greylist or a rate limit says 4.7.x, or 450/451 to the envelope.
    ReplyRule(Verdict.RETRY, frozenset({421})),
    ReplyRule(Verdict.RETRY, TEMPORARY, SETUP),
    ReplyRule(Verdict.RETRY_GREYLISTED, TEMPORARY, enhanced=("4.7.",)),
    ReplyRule(Verdict.RETRY_GREYLISTED, frozenset({450, 451}), ENVELOPE),
    ReplyRule(Verdict.RETRY, TEMPORARY),
    # This server does not let us send as ourselves: it would refuse every message.
    ReplyRule(Verdict.MISCONFIGURED, frozenset({550, 551, 553, 554}), frozenset({Phase.MAIL})),
    # The address itself is dead, said plainly or by a bare 550 to RCPT.
    ReplyRule(Verdict.GONE, PERMANENT, frozenset({Phase.RCPT, Phase.DATA, Phase.END}), DEAD_ADDRESS),
    ReplyRule(Verdict.REJECT, PERMANENT, frozenset({Phase.RCPT}), NOT_THE_ADDRESS),
    ReplyRule(Verdict.GONE, frozenset({550, 551, 553}), frozenset({Phase.RCPT})),
    ReplyRule(Verdict.REJECT, PERMANENT),
)

PROBLEM_RULES: dict[Problem, Verdict] = {
    Problem.DNS: Verdict.RETRY,
    Problem.REFUSED: Verdict.RETRY,
    Problem.TIMEOUT: Verdict.RETRY,
    Problem.DISCONNECTED: Verdict.RETRY,
    Problem.TLS_FAILED: Verdict.RETRY,
    Problem.BAD_CERTIFICATE: Verdict.MISCONFIGURED,
    Problem.NO_STARTTLS: Verdict.MISCONFIGURED,
    Problem.NO_AUTH: Verdict.MISCONFIGURED,
    Problem.NO_SMTPUTF8: Verdict.REJECT,
    Problem.BAD_REPLY: Verdict.RETRY,
    Problem.UNKNOWN: Verdict.RETRY,
}
"""Before the final dot. After it every one of them is ambiguous."""


def classify(
    phase: Phase,
    code: int | None = None,
    enhanced: str | None = None,
    problem: Problem | None = None,
    *,
    greylist_wait: timedelta = GREYLIST_WAIT,
) -> Outcome:
    """The outcome of a message that got this reply code, or met this problem, in this phase."""
    if code is not None and 200 <= code < 300 and phase is Phase.END:
        return Sent(code=f"smtp_{code}")
    if code is not None and 400 <= code < 600:
        verdict = next(rule.verdict for rule in REPLY_RULES if rule.fits(phase, code, enhanced))
        return _outcome(verdict, f"smtp_{code}", greylist_wait)
    # No reply, or one that SMTP does not know here.
    problem = problem or Problem.BAD_REPLY
    if phase is Phase.END:
        return Ambiguous(f"smtp_{problem}_after_data")
    return _outcome(PROBLEM_RULES[problem], f"smtp_{problem}", greylist_wait)


def _outcome(verdict: Verdict, code: str, greylist_wait: timedelta) -> Outcome:
    match verdict:
        case Verdict.RETRY:
            return TryLater(code)
        case Verdict.RETRY_GREYLISTED:
            return TryLater(code, not_before=greylist_wait)
        case Verdict.REJECT:
            return Rejected(code)
        case Verdict.GONE:
            return Rejected(code, target_gone=True)
        case Verdict.MISCONFIGURED:
            return Misconfigured(code)
