"""Backends that do what no backend should: `hostile.zoo:make`, with the trouble as an option. Workers import this module."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from refimpl.backends.reference import factory as reference
from refimpl.errors import Unsupported

TOKEN = os.environ.get("HOSTILE_TOKEN", "31536000")
"""Seconds that children sleep: a number by which they are found."""

CLEAN: dict[str, str] = {"PATH": os.environ.get("PATH", "")}


def sleeper(**options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", TOKEN], **options)


def sleep() -> None:
    time.sleep(float(TOKEN))


def fork(then: Callable[[], object]) -> None:
    if os.fork() == 0:
        then()
        os._exit(0)


def orphan(clean: bool = False) -> None:
    """A child whose parent has ended, in a session of its own."""

    def leave() -> None:
        os.setsid()
        sleeper(env=CLEAN if clean else None, start_new_session=True, close_fds=not clean)

    fork(leave)


def pipes() -> list[int]:
    """The descriptors of the worker's channel, as a backend can find them."""
    descriptors = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith("pipe:") and int(name) > 2:
                descriptors.append(int(name))
    return descriptors


def write(content: bytes) -> None:
    for pipe in pipes():
        with contextlib.suppress(OSError):
            os.write(pipe, content)


def frame(header: bytes, body: bytes = b"") -> bytes:
    return b"refimpl2" + len(header).to_bytes(8, "big") + len(body).to_bytes(8, "big") + header + body


def forged(text: str) -> Callable[[], None]:
    return lambda: write(frame(text.encode()))


def close_all() -> None:
    os.closerange(3, 256)


def stop_supervisor(number: int) -> None:
    os.kill(os.getppid(), number)


def segfault() -> None:
    ctypes.string_at(0)


def exhaust_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
    os.close(os.open(os.devnull, os.O_RDONLY))


def exhaust_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))
    bytearray(1 << 28)


def hidden_exit() -> None:
    threading.Thread(target=lambda: os._exit(0), daemon=True).start()
    time.sleep(1)


def never_ending_thread() -> None:
    threading.Thread(target=sleep).start()


def slow_exit() -> None:
    import atexit

    atexit.register(sleep)


def recursion() -> None:
    recursion()


def fork_storm() -> None:
    for _ in range(30):
        fork(sleep)


def chain() -> None:
    """Each child starts the next and ends."""
    fork(lambda: (os.setsid(), fork(lambda: (os.setsid(), fork(lambda: os.execvp("sleep", ["sleep", TOKEN]))))))


def ignoring(numbers: tuple[int, ...]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
    sleep()


def stopped_child() -> None:
    os.kill(sleeper().pid, signal.SIGSTOP)


STEP: dict[str, Callable[[], Any]] = {
    "segfault": segfault,
    "abort": os.abort,
    "exit-0": lambda: os._exit(0),
    "exit-3": lambda: os._exit(3),
    "sys-exit": lambda: sys.exit(0),
    "exit-in-thread": hidden_exit,
    "raise-KeyboardInterrupt": lambda: (_ for _ in ()).throw(KeyboardInterrupt),
    "raise-SystemExit-text": lambda: sys.exit("no"),
    "raise-GeneratorExit": lambda: (_ for _ in ()).throw(GeneratorExit),
    "raise-escape-codes": lambda: (_ for _ in ()).throw(ValueError("\x1b[2J\x1b]0;title\x07\ud800\x00")),
    "raise-long": lambda: (_ for _ in ()).throw(ValueError("x" * 3_000_000)),
    "raise-Unsupported-late": lambda: (_ for _ in ()).throw(Unsupported("late")),
    "recursion": recursion,
    "kill-self": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop-self": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "terminate-self": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "interrupt-self": lambda: os.kill(os.getpid(), signal.SIGINT),
    "real-time-signal": lambda: os.kill(os.getpid(), signal.SIGRTMIN + 3),
    "kill-supervisor": lambda: stop_supervisor(signal.SIGKILL),
    "terminate-supervisor": lambda: stop_supervisor(signal.SIGTERM),
    "kill-group": lambda: os.killpg(os.getpgid(0), signal.SIGKILL),
    "hang": sleep,
    "hang-without-terminate": lambda: ignoring((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)),
    "busy": lambda: [None for _ in iter(int, 1)],
    "deadlock": lambda: (lock := threading.Lock(), lock.acquire(), lock.acquire()),
    "wait-for-child": lambda: sleeper().wait(),
    "child-then-exit": lambda: (sleeper(), os._exit(0)),
    "session-then-exit": lambda: (sleeper(start_new_session=True), os._exit(0)),
    "session-then-hang": lambda: (sleeper(start_new_session=True), sleep()),
    "orphan-then-exit": lambda: (orphan(), time.sleep(0.3), os._exit(0)),
    "orphan-then-segfault": lambda: (orphan(), time.sleep(0.3), segfault()),
    "clean-orphan-then-exit": lambda: (orphan(True), time.sleep(0.3), os._exit(0)),
    "orphan-with-channel": lambda: (fork(lambda: (os.setsid(), os.execvp("sleep", ["sleep", TOKEN]))), os._exit(0)),
    "inherited-channel": lambda: ([os.set_inheritable(p, True) for p in pipes()], sleeper(close_fds=False), os._exit(0)),
    "inherited-channel-and-hang": lambda: ([os.set_inheritable(p, True) for p in pipes()], sleeper(close_fds=False), sleep()),
    "storm-then-exit": lambda: (fork_storm(), os._exit(0)),
    "chain-then-exit": lambda: (chain(), time.sleep(0.5), os._exit(0)),
    "stopped-child-then-exit": lambda: (stopped_child(), os._exit(0)),
    "kill-supervisor-with-orphan": lambda: (orphan(), time.sleep(0.3), stop_supervisor(signal.SIGKILL), sleep()),
    "garbage": lambda: write(b"\xff" * 64),
    "text": lambda: write(b"hello, runner\n" * 9),
    "zeros": lambda: write(b"\0" * 4096),
    "half-a-message": lambda: (write(b"refimpl2\0\0"), os._exit(0)),
    "half-a-message-and-hang": lambda: (write(b"refimpl2\0\0"), sleep()),
    "huge-header": lambda: write(b"refimpl2" + (1 << 60).to_bytes(8, "big") + bytes(8)),
    "huge-body": lambda: write(b"refimpl2" + (2).to_bytes(8, "big") + (1 << 62).to_bytes(8, "big") + b"[]"),
    "not-json": forged("{"),
    "deep-json": forged("[" * 100_000),
    "long-number": forged(f"[{'9' * 9_999},[]]"),
    "pickle": lambda: write(b"\x80\x04\x95"),
    "unknown-class": forged('[{"Popen":{"args":"x"}},[]]'),
    "other-message": forged('[{"Ready":{"name":"x","version":"1","dialects":{"mapping":[]}}},[]]'),
    "no-outcome": forged('[{"Answer":{"number":1,"outcome":null}},[]]'),
    "array-beyond": forged('[{"array":0},[["float32",[1000000000]]]]'),
    "negative-shape": forged('[{"array":0},[["float32",[-1]]]]'),
    "close-everything": close_all,
    "no-memory": exhaust_memory,
    "empty-the-heap": lambda: [thing.clear() for thing in gc.get_objects() if type(thing) is dict and "refimpl" in str(thing)[:90]],
}
"""Troubles in a step: the case must fail, and all others must still be judged."""

HARMLESS: dict[str, Callable[[], Any]] = {
    "print": lambda: print("x" * 100_000),
    "write-to-stdout": lambda: os.write(1, b"refimpl2" + bytes(99)),
    "read-stdin": lambda: sys.stdin.read(),
    "close-stdout": lambda: sys.stdout.close(),
    "stop-supervisor": lambda: stop_supervisor(signal.SIGSTOP),
    "no-files": exhaust_files,
    "change-directory": lambda: os.chdir("/"),
    "thread": never_ending_thread,
    "slow-exit": slow_exit,
    "child": sleeper,
    "session": lambda: sleeper(start_new_session=True),
    "orphan": orphan,
    "clean-orphan": lambda: orphan(True),
    "storm": fork_storm,
    "returning-fork": os.fork,
    "alarm": lambda: (signal.signal(signal.SIGALRM, signal.SIG_IGN), signal.alarm(1)),
    "ignore-terminate": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "replace-stdout": lambda: setattr(sys, "stdout", None),
    "garbage-collection": lambda: (gc.disable(), gc.collect()),
    "huge-warning": lambda: __import__("warnings").warn("w" * 100_000, stacklevel=1),
}
"""Troubles that leave the numbers right: the verdict does not change, and nothing is left running."""


class Deceiver(dict[str, Any]):
    """A state that differs at each access."""

    def items(self) -> Any:
        return iter(())

    def __iter__(self) -> Any:
        return iter(["nobody"])


def _bad(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    return change


STATE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "None": lambda state: None,
    "empty": lambda state: {},
    "list": lambda state: [state],
    "deceiver": Deceiver,
    "no-param": lambda state: {name: {"exp_avg": arrays["exp_avg"]} for name, arrays in state.items()},
    "objects": lambda state: {name: {key: value.astype(object) for key, value in arrays.items()} for name, arrays in state.items()},
    "strings": lambda state: {name: {key: value.astype(str) for key, value in arrays.items()} for name, arrays in state.items()},
    "nan": lambda state: {name: {key: value * np.float32("nan") for key, value in arrays.items()} for name, arrays in state.items()},
    "transposed": lambda state: {name: {key: value.T for key, value in arrays.items()} for name, arrays in state.items()},
    "wider": lambda state: {name: {key: value.astype(np.float64) for key, value in arrays.items()} for name, arrays in state.items()},
    "huge": lambda state: {name: {"param": np.broadcast_to(np.float32(0), (1 << 20, 1 << 20))} for name in state},
    "escape-codes": lambda state: {"\x1b[2J\ud800": {}, **state},
    "numbers-as-names": lambda state: {5: {}, **state},
}
"""What is returned as a state: the case must fail."""

FACTORY: dict[str, Callable[[], Any]] = {
    "exit": lambda: os._exit(0),
    "segfault": segfault,
    "hang-not": lambda: (_ for _ in ()).throw(ValueError("\x1b[2J")),
    "orphan-then-exit": lambda: (orphan(), time.sleep(0.3), os._exit(1)),
    "garbage": lambda: write(b"\xff" * 64),
    "forged-ready": forged('[{"Ready":{"name":5,"version":[],"dialects":{"mapping":[["no.such",null]]}}},[]]'),
    "forged-failure": forged('[{"Failed":{"exit_code":0,"message":"fine","hint":""}},[]]'),
}
"""Troubles in the factory: exit code 2 or 3."""


class Backend:
    name, version = "hostile", "1"

    def __init__(self, trouble: str) -> None:
        self.dialects = {"torch.SparseAdam": None}
        self.inner = reference()
        self.kind, _, self.trouble = trouble.partition("/")

    def start(self, case: Any) -> Any:
        return Run(self, self.inner.start(case))


class Run:
    def __init__(self, backend: Backend, inner: Any) -> None:
        self.backend, self.inner = backend, inner

    def step(self, step: Any) -> None:
        if self.backend.kind in ("step", "harmless"):
            {**STEP, **HARMLESS}[self.backend.trouble]()
        self.inner.step(step)

    def state(self) -> Any:
        state = self.inner.state()
        return STATE[self.backend.trouble](state) if self.backend.kind == "state" else state


def make(trouble: str) -> Backend:
    if trouble.startswith("factory/"):
        FACTORY[trouble.removeprefix("factory/")]()
    return Backend(trouble)
