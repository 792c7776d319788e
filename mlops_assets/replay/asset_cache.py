"""What the event log last said about each asset, so that it is not asked again.

Each step asks for the records and data versions of all its inputs, and each check for its
asset's. The cache is told of every event that is stored, and forgets everything when the
file is changed in another way; telling it belongs in ``event_log``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import dagster as dg
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.base import AssetRecord
from dagster_shared.record import replace

#: Asset, kind of event, keys of the tags.
_Asked: TypeAlias = tuple[dg.AssetKey, dg.DagsterEventType, tuple[str, ...]]


class AssetCache:
    """Answers about assets, kept right as events are stored.

    Attributes
    ----------
    records
        Record of each asset that was asked for.
    tags
        Tags of the latest event of each partition, by what was asked.
    partitions
        Materialised partitions of each asset that was asked for.
    """

    def __init__(self) -> None:
        self.records: dict[dg.AssetKey, AssetRecord] = {}
        self.tags: dict[_Asked, dict[str, Mapping[str, str]]] = {}
        self.partitions: dict[dg.AssetKey, set[str]] = {}

    def clear(self) -> None:
        """Forget everything."""
        self.records.clear()
        self.tags.clear()
        self.partitions.clear()

    def stored(self, entry: EventLogEntry, event_id: int, tags: Mapping[str, str]) -> None:
        """Take in an event about an asset, which is the newest.

        Parameters
        ----------
        event_id
            Its number in the index.
        tags
            Those of its tags that are stored with it.
        """
        event = entry.get_dagster_event()
        key = event.asset_key
        assert key is not None
        if event.is_step_materialization:
            record = dg.EventLogRecord(storage_id=event_id, event_log_entry=entry)
            self._update(key, last_materialization_record=record, last_run_id=entry.run_id)
            if event.partition is not None and key in self.partitions:
                self.partitions[key].add(event.partition)
        elif event.is_asset_materialization_planned:
            self._update(key, last_run_id=entry.run_id)
        if event.partition is not None:
            for (asset, kind, names), latest in list(self.tags.items()):
                if asset == key and kind == event.event_type:
                    # An event without the tags takes the place of one that had them.
                    latest.pop(event.partition, None)
                    found = {name: tags[name] for name in names if name in tags}
                    if found:
                        latest[event.partition] = found

    def known_tags(
        self,
        asset: dg.AssetKey,
        kind: dg.DagsterEventType,
        names: Sequence[str],
        partitions: Sequence[str] | None,
    ) -> dict[str, dict[str, str]] | None:
        """Tags of the latest event of each of the partitions; ``None`` where not known."""
        latest = self.tags.get((asset, kind, tuple(names)))
        if latest is None:
            return None
        return {
            partition: dict(latest[partition])
            for partition in (latest if partitions is None else dict.fromkeys(partitions))
            if partition in latest
        }

    def _update(self, key: dg.AssetKey, **fields: object) -> None:
        record = self.records.get(key)
        if record is not None:
            entry = replace(record.asset_entry, **fields)
            self.records[key] = replace(record, asset_entry=entry)
