"""Where the tables lie: in one node, or, with `CLUSTER`, replicated on the shards of a cluster.

In a cluster a table `t` is two: `t_local`, replicated within its shard, which takes what is inserted and changed; and
`t`, distributed over all shards, which is read. docs/cluster.md says what of this was run, and where.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .client import DATABASE

# A visitor is a keyed hash that lives one day on one site: by itself it spreads evenly, and keeps a visitor's day
# together. Rows without one go by their batch, or they would all lie on the first shard.
SHARDING_KEY = {
    "events": "if(visitor = 0, cityHash64(batch), visitor)",
    "held": "person",
    "rights_requests": "number",
    "stops": "person",
    "consents": "cityHash64(record)",
    "seals": "cityHash64(host)",
    "days": "run",
    "day_visits": "run",
    "closed": "version",
    "migrations": "version",
}
_TOKENS = 10_000  # inserts that are remembered; a batch is tried again within seconds, and counted first after a crash
_TOKEN_SECONDS = 604_800
_QUORUM_MS = 20_000  # less than the client waits: the server says that a quorum is missing before we give up


@dataclass(frozen=True, slots=True)
class Layout:
    """How statements name the tables. Without a cluster every addition is empty."""

    cluster: str = ""
    encrypted: bool = False  # the embedded engine's disk

    @property
    def on_cluster(self) -> str:
        """What a statement says that changes tables or rows."""
        return f" ON CLUSTER `{self.cluster}`" if self.cluster else ""

    def local(self, table: str) -> str:
        """The table that takes inserts and mutations; a distributed one refuses the latter, and acknowledges the former
        before a shard has them."""
        return f"{table}_local" if self.cluster else table

    def engine(self, table: str, kind: str = "") -> str:
        """`MergeTree`, or a `kind` of it (`Replacing`), for the local table. A macro's braces are the server's."""
        if not self.cluster:
            return f"{kind}MergeTree"
        path = f"/clickhouse/tables/{{shard}}/{DATABASE}/{self.local(table)}"
        return f"Replicated{kind}MergeTree('{path}', '{{replica}}')"

    @property
    def remembers(self) -> str:
        """The table's setting that makes deduplication tokens work."""
        if not self.cluster:
            return f"non_replicated_deduplication_window = {_TOKENS}"
        return (
            f"replicated_deduplication_window = {_TOKENS}, replicated_deduplication_window_seconds = {_TOKEN_SECONDS}"
        )

    @property
    def durable(self) -> str:
        """The table's settings by which an insert is on the disk when it is answered. On an encrypted disk the engine
        mistakes the path of the folder that it should sync: there the forwarder syncs (`Forwarder._insert`)."""
        return "fsync_after_insert = 1" if self.encrypted else "fsync_after_insert = 1, fsync_part_directory = 1"

    def distributed(self, table: str, columns: str) -> str:
        """The statement that makes the table for reading, over all shards. Only with a cluster."""
        return (
            f"CREATE TABLE IF NOT EXISTS {DATABASE}.{table}{self.on_cluster}\n(\n{columns}\n)\n"
            f"ENGINE = Distributed('{self.cluster}', '{DATABASE}', '{self.local(table)}', {SHARDING_KEY[table]})"
        )

    @property
    def mutations(self) -> str:
        """Where to read how far the mutations of the local tables are."""
        return f"clusterAllReplicas('{self.cluster}', system.mutations)" if self.cluster else "system.mutations"

    @property
    def parts(self) -> str:
        """Where to read which parts the local tables have."""
        return f"clusterAllReplicas('{self.cluster}', system.parts)" if self.cluster else "system.parts"

    @property
    def insert_settings(self) -> dict[str, Any]:
        """An insert counts when most replicas of the shard have it. One after the other: only then can a replica tell
        that it lacks something, which counting relies on."""
        if not self.cluster:
            return {}
        return {"insert_quorum": "auto", "insert_quorum_parallel": 0, "insert_quorum_timeout": _QUORUM_MS}

    @property
    def count_settings(self) -> dict[str, Any]:
        """A replica that lags behind refuses to count, or what it does not have yet would be sent twice."""
        return {"select_sequential_consistency": 1} if self.cluster else {}

    @property
    def client_settings(self) -> dict[str, Any]:
        """For every statement. Each host inserts into the shard that it is connected to, so the sharding key says where
        rows should lie, not where they are: no shard may be left out because of it. What is joined is of all shards."""
        return {"optimize_skip_unused_shards": 0, "distributed_product_mode": "global"} if self.cluster else {}


SINGLE = Layout()
