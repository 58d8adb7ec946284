"""How Node's BullMQ and carequeue do what `flow_operations.py` asks for: their drivers, with the verbs for flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.interop import words
from tests.interop.node_driver import NodeDriver
from tests.interop.our_driver import OurDriver, refusals

from carequeue import ChildState, FlowNode, FlowProducer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.interop.flow_operations import Tree

    from carequeue import Flow

DATA = {"n": 1}


class NodeFlowDriver(NodeDriver):
    async def start(self) -> None:
        await super().start()
        await self.node.make("FlowProducer", "flows", self._options)

    async def stop(self) -> None:
        await self.node.drop("flows")
        await super().stop()

    async def add(self, name: str, data: Any, options: dict[str, Any]) -> Any:
        return await super().add(name, data, self._with_parent(options))

    async def flow(self, tree: Tree) -> Any:
        return _ids(await self.call("flows", "add", self._tree(tree)))

    async def flows(self, trees: Sequence[Tree]) -> Any:
        return [_ids(found) for found in await self.call("flows", "addBulk", [self._tree(tree) for tree in trees])]

    async def get_flow(self, job_id: str, depth: int, most: int) -> Any:
        asked = {"id": job_id, "queueName": self._queue, "depth": depth, "maxChildren": most, **self._options}
        found = await self.call("flows", "getFlow", asked)
        return found and _ids(found)

    async def child_counts(self, job_id: str) -> Any:
        return await self.job(job_id, "getDependenciesCount")

    async def child_values(self, job_id: str) -> Any:
        return self._told(await self.job(job_id, "getChildrenValues"))

    async def ignored_children(self, job_id: str) -> Any:
        return self._told(await self.job(job_id, "getIgnoredChildrenFailures"))

    async def dependencies(self, job_id: str) -> Any:
        found = await self.job(job_id, "getDependencies")
        return {
            "processed": self._told(found["processed"]),
            "pending": sorted(map(_id, found["unprocessed"])),
            "ignored": self._told(found["ignored"]),
            "failed": sorted(map(_id, found["failed"])),
        }

    async def leave_parent(self, job_id: str) -> Any:
        return bool(await self.job(job_id, "removeChildDependency"))

    async def remove_unprocessed(self, job_id: str) -> None:
        await self.job(job_id, "removeUnprocessedChildren")

    async def wait_for_children(self, job_id: str) -> Any:
        return await self.job(job_id, "moveToWaitingChildren", self._tokens[job_id], {})

    def _tree(self, tree: Tree) -> dict[str, Any]:
        job_id, options, children = tree
        return {
            "name": "paint",
            "queueName": self._queue,
            "data": DATA,
            "opts": {"jobId": job_id, **self._with_parent(options)},
            "children": [self._tree(child) for child in children],
        }

    def _with_parent(self, options: dict[str, Any]) -> dict[str, Any]:
        return options | ({"parent": {"id": options["parent"], "queue": self.base}} if "parent" in options else {})

    @staticmethod
    def _told(by_key: dict[str, Any] | None) -> dict[str, Any]:
        return {_id(key): value for key, value in sorted((by_key or {}).items())}


class OurFlowDriver(OurDriver):
    async def start(self) -> None:
        await super().start()
        self._flows = FlowProducer(self._queue.client, prefix=self._prefix)

    async def add(self, name: str, data: Any, options: dict[str, Any]) -> Any:
        with refusals():
            return (await self._queue.add(name, data, **self._words(options))).id

    async def flow(self, tree: Tree) -> Any:
        with refusals():
            return _told_ids(await self._flows.add(self._node(tree)))

    async def flows(self, trees: Sequence[Tree]) -> Any:
        with refusals():
            return [_told_ids(found) for found in await self._flows.add_bulk(self._node(tree) for tree in trees)]

    async def get_flow(self, job_id: str, depth: int, most: int) -> Any:
        found = await self._flows.get(job_id, queue=self._queue.name, depth=depth, max_children=most)
        return found and _told_ids(found)

    async def child_counts(self, job_id: str) -> Any:
        counts = await self._queue.children(job_id).counts()
        return {
            "processed": counts.processed,
            "unprocessed": counts.pending,
            "ignored": counts.ignored,
            "failed": counts.failed,
        }

    async def child_values(self, job_id: str) -> Any:
        return {_id(key): value for key, value in sorted((await self._queue.children(job_id).values()).items())}

    async def ignored_children(self, job_id: str) -> Any:
        return {_id(key): why for key, why in sorted((await self._queue.children(job_id).ignored()).items())}

    async def dependencies(self, job_id: str) -> Any:
        found = [child async for child in self._queue.children(job_id).iterate()]
        ids = {state: sorted(child.id for child in found if child.state == state) for state in ChildState}
        by_id = {child.id: child for child in sorted(found, key=lambda child: child.id)}
        return {
            "processed": {one: by_id[one].value for one in ids[ChildState.PROCESSED]},
            "pending": sorted(ids[ChildState.PENDING] + ids[ChildState.BLOCKING]),
            "ignored": {one: by_id[one].reason for one in ids[ChildState.IGNORED]},
            "failed": ids[ChildState.FAILED],
        }

    async def leave_parent(self, job_id: str) -> Any:
        with refusals():
            return await self._queue.remove_child_dependency(job_id)

    async def remove_unprocessed(self, job_id: str) -> None:
        with refusals():
            await self._queue.children(job_id).remove_unprocessed()

    async def wait_for_children(self, job_id: str) -> Any:
        with refusals():
            return await self._held[job_id].move_to_waiting_children()

    def _node(self, tree: Tree) -> FlowNode:
        job_id, options, children = tree
        below = [self._node(child) for child in children]
        own = self._words({"jobId": job_id, **options})
        return FlowNode("paint", DATA, queue=self._queue.name, children=below, **own)

    def _words(self, options: dict[str, Any]) -> dict[str, Any]:
        return words.options(
            {name: {"id": said, "queue": self.base} if name == "parent" else said for name, said in options.items()}
        )


def _id(key: str) -> str:
    return key.rpartition(":")[2]


def _ids(found: dict[str, Any]) -> Any:
    """A tree of Node's as ids; a job without children is its id. In no order: BullMQ reads children from sets."""
    children = sorted((_ids(child) for child in found.get("children") or []), key=str)
    return [found["job"]["id"], children] if children else found["job"]["id"]


def _told_ids(found: Flow) -> Any:
    children = sorted((_told_ids(child) for child in found.children), key=str)
    return [found.job.id, children] if children else found.job.id
