"""What `make fuzz` does at length, for seconds: the corpus, wrong inputs made of it, and attributes nobody knows.

A fault found by a fuzzer gets a test of its own where the mechanism is, so that it is found again without luck.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from fake_kernel import attribute
from fuzz_inputs import mutated_message, mutated_text, seeds, whole
from fuzz_targets import MESSAGES, TARGETS
from hypothesis import given
from hypothesis import strategies as st

from netinspect.errors import MalformedError, NetinspectError
from netinspect.records import UnknownAttribute

STRANGE = UnknownAttribute(999, 5)
_INPUTS = 120
_SLOWEST = 0.1


@pytest.mark.parametrize("name", MESSAGES)
def test_what_the_kernel_sent_is_read(name: str) -> None:
    known = seeds(name)
    assert known, "record a corpus: python tests/fuzz/record.py"
    read = MESSAGES[name].read
    assert read(b"".join(known))
    assert all(not record.unknown_attributes for single in known for record in read(single) if MESSAGES[name].rows)


@pytest.mark.parametrize("name", [name for name, target in MESSAGES.items() if target.rows])
def test_an_attribute_that_nobody_knows_is_shown_by_every_decoder(name: str) -> None:
    strange = attribute(STRANGE.number, bytes(STRANGE.length))
    shown = [
        record.unknown_attributes for single in seeds(name) for record in MESSAGES[name].read(whole(single + strange))
    ]
    assert shown
    assert set(shown) == {(STRANGE,)}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_short_message_is_malformed_or_passed_over(name: str) -> None:
    for single in seeds(name)[:4]:
        for size in range(16, len(single), 4 if len(single) < 200 else 40):
            try:
                MESSAGES[name].read(whole(single[:size]))
            except MalformedError:
                continue


@pytest.mark.parametrize("name", TARGETS)
def test_wrong_inputs_are_read_or_refused_and_nothing_else(name: str) -> None:
    random, known = Random(name), seeds(name) or [b""]
    make = mutated_message if name in MESSAGES else mutated_text
    read = TARGETS[name].read
    slowest = 0.0

    def took(data: bytes) -> float:
        began = time.process_time()
        try:
            read(data)
        except NetinspectError:
            pass
        except Exception as error:
            raise AssertionError(f"{name}: {data[:300]!r}") from error
        return time.process_time() - began

    for _ in range(_INPUTS // 8 if name == "snapshot" else _INPUTS):
        data = make(random, known)
        seconds = took(data)
        if seconds > _SLOWEST:  # by itself, or for what else this machine does?
            seconds = min(took(data) for _ in range(3))
        slowest = max(slowest, seconds)
    assert slowest < 5 * _SLOWEST  # the machine is busy, and some modules are loaded by the first input


@given(st.sampled_from(list(TARGETS)), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    try:
        TARGETS[name].read(whole(data) if name in MESSAGES else data)
    except NetinspectError:
        pass


def test_the_fuzzer_runs_and_reports_what_it_did(tmp_path: Path) -> None:
    run = Path(__file__).parent / "run.py"
    done = subprocess.run(
        [sys.executable, run, "--plain", "--seconds=0.4", "--seed=1", f"--faults={tmp_path}", "rules", "cgroup"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith(" 0 wrong")
