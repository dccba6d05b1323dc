"""Drive a sweep over the slots that have joined a scheduler of Dask's.

The driver itself chooses the slot of each configuration and sends it there alone; Dask carries it,
holds the slot's resource, and tells when a machine is lost. Nothing of the sweep's state lies with
the scheduler, so that it may be ended, and the driver as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from secrets import token_hex
from time import monotonic
from typing import Any

from distributed import Client, Future
from distributed.security import Security

from attnbench._version import __version__
from attnbench.errors import UserError
from attnbench.sweeps.course import Course
from attnbench.sweeps.device.process import Answer
from attnbench.sweeps.device.slots import Slot, fits
from attnbench.sweeps.engine import settings, slot
from attnbench.sweeps.folder import Happened
from attnbench.sweeps.plan.configuration import Configuration
from attnbench.text import error_line

LOOK_S = 1.0
"""How often the scheduler is asked who has joined."""

ANSWER_S = 10.0
"""Most time that the scheduler takes to answer."""

Said = Callable[[str], object]


class GoneError(Exception):
    """The scheduler does not answer."""


def connected(address: str, security: Security | None) -> Client:
    """Return a client of the scheduler at that address.

    Raises:
        UserError: there is none, or it does not let this process in.
    """
    settings.quiet()
    try:
        return Client(address, security=security, set_as_default=False, timeout=ANSWER_S)
    except (OSError, ValueError, TypeError) as error:
        why = error_line(error).partition(" after ")[0]
        raise UserError(
            f"cannot reach a scheduler at {address} ({why}); start one with: attnbench scheduler"
        ) from error


def identity(client: Client) -> Mapping[str, Any]:
    """Return what the scheduler knows of itself and of the workers that have joined.

    Raises:
        GoneError: it does not answer.
    """
    if client.scheduler is None:
        raise GoneError
    try:
        known: Mapping[str, Any] = client.sync(
            client.scheduler.identity, n_workers=-1, callback_timeout=ANSWER_S
        )
    except (OSError, TimeoutError, RuntimeError) as error:
        raise GoneError from error
    return known


def joined(known: Mapping[str, Any]) -> list[Slot]:
    """Return the slots that have joined, of any version of the suite."""
    workers: Mapping[str, Any] = known["workers"]
    every = (slot.known(worker, address) for address, worker in workers.items())
    return [one for one in every if one is not None]


def usable(every: list[Slot]) -> list[Slot]:
    """Return the slots with this version of the suite: others write other records."""
    return [one for one in every if one.version == __version__]


def drive(
    course: Course,
    address: str,
    wait_s: float,
    security: Security | None = None,
    say: Said = lambda _: None,
) -> None:
    """Measure all that waits on the slots that have joined, until nothing waits or runs.

    ``wait_s``: how long a configuration waits where no slot fits it, and this for a scheduler that
    is gone.

    Raises:
        UserError: no scheduler, or the sweep's folder cannot be written to.
        KeyboardInterrupt: the user wants no more; what was being measured is ended.
    """
    gone_at: float | None = None
    while course.waiting or course.running:
        try:
            with connected(address, security) as client:
                gone_at = None
                _Driver(course, client, wait_s, say).run()
        except GoneError:
            gone_at = monotonic()
            say(f"the scheduler at {address} is gone; waiting for it to return")
        except UserError:
            if gone_at is None or monotonic() - gone_at > wait_s:
                raise


@dataclass
class _Driver:
    course: Course
    client: Client
    wait_s: float
    say: Said
    inbox: SimpleQueue[tuple[str, Any]] = field(default_factory=SimpleQueue)
    tasks: dict[str, tuple[str, Future[Any]]] = field(default_factory=dict)
    """The attempt and the future of each name that runs."""
    homeless_since: dict[str, float] = field(default_factory=dict)
    told_of: set[str] = field(default_factory=set)

    def run(self) -> None:
        topic = f"attnbench-{token_hex(8)}"
        self.client.subscribe_topic(topic, lambda event: self.inbox.put(("records", event[1])))
        self.began_on = {
            line.name: line.where
            for line in self.course.folder.lines()
            if isinstance(line, Happened) and line.state == "running"
        }
        scheduler = identity(self.client)["id"]
        try:
            while self.course.waiting or self.course.running:
                known = identity(self.client)
                if known["id"] != scheduler:
                    raise GoneError  # another has taken its place, which knows of no task
                every = joined(known)
                self._tell_of_versions(every)
                self.course.slots = tuple(usable(every))
                self._notice_lost()
                self._send(topic)
                self._give_up_homeless(every)
                if self.course.running or self.course.waiting:
                    self._receive()
        except BaseException:
            for _, future in self.tasks.values():
                with suppress(Exception):  # the scheduler may be gone
                    future.cancel(force=True)
            self.course.interrupt()
            raise

    def _tell_of_versions(self, every: list[Slot]) -> None:
        for one in every:
            if one.version != __version__ and one.key not in self.told_of:
                self.told_of.add(one.key)
                self.say(
                    f"{one.shown} is not used: it has attnbench {one.version}, and here is "
                    f"{__version__}"
                )

    def _notice_lost(self) -> None:
        there = {one.address for one in self.course.slots}
        for name, (configuration, one) in list(self.course.running.items()):
            if one.address not in there:
                _, future = self.tasks.pop(name)
                future.cancel(force=True)
                self.course.lose(configuration)

    def _send(self, topic: str) -> None:
        busy = {one.address for _, one in self.course.running.values()}
        free = [one for one in self.course.slots if one.address not in busy]
        for configuration in list(self.course.waiting):
            fitting = [one for one in free if fits(one, configuration.device, configuration.on)]
            if not fitting:
                continue
            # What was begun on a machine goes on there alone.
            began_on = self.began_on.get(configuration.name)
            chosen = next((one for one in fitting if one.shown == began_on), fitting[0])
            free.remove(chosen)
            self._start(configuration, chosen, topic)

    def _start(self, configuration: Configuration, chosen: Slot, topic: str) -> None:
        self.course.start(configuration, chosen)
        self.began_on[configuration.name] = chosen.shown
        attempt = token_hex(8)
        future = self.client.submit(
            slot.measure,
            topic,
            attempt,
            configuration.name,
            configuration.request(chosen.device),
            dict(self.course.sweep.files.contents),
            self.course.folder.records(configuration.name),
            key=f"{configuration.name}-{attempt}",
            workers=[chosen.address],
            allow_other_workers=False,
            resources={slot.RESOURCE: 1},
            retries=0,
            pure=False,
        )
        self.tasks[configuration.name] = (attempt, future)
        ended = (configuration.name, attempt)
        future.add_done_callback(lambda _: self.inbox.put(("ended", ended)))

    def _give_up_homeless(self, every: list[Slot]) -> None:
        for configuration in list(self.course.waiting):
            name = configuration.name
            if any(fits(one, configuration.device, configuration.on) for one in self.course.slots):
                self.homeless_since.pop(name, None)
                continue
            since = self.homeless_since.setdefault(name, monotonic())
            if monotonic() - since >= self.wait_s:
                there = ", ".join(one.shown for one in every) or "none"
                self.course.give_up(
                    configuration,
                    f"no device that is {configuration.wanted} has joined within "
                    f"{self.wait_s:g} s; there is {there}",
                )

    def _receive(self) -> None:
        """Take what has arrived, and wait for it where nothing has."""
        timeout: float | None = LOOK_S
        while True:
            try:
                kind, message = (
                    self.inbox.get(timeout=timeout) if timeout else self.inbox.get(False)
                )
            except Empty:
                return
            timeout = None
            if kind == "records":
                self._put(message)
            else:
                self._end(*message)

    def _put(self, message: Mapping[str, Any]) -> None:
        name = message["name"]
        if self.tasks.get(name, ("",))[0] != message["attempt"]:
            return  # of a machine that was lost meanwhile
        if "data" in message:
            self.course.folder.put(name, message["offset"], message["data"])
        elif what := message.get("waiting"):
            self.say(f"{name} is {what}, on {self.course.running[name][1].shown}")

    def _end(self, name: str, attempt: str) -> None:
        known, future = self.tasks.get(name, ("", None))
        if known != attempt or future is None:
            return
        configuration, _ = self.course.running[name]
        if future.status not in {"finished", "error"}:
            raise GoneError  # which cancels all that it had
        del self.tasks[name]
        if future.status == "finished" and (result := future.result()):
            self.course.folder.put(name, 0, result["records"])
            self.course.end(configuration, Answer(**result["answer"]))
        elif future.status == "error":
            self.course.end(configuration, Answer(error_line(future.exception())))
        else:  # not wanted any more: its worker was leaving
            self.course.lose(configuration)
