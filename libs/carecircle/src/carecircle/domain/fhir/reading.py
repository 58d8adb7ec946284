"""MedicationRequests of others, R4 or R5, alone or in a Bundle, as medications and schedules of ours.

Nothing is guessed: what no schedule means exactly is listed with its path and its reason, and stays as text in the
instructions of its medication.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from carecircle.domain.calendar_rule import CalendarRule
from carecircle.domain.errors import Invalid
from carecircle.domain.fhir.dosage import dosages
from carecircle.domain.fhir.own import in_zone, plan_from_text
from carecircle.domain.fhir.terms import OWN_MEDICATION, OWN_SCHEDULE, OWN_ZONE, STATUS_OF_REQUEST, Json, Version
from carecircle.domain.fhir.timing import Place, read_plan
from carecircle.domain.fhir.values import Node, Unclear, concept_text, node, shown
from carecircle.domain.fhir.wording import sentence
from carecircle.domain.schedule import SchedulePlan, ZonePolicy
from carecircle.domain.steps_rule import MAX_STEPS, Step, StepsRule
from carecircle.domain.zones import place_zones

if TYPE_CHECKING:
    from datetime import date

    from carecircle.domain.medication import MedicationStatus

MOST_ENTRIES = 1000
MOST_REQUESTS = 200
MOST_DOSAGES = 60
LONGEST_INSTRUCTIONS = 2000
NO_ORDER = {"draft", "unknown", "entered-in-error"}
INTENTS = (
    "order", "plan", "original-order", "reflex-order", "filler-order", "instance-order", "proposal", "option",
)  # fmt: skip
PLAIN = (
    *("resourceType", "id", "meta", "language", "implicitRules", "text", "contained", "extension", "identifier"),
    *("groupIdentifier", "status", "intent", "subject", "authoredOn", "requester", "recorder", "encounter", "note"),
    *("reported", "reportedBoolean", "doNotPerform", "dosageInstruction", "renderedDosageInstruction"),
    *("medication", "medicationCodeableConcept", "medicationReference", "effectiveDosePeriod"),
)
"""What is read, or says nothing of what is to be taken."""
OF_A_DOSAGE = ("id", "sequence", "text", "timing", "asNeededBoolean", "asNeeded", "doseAndRate", "patientInstruction")
OF_A_REPEAT = ("id", "boundsPeriod", "boundsDuration", "count", "frequency", "period", "periodUnit", "dayOfWeek",
               "timeOfDay", "when", "offset")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A part that no schedule or medication of ours says."""

    path: str
    text: str
    why: str


@dataclass(slots=True)
class ReadMedication:
    name: str
    strength: str | None
    form: str | None
    status: MedicationStatus
    plans: list[tuple[str, SchedulePlan]] = field(default_factory=list[tuple[str, SchedulePlan]])
    """Each with the path it was read from."""
    texts: list[str] = field(default_factory=list[str])

    @property
    def instructions(self) -> str | None:
        joined = "\n".join(dict.fromkeys(self.texts))
        if len(joined) > LONGEST_INSTRUCTIONS:
            joined = joined[: LONGEST_INSTRUCTIONS - 1] + "…"
        return joined or None


@dataclass(slots=True)
class Reading:
    medications: list[ReadMedication] = field(default_factory=list[ReadMedication])
    unmapped: list[Unmapped] = field(default_factory=list[Unmapped])
    notes: set[str] = field(default_factory=set[str])

    def leave(self, path: str, value: Any, why: str, medication: ReadMedication | None = None) -> None:
        text = shown(value)
        self.unmapped.append(Unmapped(path, text, why))
        if medication is not None and text:
            medication.texts.append(text)


def read_requests(resource: Json, *, patient_zone: str | None, today: date) -> Reading:
    """What a MedicationRequest, or each one in a Bundle, means here.

    Raises:
        Invalid: it is neither, or no FHIR; the field is the path.
    """
    root = node(resource, "")
    kind = root.text("resourceType")
    if kind not in {"MedicationRequest", "Bundle"}:
        raise Invalid("Give a MedicationRequest or a Bundle.", field="resourceType")
    entries = [root] if kind == "MedicationRequest" else _entries(root)
    requests = [one for one in entries if one.data.get("resourceType") == "MedicationRequest"]
    if not requests or len(requests) > MOST_REQUESTS:
        raise Invalid(f"Give 1 to {MOST_REQUESTS} MedicationRequests.", field="entry")
    reading = Reading()
    place = Place(patient_zone or _zone(entries), today, reading.notes)
    known: dict[str, ReadMedication] = {}
    for request in requests:
        _Request(request, _named(root, entries), place, reading, known).read()
    others = sorted({str(one.data.get("resourceType"))[:40] for one in entries} - READ_KINDS)
    if others:
        reading.notes.add(f"Not read: {', '.join(others)}.")
    return reading


READ_KINDS = {"MedicationRequest", "Medication", "Patient"}


def _entries(bundle: Node) -> list[Node]:
    entries = bundle.children("entry")
    if len(entries) > MOST_ENTRIES:
        raise Invalid(f"At most {MOST_ENTRIES} entries.", field="entry")
    return [found for entry in entries if (found := entry.child("resource")) is not None]


def _named(root: Node, entries: list[Node]) -> dict[str, Node]:
    """Resources by what may refer to them."""
    named = {f"{one.data.get('resourceType')}/{one.data.get('id')}": one for one in entries}
    if root.data.get("resourceType") == "Bundle":
        for entry in root.children("entry"):
            resource = entry.child("resource")
            if resource is not None and (url := entry.text("fullUrl")) is not None:
                named[url] = resource
    return named


def _zone(entries: list[Node]) -> str | None:
    for one in entries:
        if one.data.get("resourceType") == "Patient":
            zone = _own(one, OWN_ZONE, "valueCode")
            return zone if zone in place_zones() else None
    return None


def _own(one: Node, url: str, member: str) -> str | None:
    for extension in one.children("extension"):
        if extension.text("url") == url and isinstance(value := extension.data.get(member), str):
            return value
    return None


@dataclass(slots=True)
class _Request:
    """Reads one MedicationRequest into `reading`."""

    request: Node
    named: dict[str, Node]
    place: Place
    reading: Reading
    known: dict[str, ReadMedication]

    def read(self) -> None:
        request = self.request
        why = self._refusal()
        if why is not None:
            self.reading.leave(request.path or "resource", request.data.get("dosageInstruction"), why)
            return
        medication = self._medication()
        if medication is None:
            return
        given = request.children("dosageInstruction")
        if len(given) > MOST_DOSAGES:
            raise Invalid(f"At most {MOST_DOSAGES} dosages.", field=request.at("dosageInstruction"))
        for note in request.children("note"):
            medication.texts += filter(None, [note.text("text")])
        for path, value in request.others(*PLAIN):
            self.reading.leave(path, value, "Requests have no such part here.", medication)
        for dosage in given:
            medication.texts += filter(None, [dosage.text("patientInstruction")])
        plan = self._own_plan(given)
        if plan is not None:
            medication.plans.append((request.at("dosageInstruction"), plan))
            return
        self._dosages(given, medication)

    def _refusal(self) -> str | None:
        """Why nothing of it may become a schedule."""
        request = self.request
        status = request.code("status", (*STATUS_OF_REQUEST, *sorted(NO_ORDER)))
        intent = request.code("intent", INTENTS)
        if status is None or intent is None:
            raise Invalid("A MedicationRequest has a status and an intent.", field=request.at("status"))
        if request.flag("doNotPerform"):
            return "It says that the medicine is NOT to be taken (doNotPerform)."
        if request.has("modifierExtension"):
            return "It has a modifierExtension, which may change what all of it means."
        if status in NO_ORDER:
            return f"Its status is {status}: it is nothing to act on."
        return f"It is a {intent}, no order." if intent in {"proposal", "option"} else None

    def _medication(self) -> ReadMedication | None:
        request = self.request
        reference, concept = request.child("medicationReference"), request.child("medicationCodeableConcept")
        if (both := request.child("medication")) is not None:  # R5
            reference, concept = both.child("reference"), both.child("concept")
        target = None if reference is None else reference.text("reference")
        status = STATUS_OF_REQUEST[request.data["status"]]
        if target is not None and (before := self.known.get(target)) is not None and before.status is status:
            return before
        resource = self._resolved(target)
        name, strength, form = None, None, None
        if resource is not None:
            concept = resource.child("code") or concept
            form = resource.child("form") or resource.child("doseForm")
            for path, value in resource.others(
                "resourceType", "id", "meta", "text", "extension", "code", "form", "doseForm"
            ):
                self.reading.leave(path, value, "Medications have no such part here.")
        name = None if concept is None else concept_text(concept)
        name = name or (None if reference is None else reference.text("display"))
        if name is None:
            self.reading.leave(request.at("medication"), request.data, "The medicine has no name.")
            return None
        if concept is not None and concept.has("coding"):
            self.reading.leave(concept.at("coding"), concept.data["coding"], "Codes of medicines are not kept here.")
        if resource is not None:
            name, strength = _apart(resource, name)
        medication = ReadMedication(
            name[:200], strength, None if form is None else (concept_text(form) or "")[:100] or None, status
        )
        if len(name) > 200:
            self.reading.leave(request.at("medication"), name, "The name has more than 200 characters.", medication)
        self.reading.medications.append(medication)
        if target is not None:
            self.known[target] = medication
        return medication

    def _resolved(self, target: str | None) -> Node | None:
        if target is None:
            return None
        for contained in self.request.children("contained"):
            if target == f"#{contained.data.get('id')}":
                return contained
        found = self.named.get(target)
        return found if found is not None and found.data.get("resourceType") == "Medication" else None

    def _own_plan(self, given: list[Node]) -> SchedulePlan | None:
        """What our own extension says, if the dosages still say what they said when it was written."""
        text = _own(self.request, OWN_SCHEDULE, "valueString")
        if text is None:
            return None
        plan, path = plan_from_text(text), self.request.at("extension")
        bare = [{name: value for name, value in one.data.items() if name != "patientInstruction"} for one in given]
        if plan is None or all(dosages(plan, "UTC", version) != bare for version in Version):
            self.reading.leave(
                path, None, "Our own extension does not fit the dosages any more: they are read without it."
            )
            return None
        return in_zone(plan, self.place.zone or "UTC")

    def _dosages(self, given: list[Node], medication: ReadMedication) -> None:
        found: list[tuple[Node, SchedulePlan]] = []
        sequence, end = None, None
        for dosage in given:
            number = dosage.whole("sequence")
            follows = number is not None and sequence is not None and number > sequence and not _starts(dosage)
            try:
                plan = self._dosage(dosage, medication, follows=follows, end=end)
            except Unclear as unclear:
                self.reading.leave(unclear.path, dosage.data, unclear.why, medication)
                sequence, end = number or sequence, None
                continue
            found.append((dosage, plan))
            sequence, end = number or sequence, plan.end_date
        steps = _steps([plan for _, plan in found])
        if steps is not None:
            medication.plans.append((self.request.at("dosageInstruction"), steps))
            texts = (
                {sentence(steps, step) for step in steps.rule.steps}
                if isinstance(steps.rule, StepsRule)
                else set[str]()
            )
        else:
            medication.plans += [(dosage.path, plan) for dosage, plan in found]
            texts = {sentence(plan) for _, plan in found}
        said = [dosage.text("text") for dosage, _ in found]
        medication.texts += [text for text in said if text is not None and text not in texts]

    def _dosage(self, dosage: Node, medication: ReadMedication, *, follows: bool, end: date | None) -> SchedulePlan:
        for part in (dosage, dosage.child("timing"), *dosage.children("doseAndRate")):
            if part is not None and part.has("modifierExtension"):
                raise Unclear(part.at("modifierExtension"), "It may change what all of the dosage means.")
        if follows and end is None:
            raise Unclear(dosage.at("sequence"), "When the dosage before it ends is not said.")
        plan = read_plan(dosage, self.place, end if follows else None)
        known = (*OF_A_DOSAGE, "maxDosePerPeriod") if plan.rule.kind == "as_needed" else OF_A_DOSAGE
        beside = dosage.others(*known)
        if (timing := dosage.child("timing")) is not None:
            text = dosage.data.get("text")
            beside += [one for one in timing.others("id", "repeat", "extension") if shown(one[1]) != text]
            repeat = timing.child("repeat")
            beside += [] if repeat is None else repeat.others(*OF_A_REPEAT)
        for path, value in beside:
            self.reading.leave(path, value, "Schedules have no such part here.", medication)
        return plan


def _starts(dosage: Node) -> bool:
    timing = dosage.child("timing")
    repeat = None if timing is None else timing.child("repeat")
    period = None if repeat is None else repeat.child("boundsPeriod")
    return period is not None and period.has("start")


def _apart(medication: Node, name: str) -> tuple[str, str | None]:
    """Name and strength, if our own extension tells them apart."""
    try:
        own: dict[str, Any] = json.loads(_own(medication, OWN_MEDICATION, "valueString") or "{}")
        parts = own["name"], own["strength"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return name, None
    if all(isinstance(part, str) for part in parts) and " ".join(parts) == name:
        return parts
    return name, None


def _steps(plans: list[SchedulePlan]) -> SchedulePlan | None:
    """Dosages at the same times whose days do not meet are the steps of one schedule."""
    if not 2 <= len(plans) <= MAX_STEPS:
        return None
    rules = [plan.rule for plan in plans if plan.count is None]
    plain = [rule for rule in rules if isinstance(rule, CalendarRule) and rule.every is None and rule.cycle is None]
    if len(plain) != len(plans) or len({(rule.times, rule.when) for rule in plain}) != 1:
        return None
    steps = tuple(
        Step(plan.start_date, plan.end_date, plan.dose, rule.days_of_week)
        for plan, rule in zip(plans, plain, strict=True)
    )
    try:
        rule = StepsRule(plain[0].times, steps, plain[0].when)
        return SchedulePlan(rule, rule.start_date, rule.end_date, None, ZonePolicy.FOLLOW, steps[0].dose)
    except Invalid:  # they share days: each is a schedule of its own
        return None
