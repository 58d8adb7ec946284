"""FlowProducer: adds trees of jobs in which a parent runs when its children are done, and reads them back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, overload
from uuid import uuid4

from carequeue.clock import SystemClock
from carequeue.dead_letters import letters_base
from carequeue.errors import InvalidOption
from carequeue.kind import JobKind, NewJob, check_name
from carequeue.options import UNSAID, JobOptions, JobWords, ParentRef
from carequeue.store.commands import DEFAULT_MAX_EVENTS
from carequeue.store.connected import Connected
from carequeue.store.connection import check_together
from carequeue.store.flows import Flows, NodeRecord, Place
from carequeue.telemetry import Telemetry
from carequeue.wire.codec import Codec, encode_job
from carequeue.wire.keys import QueueKeys, split_job_key
from carequeue.wire.times import from_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from typing import Unpack

    from carequeue.clock import Clock
    from carequeue.job import Job
    from carequeue.store.connection import Connection
    from carequeue.store.reading import Fields
    from carequeue.tracing import Operation

P = TypeVar("P")

AT_ONCE = 1000
"""Jobs that one call adds, unless one flow has more."""
READ_AT_ONCE = 200
"""Jobs, with their children's keys, that one call reads."""


@dataclass(frozen=True, slots=True, init=False)
class FlowNode:
    """A job that is to be added, in its queue, with the children that it waits for.

        FlowNode(REPORT, Report(7), queue="reports", children=[
            FlowNode(PAGE, Page(1), queue="pages", on_failure=OnFailure.FAIL_PARENT),
            FlowNode(PAGE, Page(2), queue="pages", on_failure=OnFailure.FAIL_PARENT)])

    A delay or priority of a parent counts once its children are done. `prefix` is the producer's unless said.
    """

    job: NewJob[Any]
    queue: str
    children: tuple[FlowNode, ...]
    prefix: str | None

    @overload
    def __init__(
        self,
        kind: JobKind[P],
        data: P,
        /,
        *,
        queue: str,
        children: Iterable[FlowNode] = (),
        prefix: str | None = None,
        **options: Unpack[JobWords],
    ) -> None: ...
    @overload
    def __init__(
        self,
        kind: str,
        data: Any = None,
        /,
        *,
        queue: str,
        children: Iterable[FlowNode] = (),
        prefix: str | None = None,
        **options: Unpack[JobWords],
    ) -> None: ...
    def __init__(
        self,
        kind: JobKind[Any] | str,
        data: Any = None,
        /,
        *,
        queue: str,
        children: Iterable[FlowNode] = (),
        prefix: str | None = None,
        **options: Unpack[JobWords],
    ) -> None:
        if isinstance(kind, str):
            check_name(kind)
            job: NewJob[Any] = NewJob(kind, data, JobOptions(**options))
        else:
            job = kind.job(data, **options)
        object.__setattr__(self, "job", job)
        object.__setattr__(self, "queue", queue)
        object.__setattr__(self, "children", tuple(children))
        object.__setattr__(self, "prefix", prefix)

    def __iter__(self) -> Iterator[FlowNode]:
        """This one and everything below, parents before their children."""
        yield self
        for child in self.children:
            yield from child


@dataclass(frozen=True, slots=True)
class Flow:
    """A job with its children, as added or as read."""

    job: Job[Any]
    queue_key: str
    """`prefix:queue` of the job."""
    children: tuple[Flow, ...] = ()

    @property
    def ref(self) -> ParentRef:
        """The job as a parent of further ones."""
        return ParentRef(self.job.id, self.queue_key)

    def __iter__(self) -> Iterator[Flow]:
        """This one and everything below, parents before their children."""
        yield self
        for child in self.children:
            yield from child


class FlowProducer(Connected):
    """Adds flows: `async with FlowProducer("redis://localhost") as flows`.

    `defaults` are job options by the name of a queue. In a Redis Cluster the queues of one flow share a slot: give the
    prefix (`prefix="{care}"`) or the names a common hash tag. Every method raises ConnectionLost as Queue's do.
    """

    def __init__(
        self,
        connection: Connection = "redis://localhost:6379",
        *,
        prefix: str = "bull",
        defaults: Mapping[str, JobOptions] | None = None,
        max_events: int = DEFAULT_MAX_EVENTS,
        telemetry: Telemetry | None = None,
        clock: Clock | None = None,
    ) -> None:
        # in a cluster the node of any queue will do to check the server
        super().__init__(connection, QueueKeys(prefix, "{flows}").base)
        self.telemetry: Telemetry = telemetry or Telemetry()
        self._clock = clock or SystemClock()
        self._prefix = prefix
        self._defaults = defaults or {}
        self._max_events = max_events

    async def add(self, flow: FlowNode) -> Flow:
        """Add a flow in one call: all of it, or nothing if this raises anything but ConnectionLost.

        A job whose id exists already is not added again: it becomes a child of its parent here, which is told at once
        if that job has finished. Without ids a repetition adds the flow twice.

        Raises:
            PayloadError: data does not fit its kind, cannot be JSON, or is larger than its `size_limit`.
            InvalidOption: an option cannot be used in a flow, or the queues of the flow lie in several cluster slots.
            ParentNotFound: the `parent` of the first job does not exist.
            WrongState: a job exists already and belongs to another living parent.
        """
        [added] = await self._add("add_flow", [flow])
        return added

    async def add_bulk(self, flows: Iterable[FlowNode]) -> list[Flow]:
        """Add flows and return them in their order, about a thousand jobs a call. Raises as `add`.

        No flow is split between calls, and the flows of a call are added together or not at all.
        """
        wanted = list(flows)
        return await self._add("add_flows", wanted) if wanted else []

    async def get(
        self, job_id: str, *, queue: str, prefix: str | None = None, depth: int = 10, max_children: int = 20
    ) -> Flow | None:
        """A job with what is below it, `depth` levels in all and up to `max_children` of each; None if there is none.

        One round trip a level.

        Raises:
            InvalidOption: `depth` or `max_children` is less than one.
        """
        if depth < 1 or max_children < 1:
            raise InvalidOption(f"depth and max_children are at least 1, got {depth} and {max_children}")
        root = QueueKeys(prefix or self._prefix, queue)
        found: dict[str, tuple[Fields, list[str]]] = {}
        level = [root.job(job_id)]
        for _ in range(depth):
            for first in range(0, len(level), READ_AT_ONCE):
                asked = level[first : first + READ_AT_ONCE]
                families = await self._flows(root.base).families(asked, max_children)
                found |= dict(zip(asked, families, strict=True))
            level = [child for key in level for child in found[key][1] if child not in found]
        return _read(root.base, job_id, found)

    async def _add(self, operation: Operation, flows: Sequence[FlowNode]) -> list[Flow]:
        names = [node.job.name for flow in flows for node in flow]
        with self.telemetry.adding(operation, flows[0].queue, names) as adding:
            now = self._clock.now_ms()
            trees = [self._planned(flow, from_ms(now), adding.carrier) for flow in flows]
            for call in await self._calls(trees):
                records = [node.record for node in _by_level(call)]
                await self._flows(records[0].base).add(records, now, max_events=self._max_events)
            added = [tree.added() for tree in trees]
            adding.added([each.job for flow in added for each in flow])
        return added

    def _planned(self, root: FlowNode, now: datetime, trace: str) -> _Planned:
        """What to store for a flow.

        Raises:
            InvalidOption: a job is there twice.
        """
        planned = self._plan(root, root.job.options.parent, now, trace, is_root=True)
        keys = [node.key for node in planned]
        if len(set(keys)) < len(keys):
            raise InvalidOption("a flow holds a job only once: two of these have the same queue and id")
        return planned

    def _plan(self, node: FlowNode, parent: ParentRef | None, now: datetime, trace: str, *, is_root: bool) -> _Planned:
        options = node.job.options.over(self._defaults.get(node.queue, UNSAID))
        _check(options, is_root=is_root)
        job_id = options.job_id or str(uuid4())
        base = QueueKeys(node.prefix or self._prefix, node.queue).base
        new = replace(node.job, options=replace(options, parent=parent))
        job = encode_job(new, UNSAID, now, trace)._replace(id=job_id)
        here = ParentRef(job_id, base)
        children = tuple(self._plan(child, here, now, trace, is_root=False) for child in node.children)
        place: Place = ("parent" if children else "") if is_root else ("both" if children else "child")
        letters = letters_base(options.dead_letters, QueueKeys(node.prefix or self._prefix, node.queue))
        return _Planned(node, NodeRecord(base, job, place), children, letters)

    async def _calls(self, trees: Sequence[_Planned]) -> list[list[_Planned]]:
        """The trees that go out together.

        Raises:
            InvalidOption: the server is a cluster and a tree lies in several slots.
            UnsuitableRedis: it is a cluster, and the connection does not say so.
        """
        if not self._checked:
            await self.open()  # half of a flow must not reach a cluster that nobody spoke of
        calls: list[list[_Planned]] = []
        size, place = 0, -1
        for tree in trees:
            if self._source.in_cluster:
                check_together(*(base for node in tree for base in (node.record.base, node.letters)))
            length, here = sum(1 for _ in tree), self._source.place(tree.record.base)
            if not calls or size + length > AT_ONCE or here != place:
                calls.append([])
                size = 0
            calls[-1].append(tree)
            size, place = size + length, here
        return calls

    def _flows(self, base: str) -> Flows:
        prefix, _, queue = base.rpartition(":")
        return Flows(self._client_for(base), QueueKeys(prefix, queue))


@dataclass(frozen=True, slots=True)
class _Planned:
    """A node with what is stored for it."""

    node: FlowNode
    record: NodeRecord
    children: tuple[_Planned, ...]
    letters: str = ""
    """`prefix:queue` of the queue that gets a letter about the job, if it names one."""

    @property
    def key(self) -> str:
        return f"{self.record.base}:{self.record.job.id}"

    def __iter__(self) -> Iterator[_Planned]:
        yield self
        for child in self.children:
            yield from child

    def added(self) -> Flow:
        job = Codec(self.node.queue, self.node.job.payload_type).job(self.record.job.id, self.record.job.fields)
        return Flow(job, self.record.base, tuple(child.added() for child in self.children))


def _check(options: JobOptions, *, is_root: bool) -> None:
    if not is_root and options.parent is not None:
        raise InvalidOption("a child in a flow has the parent above it; only the first job may say another one")
    if options.job_id is not None and ":" in options.job_id:
        raise InvalidOption(f"a job of a flow has an id without ':', got {options.job_id!r}")
    if options.when_exists == "rerun":
        raise InvalidOption("a job of a flow that exists already is not run again: it is tied to its parent as it is")
    if options.deduplication is not None:
        raise InvalidOption("a job of a flow is not deduplicated: one that is kept out would leave its parent waiting")


def _by_level(level: Sequence[_Planned]) -> Iterator[_Planned]:
    """The first jobs, then all their children and so on: the order in which BullMQ lets the jobs wait."""
    while level:
        yield from level
        level = [child for node in level for child in node.children]


def _read(base: str, job_id: str, found: Mapping[str, tuple[Fields, list[str]]]) -> Flow | None:
    fields, child_keys = found.get(f"{base}:{job_id}", ({}, []))
    if not fields:
        return None
    children = (_read(*split_job_key(key), found) for key in child_keys)
    codec: Codec[Any] = Codec(base.rpartition(":")[2])
    return Flow(codec.job(job_id, fields), base, tuple(child for child in children if child is not None))
