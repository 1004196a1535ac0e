"""``netinspect schema``: the JSON schema of a command's output."""

from __future__ import annotations

from ..engine.options import Command
from ..errors import ExitStatus, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..environment import Environment

RECORDS = {
    "sockets": "Socket",
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
    "groups": "Membership",
    "groups-watch": "GroupEvent",
    "groups-routes": "MulticastRoute",
    "groups-interfaces": "MulticastInterface",
    "groups-bridge": "BridgeGroup",
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

COMMAND = Command(
    "schema",
    "NAME",
    f"Prints the JSON schema of a command's JSON output. NAME is one of: {', '.join(RECORDS)}.",
    (),
    "With `--format ndjson` each line is one item of the array that the schema describes; the other formats have the "
    "same fields.",
)


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises UsageError."""
    found, operands = COMMAND.parse(arguments)
    if found:
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK
    if len(operands) != 1 or operands[0] not in RECORDS:
        raise UsageError(f"schema takes one name: {', '.join(RECORDS)}")
    import json

    from .. import records
    from ..engine.json_schema import array_schema

    document = json.dumps(array_schema(getattr(records, RECORDS[operands[0]])), indent=2)
    environment.write(f"{document}\n".encode())
    return ExitStatus.OK
