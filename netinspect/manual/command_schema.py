"""``netinspect schema``: the JSON schema of a command's output."""

from __future__ import annotations

from ..engine.command import Command
from ..engine.help import unknown
from ..errors import ExitStatus, UsageError

RECORDS = {
    "sockets": "Socket",
    "top": "SocketRates",
    "routes": "Route",
    "routes-summary": "RouteCount",
    "rules": "Rule",
    "neighbour-tables": "NeighbourTable",
    "neighbours": "Neighbour",
    "addresses": "Address",
    "links": "Link",
    "summary": "SocketCount",
    "conntrack": "Flow",
    "conntrack-count": "ConntrackCount",
    "conntrack-stats": "ConntrackStatistic",
    "conntrack-top": "FlowGroup",
    "conntrack-expectations": "Expectation",
    "conntrack-events": "FlowEvent",
    "conntrack-monitor": "FlowRates",
    "nat": "Translation",
    "nat-hosts": "InsideHost",
    "nat-outside": "OutsideAddress",
    "nat-diagnose": "Finding",
    "path": "PathStep",
    "path-events": "PathEvent",
    "groups": "Membership",
    "groups-watch": "GroupEvent",
    "groups-routes": "MulticastRoute",
    "groups-interfaces": "MulticastInterface",
    "groups-bridge": "BridgeGroup",
    "drops": "Drop",
    "drops-count": "DropCount",
    "drops-account": "DropCounter",
    "wait": "ConditionResult",
    "assert": "ConditionResult",
    "diff": "Difference",
    "stats": "Statistic",
    "stats-health": "HealthCheck",
    "stats-explain": "CounterMeaning",
    "capabilities": "Capability",
    "explain": "Explanation",
}
"""Output and the record in netinspect.records that each of its objects is."""


class Schema(Command):
    """One command line of ``netinspect schema``."""

    name = "schema"
    operands = "NAME"
    summary = f"Prints the JSON schema of a command's JSON output. NAME is one of: {', '.join(RECORDS)}."
    notes = (
        "With `--format ndjson` each line is one item of the array that the schema describes; the other formats have "
        "the same fields."
    )

    def check(self) -> None:
        """Raises UsageError for what is no output."""
        if len(self.words) != 1:
            raise UsageError(f"schema takes one name: {', '.join(RECORDS)}")
        if self.words[0] not in RECORDS:
            raise unknown("schema", self.words[0], RECORDS)

    def run(self) -> int:
        """Prints it."""
        import json

        from .. import records
        from ..engine.json_schema import array_schema

        document = json.dumps(array_schema(getattr(records, RECORDS[self.words[0]])), indent=2)
        self.environment.write(f"{document}\n".encode())
        return ExitStatus.OK


COMMAND = Schema
