"""What joins add to a listing of sockets, and the selections that only they make possible."""

from __future__ import annotations

from ..batch import Constant
from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from ..batch import Batch, Column
    from .sockets import Listing


class Selection:
    """Sockets of these users, and held by these processes: each empty where it does not matter."""

    __slots__ = ("pids", "processes", "uids")

    def __init__(
        self, pids: Sequence[int] = (), processes: Sequence[str] = (), users: Sequence[str | int] = ()
    ) -> None:
        """``processes`` are patterns of names, ``users`` names or ids. Raises UsageError for an unknown user."""
        self.pids = frozenset(pids)
        self.processes = tuple(processes)
        self.uids = frozenset(map(_user_id, users))

    @property
    def by_owner(self) -> bool:
        """Whether it takes the owners to select."""
        return bool(self.pids or self.processes)


def _user_id(user: str | int) -> int:
    if isinstance(user, int):
        return user
    if user.isascii() and user.isdecimal():
        return int(user)
    from pwd import getpwnam

    try:
        return getpwnam(user).pw_uid
    except (KeyError, ValueError):
        raise UsageError(f"no user {user!r}") from None


def joined(listing: Listing, fields: Collection[str], selection: Selection) -> Iterator[Batch]:
    """The listing's batches with the columns that joins make, as far as ``fields`` asks for them, and the selection."""
    batches = listing.batches()
    if selection.uids:
        uids = selection.uids
        batches = (batch.select([uid in uids for uid in batch.values("uid")]) for batch in batches)
    makers: dict[str, Callable[[Batch], Column]] = {}
    if "user" in fields:
        makers["user"] = _users()
    if makers:
        batches = (batch.joined(makers) for batch in batches)
    return batches


def _users() -> Callable[[Batch], Column]:
    from ..joins.names import UserNames

    names = UserNames()

    def make(batch: Batch) -> Column:
        uids = batch.column("uid")
        return Constant(names[uids.value]) if isinstance(uids, Constant) else list(map(names.__getitem__, uids))

    return make
