"""Processes of the suite's command line, with stubs in the place of measuring."""

import os
import subprocess
import sys
from pathlib import Path

HELPERS = Path(__file__).parents[1]


class Processes:
    """Processes of the suite's command line, ended with the test."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder, self._environ = folder, environ
        self._begun: list[subprocess.Popen] = []

    def start(self, *words: str, folder: Path | None = None, **environ: str) -> subprocess.Popen:
        known = {"PYTHONPATH": str(HELPERS), "TMPDIR": str(self.folder)}
        process = subprocess.Popen(
            [sys.executable, "-m", "helpers.sweep_worker", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | known | self._environ | environ,
            cwd=folder or self.folder,
        )
        self._begun.append(process)
        return process

    def scheduler(self, port: int = 0, *words: str) -> tuple[subprocess.Popen, str]:
        process = self.start("scheduler", "--port", str(port), *words)
        return process, until(process.stdout, "Listening on ").split()[-1]

    def worker(self, address: str, name: str, *words: str, **environ: str) -> subprocess.Popen:
        process = self.start("worker", address, "--name", name, *words, **environ)
        until(process.stderr, "joined ")
        return process

    def end(self) -> None:
        for process in self._begun:
            process.kill()
        for process in self._begun:
            process.communicate()


def until(stream, words: str) -> str:
    """Return the first line that begins so."""
    lines = []
    for line in stream:
        lines.append(line)
        if line.startswith(words):
            return line
    raise AssertionError(f"ended without '{words}': {''.join(lines)}")
