"""The dump transport, against a fake kernel and the real one."""

from __future__ import annotations

import _socket
import _thread
import errno
import os
import posix
import socket
import struct
from collections.abc import Iterable, Iterator
from time import monotonic

import pytest
from fake_kernel import FakeKernel, From, Received, attribute, done, message, refusal
from hypothesis import given
from hypothesis import strategies as st
from throwaway import Namespace

from netinspect import procfs
from netinspect.engine import answering
from netinspect.engine.netlink import ahead
from netinspect.engine.netlink.messages import Run
from netinspect.engine.netlink.messages import message as request
from netinspect.engine.netlink.timed import TimedDump, times_of
from netinspect.engine.netlink.transport import Dump, connect
from netinspect.errors import NetlinkError
from netinspect.nouns.sockets import decode_unix as unix_diag
from netinspect.uapi.netlink import NETLINK_ROUTE, NETLINK_SOCK_DIAG, NLM_F_DUMP_INTR, NLMSG_NOOP, NLMSG_OVERRUN

PROCESSOR_FREE = ahead.processor_free
"""The function itself."""

SOCK_DIAG_BY_FAMILY = 20
AF_MAX = 46
LARGEST = 1 << 20


@pytest.fixture(autouse=True, scope="module")
def free() -> Iterator[list[bool]]:
    """Whether a processor is free for a reader thread: so, until a test says otherwise."""
    free = [True]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ahead, "processor_free", lambda: free[0])
        yield free


@pytest.fixture(params=[True, False], ids=["free", "busy"])
def either(request: pytest.FixtureRequest, free: list[bool]) -> Iterator[bool]:
    free[0] = request.param
    yield request.param
    free[0] = True


def row(number: int, flags: int = 2) -> bytes:
    return message(SOCK_DIAG_BY_FAMILY, struct.pack("=I", number), flags)


def rows(*numbers: int) -> bytes:
    return b"".join(map(row, numbers))


def numbers(runs: list[Run]) -> list[int]:
    return [number for run in runs for number in run.u32(16)]


def dumped(*received: Received) -> tuple[list[int], Dump, FakeKernel]:
    kernel = FakeKernel(received)
    dump = Dump(kernel, b"request", "listing tests")
    return numbers(list(dump)), dump, kernel


def failure(*received: Received) -> NetlinkError:
    kernel = FakeKernel(received)
    with pytest.raises(NetlinkError) as caught:
        list(Dump(kernel, b"request", "listing tests"))
    assert caught.value.operation == "listing tests"
    assert kernel.closed
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_request_is_sent_unchanged() -> None:
    sent = []

    def kernel(data: bytes) -> list[Received]:
        sent.append(data)
        return [done()]

    assert list(Dump(FakeKernel(kernel), b"the request", "listing")) == []
    assert sent == [b"the request"]


@pytest.mark.parametrize("buffers", [1, 2, 3, 4, 50, 500])
def test_rows_of_any_number_of_buffers_come_in_order(buffers: int, either: bool) -> None:
    received = [rows(2 * number, 2 * number + 1) for number in range(buffers)]
    found, dump, kernel = dumped(*received, done())
    assert found == list(range(2 * buffers))
    assert not dump.interrupted
    assert kernel.closed


def test_the_end_may_stand_in_the_same_buffer_as_rows() -> None:
    assert dumped(rows(1, 2) + done())[0] == [1, 2]


def test_what_follows_the_end_is_not_read() -> None:
    assert dumped(rows(1), done(), rows(2))[0] == [1]


def test_an_acknowledgment_ends_an_answer_too() -> None:
    assert dumped(rows(7), refusal(0))[0] == [7]


def test_messages_that_say_nothing_are_passed_over() -> None:
    assert dumped(message(NLMSG_NOOP, b""), rows(1), message(NLMSG_NOOP, b"") + rows(2), done())[0] == [1, 2]


def test_messages_of_other_processes_are_passed_over() -> None:
    found, _, _ = dumped(From(4711, rows(666)), rows(1), From(1, done()), From(1, refusal(1)), rows(2), done())
    assert found == [1, 2]


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4, 5, 6])
def test_an_interrupted_dump_is_read_completely_and_marked(place: int, either: bool) -> None:
    flags = [2 | NLM_F_DUMP_INTR if number == place else 2 for number in range(7)]
    received = [row(0, flags[0]) + row(1, flags[1]) + row(2, flags[2]), row(3, flags[3]), row(4, flags[4])]
    found, dump, _ = dumped(*received, row(5, flags[5]), done(flags=flags[6]))
    assert sorted(found) == [0, 1, 2, 3, 4, 5]
    assert dump.interrupted


@pytest.mark.parametrize("rows_before", [0, 1, 2, 3, 10])
@pytest.mark.parametrize(
    ("received", "number", "text"),
    [
        (refusal(errno.EPERM), errno.EPERM, "listing tests: Operation not permitted"),
        (refusal(errno.ENOENT), errno.ENOENT, "listing tests: No such file or directory"),
        (refusal(errno.EINVAL, "bad mask", 24), errno.EINVAL, "Invalid argument: bad mask (at byte 24 of the request)"),
        (refusal(errno.EINVAL, "bad mask"), errno.EINVAL, "listing tests: Invalid argument: bad mask"),
        (refusal(errno.EINVAL, offset=16), errno.EINVAL, "listing tests: Invalid argument (at byte 16 of the request)"),
        (done(errno.EMSGSIZE), errno.EMSGSIZE, "listing tests: Message too long"),
        (OSError(errno.ENOBUFS, "full"), errno.ENOBUFS, "listing tests: No buffer space available"),
        (message(NLMSG_OVERRUN, b""), errno.ENOBUFS, "No buffer space available: the kernel dropped messages"),
        (OSError(errno.ENOMEM, "none"), errno.ENOMEM, "listing tests: Cannot allocate memory"),
        (OSError("of no kind"), 0, "listing tests: of no kind"),
        (OSError(), 0, "listing tests: failed"),
        (BlockingIOError(errno.EAGAIN, "later"), 0, "listing tests: no answer in 30 s"),
        (bytes(LARGEST + 1), 0, f"listing tests: an answer of {LARGEST + 1} bytes was truncated"),
        (b"", 0, "listing tests: malformed netlink message: 0 bytes, less than a header"),
        (rows(1)[:-2], 0, "malformed netlink message: a length of 20 with 18 bytes left"),
        (rows(1) + b"\0" * 8, 0, "malformed netlink message: 8 bytes left over, less than a header"),
        (struct.pack("=IHHII", 8, 20, 2, 1, 0), 0, "malformed netlink message: a length of 8 with 16 bytes left"),
        (message(2, b"\1\2"), 0, "malformed netlink message: an error message of 18 bytes"),
        (done(1 << 20), 0, "malformed netlink message: error number 1048576"),
    ],
)
def test_each_fault_is_one_clear_error_wherever_it_comes(
    rows_before: int, received: Received, number: int, text: str, either: bool
) -> None:
    if isinstance(received, BlockingIOError):
        # In the reader thread it means no more than that nothing is at hand.
        error = failure(*(rows(n) for n in range(rows_before)), received, received)
    else:
        error = failure(*(rows(n) for n in range(rows_before)), received, done())
    assert error.errno == number
    assert str(error).endswith(text)


def test_an_echoed_request_does_not_hide_the_kernels_words() -> None:
    asked = request(SOCK_DIAG_BY_FAMILY, 0x300, bytes(range(57)))
    error = failure(refusal(errno.EINVAL, "no such thing", 20, asked))
    assert (error.message, error.offset) == ("no such thing", 20)


def test_garbage_in_the_extended_acknowledgment_does_not_hide_the_error() -> None:
    single = message(2, struct.pack("=i", -errno.EPERM) + bytes(16) + b"\3\0\1\0", flags=0x300)
    assert failure(single).errno == errno.EPERM


def test_a_failing_send_is_an_error_and_closes_the_socket() -> None:
    class Unreachable(FakeKernel):
        def send(self, data: bytes, /) -> int:
            raise OSError(errno.ENOBUFS, "No buffer space available")

    kernel = Unreachable([])
    with pytest.raises(NetlinkError, match=r"^listing tests: No buffer space available$"):
        list(Dump(kernel, b"", "listing tests"))
    assert kernel.closed


def test_a_kernel_that_is_slow_is_waited_for(either: bool) -> None:
    later = BlockingIOError(errno.EAGAIN, "later")
    found, _, kernel = dumped(rows(1), rows(2), rows(3), later, rows(4), rows(5), done())
    assert found == [1, 2, 3, 4, 5]
    # The reader thread never waits. This one did, for what it could not have at once.
    asked = [bool(flags & 0x40) for flags in kernel.flags]
    assert asked == [False, False, either, True, False, True, True, True]


@given(st.lists(st.one_of(st.binary(max_size=60), st.builds(row, st.integers(0, 9)), st.just(done())), max_size=6))
def test_any_bytes_are_runs_or_a_netlink_error_and_nothing_else(datagrams: list[bytes]) -> None:
    kernel = FakeKernel(datagrams)
    try:
        runs = list(Dump(kernel, b"", "listing"))
    except NetlinkError:
        runs = []
    assert all(run.count * run.length == len(run.data) for run in runs)
    assert kernel.closed


def test_what_came_before_a_fault_is_listed(either: bool) -> None:
    """However many buffers are read as one."""
    found: list[int] = []
    dump = Dump(FakeKernel([*map(row, range(9)), refusal(errno.ENOBUFS)]), b"request", "listing tests")
    with pytest.raises(NetlinkError, match="No buffer space"):
        found.extend(number for run in dump for number in run.u32(16))
    assert found == list(range(9))


def test_where_no_processor_is_free_buffers_are_read_as_one(free: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 128 KiB, after the first two, and with a look for a free processor from time to time."""
    looked = iter([False, False, True])
    monkeypatch.setattr(ahead, "processor_free", lambda: next(looked))
    buffers = [rows(*range(n, n + 1000)) for n in range(0, 60_000, 1000)]
    runs = list(Dump(FakeKernel([*buffers, done()]), b"request", "listing tests"))
    assert numbers(runs) == list(range(60_000))
    assert [run.count for run in runs] == [1000] * 2 + [7000] * 8 + [1000] * 2
    # What is hardly looked at comes as it is received, and nothing is asked.
    few = Dump(FakeKernel([*buffers, done()]), b"request", "listing tests", wanted=lambda run: run.u32(16)[0] > 50_000)
    assert [run.count for run in few] == [1000] * 9


@pytest.mark.parametrize(
    ("running", "processors", "usable", "free"),
    [(1, 2, 2, True), (2, 2, 2, False), (9, 16, 2, True), (1, 2, 1, False), (None, 2, 2, True)],
)
def test_a_processor_is_free_where_fewer_tasks_want_to_run(
    running: int | None, processors: int, usable: int, free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (procfs.tasks_running() or 0) >= 1
    monkeypatch.setattr(procfs, "tasks_running", lambda: running)
    monkeypatch.setattr(posix, "cpu_count", lambda: processors)
    monkeypatch.setattr(posix, "sched_getaffinity", lambda _: set(range(usable)))
    assert PROCESSOR_FREE() == free


# --- the reader thread -----------------------------------------------------------------------------------------------


def many() -> Iterator[bytes]:
    for number in range(1000):
        yield rows(number)


def test_no_thread_is_started_for_a_small_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "start_new_thread", lambda *_: pytest.fail("a thread was started"))
    assert dumped(rows(1, 2), done())[0] == [1, 2]
    assert dumped(rows(1, 2), rows(3) + done())[0] == [1, 2, 3]


def test_a_large_dump_does_without_a_thread_where_none_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(answering, "start_new_thread", refuse)
    assert dumped(*many(), done())[0] == list(range(1000))


def test_a_thread_without_memory_to_begin_with_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "start_new_thread", lambda call, arguments: _thread.start_new_thread(int, ()))
    kernel = FakeKernel(many())
    with pytest.raises(MemoryError):
        list(Dump(kernel, b"", "listing"))
    assert kernel.closed
    with pytest.raises(MemoryError):
        answering.answered(int, "7")


@pytest.mark.parametrize("taken", [1, 2, 3, 4, 100, 999])
def test_a_dump_that_is_given_up_leaves_no_thread_and_no_socket(taken: int) -> None:
    before = _thread._count()
    kernel = FakeKernel(many())
    iteration = iter(Dump(kernel, b"", "listing"))
    for _ in range(taken):
        next(iteration)
    assert not kernel.closed
    iteration.close()  # type: ignore[attr-defined]
    assert kernel.closed
    assert _thread._count() == before


def test_a_user_that_fails_leaves_no_thread_and_no_socket() -> None:
    before = _thread._count()
    kernel = FakeKernel(many())

    def use() -> None:
        for number, _ in enumerate(Dump(kernel, b"", "listing")):
            if number == 40:
                raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        use()
    assert kernel.closed
    assert _thread._count() == before


def test_the_reader_thread_does_not_run_far_ahead() -> None:
    kernel = FakeKernel(many())
    iteration = iter(Dump(kernel, b"", "listing"))
    for _ in range(10):
        next(iteration)
    # However long this takes, no more than the queue's length is received meanwhile.
    while len(kernel.flags) < 10 + ahead._QUEUE_LENGTH:
        pass
    for _ in range(1000):
        assert len(kernel.flags) <= 10 + ahead._QUEUE_LENGTH + 1
    iteration.close()  # type: ignore[attr-defined]


def test_what_fails_in_the_reader_thread_is_raised_here() -> None:
    class Exhausted(FakeKernel):
        def recvfrom(self, size: int, flags: int, /) -> tuple[bytes, tuple[int, int]]:
            if len(self.flags) == 5:
                raise MemoryError
            return super().recvfrom(size, flags)

    before = _thread._count()
    with pytest.raises(MemoryError):
        list(Dump(Exhausted(many()), b"", "listing"))
    assert _thread._count() == before


# --- the real kernel -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "number"),
    [(socket.AF_UNSPEC, errno.ENOENT), (3, errno.ENOENT), (AF_MAX, errno.EINVAL), (255, errno.EINVAL)],
)
def test_a_family_without_sock_diag_is_not_found(namespace: Namespace, family: int, number: int) -> None:
    asked = request(SOCK_DIAG_BY_FAMILY, 0x300, struct.pack("=BB54x", family, 0))
    dump = Dump(namespace.call(lambda: connect(NETLINK_SOCK_DIAG)), asked, "listing sockets")
    with pytest.raises(NetlinkError) as caught:
        list(dump)
    assert caught.value.errno == number


def test_a_request_that_is_too_short_is_invalid(namespace: Namespace) -> None:
    asked = request(SOCK_DIAG_BY_FAMILY, 0x300, struct.pack("=BB", socket.AF_INET, 6))
    with pytest.raises(NetlinkError, match=r"^listing sockets: Invalid argument"):
        list(Dump(namespace.call(lambda: connect(NETLINK_SOCK_DIAG)), asked, "listing sockets"))


def test_the_kernels_own_words_are_in_the_error(namespace: Namespace) -> None:
    # RTM_GETLINK of an interface that does not exist, by a name: rtnetlink reports what it misses.
    asked = request(18, 0x4, struct.pack("=BxHiII", 0, 0, 0, 1, 0))
    with pytest.raises(NetlinkError) as caught:
        list(Dump(namespace.call(lambda: connect(NETLINK_ROUTE)), asked, "naming an interface"))
    assert caught.value.errno == errno.EINVAL
    assert caught.value.message == "Invalid values in header for get link request"


def test_a_large_dump_of_the_real_kernel_is_whole_and_leaves_nothing(namespace: Namespace) -> None:
    held: list[socket.socket] = []
    try:
        for _ in range(400):
            held.extend(namespace.call(socket.socketpair))
        asked = unix_diag.request(0xFFFFFFFF, memory=True)

        def dump() -> Dump:
            return Dump(namespace.call(lambda: connect(NETLINK_SOCK_DIAG)), asked, "listing unix sockets")

        inodes = {os.fstat(opened.fileno()).st_ino for opened in held}
        threads, descriptors = _thread._count(), len(os.listdir("/proc/self/fd"))
        found = [record.inode for run in dump() for batch in unix_diag.decode(run, {}) for record in batch]
        assert sorted(found) == sorted(inodes)
        for taken in (1, 2, 3):
            iteration = iter(dump())
            for _ in range(taken):
                next(iteration)
            iteration.close()  # type: ignore[attr-defined]
        assert _thread._count() == threads
        assert len(os.listdir("/proc/self/fd")) == descriptors
    finally:
        for opened in held:
            opened.close()


def test_the_real_kernel_marks_an_interrupted_dump(namespace: Namespace) -> None:
    def add(numbers: range) -> None:
        # RTM_NEWADDR, in one go: struct ifaddrmsg and IFA_LOCAL.
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE) as opened:
            header = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, socket.if_nametoindex("lo"))
            addresses = (struct.pack("!I", 0x7F010000 + number) for number in numbers)
            opened.send(b"".join(request(20, 0x400, header + attribute(2, address)) for address in addresses))

    def dump() -> Dump:
        asked = request(22, 0x300, struct.pack("=B7x", socket.AF_INET))
        return Dump(namespace.call(lambda: connect(NETLINK_ROUTE)), asked, "listing addresses")

    def count(runs: Iterable[Run]) -> int:
        return sum(run.count for run in runs)

    namespace.call(lambda: add(range(1000)))
    undisturbed = dump()
    assert count(undisturbed) == 1001
    assert not undisturbed.interrupted
    disturbed = dump()
    iteration = iter(disturbed)
    first = next(iteration).count
    namespace.call(lambda: add(range(1000, 1001)))
    assert first + count(iteration) >= 1001
    assert disturbed.interrupted


def test_a_protocol_that_netlink_lacks_is_one_clear_error(namespace: Namespace) -> None:
    with pytest.raises(NetlinkError, match=r"^opening a netlink socket: Protocol not supported$"):
        namespace.call(lambda: connect(31))


def test_no_descriptor_left_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(_socket, "socket", refuse)
    with pytest.raises(NetlinkError, match=r"^opening a netlink socket: Too many open files$"):
        connect(NETLINK_SOCK_DIAG)


def test_a_timed_dump_knows_when_the_kernel_made_each_message() -> None:
    """However late it is looked at, and with whichever others it is put together."""
    asked: list[float] = []

    def answers() -> Iterator[bytes]:
        for number in range(8):
            asked.append(monotonic())
            yield rows(number) if number % 2 else message(SOCK_DIAG_BY_FAMILY, struct.pack("=II", number, 0), 2)
        asked.append(monotonic())
        yield done()

    began = monotonic()
    dump = TimedDump(FakeKernel(answers()), b"request", "listing tests")
    parts = [part for run in dump for _, part in run.by_value(16)]
    parts = [single for part in parts for single in part.singles()]
    times = {part.u32(16)[0]: at for part in parts for at in times_of(part) or ()}
    # The kernel makes a buffer while the one before is received, and the first while it is asked.
    before, after = [0.0, began, *asked], [began, *asked]
    assert sorted(times) == list(range(8))
    assert times[0] >= began
    for number in range(8):
        assert before[number] <= times[number] <= after[number + (number == 0)]
    assert not any(times_of(run) for run in Dump(FakeKernel([rows(1), done()]), b"request", "listing tests"))
