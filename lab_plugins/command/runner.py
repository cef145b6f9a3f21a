"""Running one command, and ending every command when the engine gives up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any

from lab_plugins.common.failures import OperationError

_SHELL = ("/bin/sh", "-c")
_LOGGED = {"stdout": ("stdout",), "stderr": ("stderr",), "none": (), "stdoutAndStderr": ("stdout", "stderr")}


@dataclass(frozen=True)
class Output:
    """What a command wrote, without the last line break of each.

    Attributes:
        stdout: its standard output.
        stderr: its standard error.
    """

    stdout: str
    stderr: str


class Runner:
    """Runs commands, each as the head of a process group of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._cancelled = False

    def run(
        self,
        command: str,
        inputs: Mapping[str, Any],
        previous: Output,
        show: Callable[[str], None],
        timeout: float = 0,
    ) -> Output:
        """Run a command to its end.

        Args:
            command: the text for the interpreter, or the last argument of the given one.
            inputs: `interpreter`, `dir`, `environment`, `stdin`, `logging`, `addPreviousOutputInEnv`, all
                optional.
            previous: the output of the last run, for PULUMI_COMMAND_STDOUT and PULUMI_COMMAND_STDERR.
            show: called with each line that is to be logged.
            timeout: seconds after which it is killed; 0 for none.

        Raises:
            OperationError: it could not be started, failed, or was killed; the text holds what it wrote.
        """
        argv = [*(inputs.get("interpreter") or _SHELL), command]
        process = self._start(argv, command, inputs, _environment(inputs, previous))
        written: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        together = bytearray()
        logged = _LOGGED[inputs.get("logging") or "stdoutAndStderr"]
        readers = [
            threading.Thread(
                target=_collect,
                args=(stream, written[name], together, show if name in logged else None),
                daemon=True,
            )
            for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
        ]
        for reader in readers:
            reader.start()
        alarm = threading.Timer(timeout, _kill, args=(process,)) if timeout else None
        if alarm:
            alarm.start()
        try:
            _feed(process, inputs.get("stdin"))
            code = process.wait()
            for reader in readers:
                reader.join()  # a child that lives on keeps the output open, and is waited for
        finally:
            if alarm:
                alarm.cancel()
            with self._lock:
                self._running.discard(process)
        if code != 0:
            how = f"exit status {code}" if code > 0 else f"signal: {signal.Signals(-code).name}"
            raise OperationError(f"{how}: running {_quoted(command)}:\n{_text(together)}")
        return Output(*(_text(written[name]).removesuffix("\n") for name in ("stdout", "stderr")))

    def cancel(self) -> None:
        """Kill every running command with its children, and start no other."""
        with self._lock:
            self._cancelled = True
            running = list(self._running)
        for process in running:
            _kill(process)

    def _start(
        self, argv: list[str], command: str, inputs: Mapping[str, Any], environment: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._cancelled:
                raise OperationError(f"cancelled: running {_quoted(command)}")
            try:
                process = subprocess.Popen(
                    argv,
                    cwd=inputs.get("dir"),
                    env=environment,
                    stdin=subprocess.PIPE if inputs.get("stdin") else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise OperationError(f"{error}: running {_quoted(command)}:\n") from None
            self._running.add(process)
        return process


def _environment(inputs: Mapping[str, Any], previous: Output) -> dict[str, str]:
    environment = {**os.environ, **(inputs.get("environment") or {})}
    if inputs.get("addPreviousOutputInEnv") is not False:
        if previous.stdout:
            environment["PULUMI_COMMAND_STDOUT"] = previous.stdout
        if previous.stderr:
            environment["PULUMI_COMMAND_STDERR"] = previous.stderr
    return environment


def _feed(process: subprocess.Popen[bytes], text: str | None) -> None:
    if process.stdin is None or text is None:
        return
    try:
        process.stdin.write(text.encode())
        process.stdin.close()
    except BrokenPipeError:
        return  # a command need not read all of its input


def _collect(
    stream: IO[bytes], own: bytearray, together: bytearray, show: Callable[[str], None] | None
) -> None:
    for line in stream:
        own += line
        together += line
        if show is not None:
            show(_text(line).removesuffix("\n"))


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it has ended by itself


def _quoted(command: str) -> str:
    return json.dumps(command, ensure_ascii=False)


def _text(data: bytes | bytearray) -> str:
    return data.decode(errors="replace")
