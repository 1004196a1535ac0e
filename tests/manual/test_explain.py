"""``netinspect explain``: that everything shown is explained, is found by every name, and is true on this kernel."""

import ast
import json
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from throwaway import Namespace

from netinspect import records
from netinspect.engine.json_schema import array_schema
from netinspect.environment import Environment
from netinspect.errors import ExitStatus, UsageError
from netinspect.main import COMMANDS, command_of, run
from netinspect.manual import command_schema
from netinspect.manual.explanations import explanations, lookup
from netinspect.nouns.sockets.decode_common import STATES, UNCONNECTED_STATES
from netinspect.records import Explanation, PathStep, Process, Socket

NAMES = [explanation.name for explanation in explanations()]


class Outcome:
    """What a run of the command printed, and its exit status."""

    def __init__(self, *arguments: str, columns: int = 80) -> None:
        output: list[bytes] = []
        errors: list[bytes] = []
        self.status = run(["explain", *arguments], Environment(output.append, errors.append, False, columns))
        self.output = b"".join(output).decode()
        self.errors = b"".join(errors).decode()


def fields(record: Any, prefix: str = "") -> Iterator[str]:
    """The names of a record's fields and of those inside them."""

    def inside(hint: Any) -> Iterator[Any]:
        if hasattr(hint, "_fields"):
            yield hint
        for argument in get_args(hint):
            yield from inside(argument)

    for name, hint in get_type_hints(record).items():
        yield prefix + name
        for inner in inside(hint):
            if not (name in ("peers", "behind") and inner is Process):  # explained once, as processes
                yield from fields(inner, f"{prefix}{name}.")


@pytest.mark.parametrize("name", list(fields(Socket)))
def test_every_field_is_explained(name: str) -> None:
    assert name in NAMES


@pytest.mark.parametrize(
    "state", sorted({state for state in (*STATES, *UNCONNECTED_STATES) if not state.startswith("UNKNOWN_")})
)
def test_every_state_that_can_be_shown_is_explained(state: str) -> None:
    assert state in [explanation.name for explanation in lookup(state)]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("ESTAB", "ESTABLISHED"),
        ("SYN-SENT", "SYN_SENT"),
        ("syn-recv", "SYN_RECV"),
        ("FIN-WAIT-1", "FIN_WAIT1"),
        ("fin_wait2", "FIN_WAIT2"),
        ("Fin-Wait-2", "FIN_WAIT2"),
        ("TIME-WAIT", "TIME_WAIT"),
        ("TCP_CLOSE_WAIT", "CLOSE_WAIT"),
        ("closed", "CLOSE"),
        ("UNCONN", "UNCONNECTED"),
        ("LISTENING", "LISTENING"),
        ("Proto", "protocol"),
        ("Recv-Q", "recv_queue"),
        ("Send-Q", "send_queue"),
        ("Local Address", "local_address"),
        ("Foreign Address", "remote_address"),
        ("State", "state"),
        ("User", "user"),
        ("Inode", "inode"),
        ("I-Node", "inode"),
        ("PID/Program name", "processes"),
        ("Timer", "timer"),
        ("RefCnt", "RefCnt"),
        ("Flags", "Flags"),
        ("ACC", "Flags"),
        ("Type", "type"),
        ("Path", "Path"),
        ("cwnd", "tcp_info.congestion_window"),
        ("rto", "tcp_info.retransmission_timeout"),
        ("skmem", "memory"),
    ],
)
def test_names_are_found_as_netstat_and_ss_write_them(written: str, name: str) -> None:
    assert name in [explanation.name for explanation in lookup(written)]


@given(st.sampled_from(explanations()), st.sampled_from([str.lower, str.upper, str.title]))
def test_every_name_and_alias_is_found_in_any_case(explanation: Explanation, case: Callable[[str], str]) -> None:
    for written in (explanation.name, *explanation.aliases):
        assert explanation in lookup(case(written))


def test_a_name_with_two_meanings_gives_both_the_plainer_one_first() -> None:
    assert [explanation.name for explanation in lookup("rtt")] == [
        *("tcp_info.rtt", "tcp_info.congestion_info.rtt"),
        "rtt",  # the metric of a route
    ]


@pytest.mark.parametrize("explanation", explanations(), ids=lambda explanation: explanation.name)
def test_every_explanation_is_whole(explanation: Explanation) -> None:
    texts = (explanation.meaning, explanation.look, explanation.source, explanation.next or "none")
    assert all(text and text == text.strip() and "  " not in text and text.isprintable() for text in texts)
    if explanation.kind == "TCP state":
        assert explanation.next
        assert re.search(r"RFC 9293 section|include/net/tcp_states.h|Linux commit", explanation.source)


@pytest.mark.parametrize("explanation", explanations(), ids=lambda explanation: explanation.name)
def test_names_in_the_texts_are_explained_too(explanation: Explanation) -> None:
    states = re.findall(r"\b(?:SYN|FIN|CLOSE|TIME|LAST|BOUND|NEW)_[A-Z_0-9]+\b", explanation.look + explanation.meaning)
    dotted = re.findall(r"\b(?:tcp_info|memory|timer|processes)\.[a-z_]+", explanation.look)
    assert set(states + dotted) <= set(NAMES)


def test_a_sysctl_that_is_named_exists() -> None:
    texts = " ".join(explanation.look for explanation in explanations())
    names = set(re.findall(r"\bnet\.(?:core|ipv4)\.[a-z_0-9]+", texts))
    assert names
    missing = {name for name in names if not Path("/proc/sys", *name.split(".")).exists()}
    # In a network namespace that is not the first, these are not shown.
    machine = ("net.core.netdev_max_backlog", "net.core.optmem_max", "net.core.rmem_max")
    assert missing <= {"net.ipv4.tcp_max_orphans", "net.ipv4.tcp_mem", *machine}


def test_an_article_has_next_step_advice_and_source() -> None:
    outcome = Outcome("close-wait")
    assert outcome.status == ExitStatus.OK
    lines = outcome.output.splitlines()
    assert lines[0] == "CLOSE_WAIT (TCP state)"
    assert {label for label in ("Who acts next", "Look at", "Source") if f"  {label}: " in outcome.output} == {
        "Who acts next",
        "Look at",
        "Source",
    }
    assert max(map(len, lines)) <= 80


def test_several_names_give_several_articles() -> None:
    assert Outcome("LISTEN", "Recv-Q").output.count("Source: ") == 2


def test_without_a_name_every_name_has_one_line() -> None:
    outcome = Outcome(columns=100)
    first_words = [line.split()[0] for line in outcome.output.splitlines() if line.startswith("  ")]
    assert first_words == [name.split()[0] for name in NAMES]


@pytest.mark.parametrize("columns", [20, 80, 300])
def test_text_fits_the_terminal(columns: int) -> None:
    article = Outcome("close_wait", columns=columns).output
    assert max(map(len, article.splitlines())) <= max(columns, 25)


def test_json_has_the_same_texts() -> None:
    assert json.loads(Outcome("--json").output) == [
        {**explanation._asdict(), "aliases": list(explanation.aliases)} for explanation in explanations()
    ]
    assert json.loads(Outcome("-j", "estab").output)[0]["name"] == "ESTABLISHED"


@pytest.mark.parametrize(
    ("written", "meant"), [("clsoe_wait", "CLOSE_WAIT"), ("recvq", "recv_queue"), ("fin_wait", "FIN_WAIT1")]
)
def test_an_unknown_name_is_a_usage_error_with_names_spelled_alike(written: str, meant: str) -> None:
    outcome = Outcome(written)
    assert outcome.status == ExitStatus.USAGE
    assert outcome.output == ""
    assert outcome.errors.count("\n") == 1
    assert meant in outcome.errors


@given(st.text())
def test_no_text_whatever_breaks_the_lookup_or_reaches_the_terminal_raw(text: str) -> None:
    try:
        assert lookup(text)
    except UsageError:
        outcome = Outcome("--", text)
        assert outcome.status == ExitStatus.USAGE
        assert outcome.errors[:-1].isprintable()


def test_a_fin_that_was_not_read_counts_as_one_byte(namespace: Namespace, need: Callable[[str], None]) -> None:
    need("ss")

    def half_closed() -> tuple[socket.socket, ...]:
        listener = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(listener.getsockname())
        accepted = listener.accept()[0]
        client.shutdown(socket.SHUT_WR)
        accepted.recv(1, socket.MSG_PEEK)  # waits for the FIN and leaves it
        return listener, client, accepted

    opened = namespace.call(half_closed)
    listing = namespace.run("ss", "-Htan", "state", "close-wait").stdout
    for each in opened:
        each.close()
    assert [line.split()[0] for line in listing.splitlines()] == ["1"]


def test_an_unaccepted_unix_connection_is_connecting_with_inode_0(
    namespace: Namespace, need: Callable[[str], None], tmp_path: Path
) -> None:
    need("netstat")
    path = str(tmp_path / "s")

    def connect() -> tuple[socket.socket, ...]:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        return listener, client

    opened = namespace.call(connect)
    listing = [line.split() for line in namespace.run("netstat", "-xa").stdout.splitlines() if line.endswith(path)]
    for each in opened:
        each.close()
    assert sorted((words[-3], words[-2] == "0") for words in listing) == [("CONNECTING", True), ("LISTENING", False)]


def words_of_gateways() -> set[str]:
    """Every title, status bit, kind, event, check, cause and stage that nat, conntrack, diagnose and path write."""
    import ast

    from netinspect.nouns.conntrack import decode_names, decode_statistics
    from netinspect.nouns.nat import command as nat
    from netinspect.nouns.nat import diagnose_paths
    from netinspect.nouns.nat import diagnose_untranslated as untranslated

    words = {*decode_names.STATUS_BITS, "UNREPLIED", "SNAT", "DNAT", *nat._HOSTS.values(), *nat._OUTSIDE.values()}
    words |= {
        name for name, _ in (*decode_statistics.COUNTERS.values(), *decode_statistics.EXPECTATION_COUNTERS.values())
    }
    words |= {"masquerade", "snat", "dnat", "redirect", "both", "error", "warning", "note", "new", "update", "destroy"}
    words |= {"Double-NAT", "Hairpin", "Answers", "Expires", "Zone-Dir", "Reply-Source", "Secctx", "other-source"}
    stages = get_type_hints(PathStep, include_extras=True)["stage"].__metadata__[0]
    words.update(stages.split(", "))
    words |= {*diagnose_paths._CHECKS, *diagnose_paths._CHECKS.values(), *(name for _, name, _ in untranslated._CHECKS)}
    arguments = {"finding": 1, "dropped": 4, "_strange": 2, "passes": 1, "unknowable": 1, "ends": 1}
    for path in sorted(Path(decode_names.__file__).parents[1].glob("*/[dw][ia][al]*.py")):
        if path.parent.name not in ("nat", "path"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                place = arguments.get(name, 99)
                if len(node.args) > place:
                    said = node.args[place]
                    told = [said.body, said.orelse] if isinstance(said, ast.IfExp) else [said]
                    words |= {
                        part.value for part in told if isinstance(part, ast.Constant) and isinstance(part.value, str)
                    }
    return words


def test_every_word_of_nat_conntrack_diagnose_and_path_is_explained() -> None:
    def unknown(word: str) -> bool:
        try:
            return not lookup(word)
        except UsageError:
            return True

    words = words_of_gateways()
    assert {"rp-filter", "no-rule", "ASSURED", "insert_failed", "prerouting", "no-carrier"} <= words
    assert sorted(filter(unknown, words)) == []


def test_every_command_that_an_explanation_names_takes_the_options_given() -> None:
    wrong = []
    for explanation in explanations():
        for name, words in re.findall(
            r"netinspect ([a-z]+)((?: -[-\w]+)*)", f"{explanation.look} {explanation.meaning}"
        ):
            if name not in COMMANDS:
                continue
            options = command_of(name).options()
            known = {option.short for option in options} | {option.long for option in options}
            for word in words.split():
                given = {word[2:]} if word.startswith("--") else set(word[1:]) if word.startswith("-") else set()
                if given - known:
                    wrong.append((explanation.name, f"netinspect {name}{words}"))
    assert wrong == []


@pytest.mark.parametrize(
    "record",
    ["Route", "Rule", "Neighbour", "Address", "Link", "LinkStatistics", "Membership", "Statistic", "GroupRates"],
)
def test_columns_of_every_noun_are_explained_with_the_reason_for_a_dash(record: str) -> None:
    fields = getattr(records, record)
    for name, hint in get_type_hints(fields, include_extras=True).items():
        found = [item for item in lookup(name) if item.meaning == hint.__metadata__[0]]
        assert found, name
        assert (type(None) in get_args(hint.__origin__)) in {item.absent is not None for item in found}, name


def test_a_dash_itself_is_explained() -> None:
    assert [item.name for item in lookup("-")] == ["-"]
    assert lookup("packets")[0].absent == "while accounting is off"
    assert "Shown as -: while accounting is off" in Outcome("packets").output


def _properties(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where each field of a JSON schema is."""
    if isinstance(schema, dict):
        for name, inner in schema.get("properties", {}).items():
            yield (*path, name)
            yield from _properties(inner, (*path, name))
        for key in ("items", "additionalProperties"):
            yield from _properties(schema.get(key), path)
        for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
            yield from _properties(one, path)


def _unexplained(names: Iterable[str]) -> set[str]:
    def known(name: str) -> bool:
        try:
            return bool(lookup(name))
        except UsageError:
            return False

    return {name for name in names if not known(name)}


@pytest.mark.parametrize("output", command_schema.RECORDS)
def test_every_field_of_every_json_output_is_explained_by_its_name_and_by_where_it_is(output: str) -> None:
    paths = set(_properties(array_schema(getattr(records, command_schema.RECORDS[output]))))
    assert paths
    assert _unexplained({path[-1] for path in paths} | {".".join(path) for path in paths}) == set()
    with pytest.raises(UsageError):
        lookup("nosuch.state")


def test_every_heading_of_every_table_is_explained() -> None:
    package = Path(records.__file__).parents[1]
    call = re.compile(r"\b(?:Field|Column)\(\s*\"")
    texts = {path: path.read_text() for path in package.rglob("*.py") if path.parent.name != "netfilter"}
    headings = set()
    for path, text in texts.items():
        # Columns of the live view have their heading second.
        at = int(path.parent.name == "top" and path.stem not in ("command", "rates"))
        for node in ast.walk(ast.parse(text)) if call.search(text) else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Field", "Column"):
                heading = node.args[at] if len(node.args) > at else None
                if isinstance(heading, ast.Constant) and isinstance(heading.value, str):
                    headings.add(heading.value)
    assert {"Namespace", "Rate B/s", "Interface"} <= headings
    assert _unexplained(headings - {""}) == set()


def test_headings_of_the_list_are_english() -> None:
    headings = [line for line in Outcome().output.splitlines() if line.endswith(":") and not line.startswith(" ")]
    wanted = {"TCP states:", "Columns of nat hosts:", "Severities of a finding:", "Causes that path names:"}
    assert wanted <= set(headings)
