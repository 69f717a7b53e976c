#!/usr/bin/env python3
"""Kills what can die under scripts/spark_translate.py and checks that every record comes out once, with equal bytes.

    cargo build && python3 scripts/test_spark.py [--tarjim target/debug/tarjim]

Four runs over the same records, on a local cluster with two executors in JVMs of their own and the tiny test model:
undisturbed; an executor killed with SIGKILL; a translator process killed; the driver and its JVM killed and the job
started again. A wrapper around `tarjim` slows it down and counts records, so that a kill is known to have cost work.
Needs pyspark, pyarrow and Java (the set-up line is in spark_translate.py); takes some three minutes.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid

import pyarrow
import pyarrow.parquet
import pyspark

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORDS, FILES, FILES_PER_BATCH = 320, 16, 4
MARK = "TARJIM_SPARK_TEST"
WRAPPER = """#!/bin/bash
# A record at a time, each counted and delayed.
while IFS= read -r line; do printf . >>"$TARJIM_CALLS"; sleep 0.02; printf '%s\\n' "$line"; done | "$TARJIM_REAL" "$@"
"""
WORDS = "أعلن الوزير أمس خطة جديدة لدعم التعليم في المدن الكبرى وقال إن العمل يبدأ قريبا".split()


class Failure(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failure(message)


def processes(mark):
    """The processes of one run: command lines by id."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            if f"{MARK}={mark}".encode() in environment.split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            pass  # it ended while it was being looked at, or is none of ours
    return found


class Run:
    def __init__(self, folder, name, tarjim):
        self.folder, self.mark = folder / name, uuid.uuid4().hex
        self.folder.mkdir()
        self.calls_file = self.folder / "calls"
        self.calls_file.touch()
        spark_home = pathlib.Path(pyspark.__file__).parent
        settings = {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.executor.memory": "512m",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "16",
            "spark.local.dir": str(self.folder / "spark"),
        }
        arguments = ["--master", "local-cluster[2,1,512]"]
        arguments += [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
        self.environment = os.environ | {
            MARK: self.mark,
            "SPARK_HOME": str(spark_home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_SUBMIT_ARGS": " ".join([*arguments, "pyspark-shell"]),
            "TARJIM_CALLS": str(self.calls_file),
            "TARJIM_REAL": str(tarjim),
        }
        self.command = [
            sys.executable, str(ROOT / "scripts/spark_translate.py"),
            "--input", str(folder / "in"), "--output", str(self.folder / "out"),
            "--checkpoint", str(self.folder / "checkpoint"), "--files-per-batch", str(FILES_PER_BATCH),
            "--tarjim", str(folder / "slow-tarjim"), "--model", str(ROOT / "tests/data/tiny-marian"),
        ]

    def start(self):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(self.command, env=self.environment, stdout=log, stderr=log)

    def calls(self):
        return self.calls_file.stat().st_size

    def wait_for_calls(self, count):
        deadline = time.monotonic() + 180
        while self.calls() < count:
            check(self.process.poll() is None, f"the job ended early, see {self.folder / 'log'}")
            check(time.monotonic() < deadline, f"no progress, see {self.folder / 'log'}")
            time.sleep(0.02)

    def kill(self, *words):
        """Kills the first process whose command line has all the words."""
        for pid, command in processes(self.mark).items():
            if all(word in command for word in words):
                os.kill(pid, signal.SIGKILL)
                return pid
        raise Failure(f"no process to kill with {words}")

    def finish(self):
        code = self.process.wait(timeout=300)
        check(code == 0, f"exit {code}, see {self.folder / 'log'}")

    def wait_until_gone(self):
        deadline = time.monotonic() + 30
        while left := processes(self.mark):
            check(time.monotonic() < deadline, f"processes are left: {left}")
            time.sleep(0.1)

    def rows(self):
        """The committed rows, by id: files count only if Spark's own log names them."""
        paths = set()
        for log in (self.folder / "out/_spark_metadata").glob("[0-9]*"):
            for line in log.read_text().splitlines()[1:]:
                entry = json.loads(line)
                if entry["action"] == "add":
                    paths.add(entry["path"].removeprefix("file://"))
        rows = [row for path in sorted(paths) for row in pyarrow.parquet.ParquetFile(path).read().to_pylist()]
        ids = [row["id"] for row in rows]
        check(len(ids) == len(set(ids)), f"{len(ids) - len(set(ids))} rows are there twice")
        check(set(ids) == set(range(RECORDS)), f"{RECORDS - len(set(ids))} rows are missing")
        return {row["id"]: (row["translation"], row["error"], row["record"], row["note"]) for row in rows}


def kill_executor(run):
    run.wait_for_calls(RECORDS // 4)
    run.kill("CoarseGrainedExecutorBackend")


def kill_translator(run):
    run.wait_for_calls(RECORDS // 4)
    run.kill(run.environment["TARJIM_REAL"], "translate")


def kill_driver(run):
    run.wait_for_calls(RECORDS * 2 // 5)
    run.process.kill()
    run.kill("org.apache.spark.deploy.SparkSubmit")
    run.process.wait()
    began = time.monotonic()
    run.wait_until_gone()
    print(f"  all processes were gone {time.monotonic() - began:.1f} s after the driver")
    run.start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tarjim", type=pathlib.Path, default=ROOT / "target/debug/tarjim")
    parser.add_argument("--kill", nargs="*", choices=["executor", "translator", "driver"],
                        default=["executor", "translator", "driver"], help="what to kill, each in a run of its own")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and outputs")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tarjim-spark-"))
    work = pathlib.Path(pyspark.__file__).parent / "work"
    before = set(work.glob("app-*"))

    (folder / "in").mkdir()
    texts = [" ".join(WORDS[(i * step) % len(WORDS)] for step in range(1, 3 + i % 9)) for i in range(RECORDS)]
    texts[7], texts[8] = "", None
    for file in range(FILES):
        ids = list(range(file * RECORDS // FILES, (file + 1) * RECORDS // FILES))
        table = pyarrow.table({"id": ids, "text": [texts[i] for i in ids], "note": [f"note {i}" for i in ids]})
        pyarrow.parquet.write_table(table, folder / f"in/{file:02}.parquet")
    (folder / "slow-tarjim").write_text(WRAPPER)
    (folder / "slow-tarjim").chmod(0o755)

    wanted = None
    try:
        killers = {"executor": kill_executor, "translator": kill_translator, "driver": kill_driver}
        for name in ["undisturbed", *arguments.kill]:
            disturb = killers.get(name)
            began = time.monotonic()
            run = Run(folder, name, arguments.tarjim.resolve())
            run.start()
            if disturb:
                disturb(run)
            run.finish()
            rows = run.rows()
            if wanted is None:
                wanted = rows
                check(any(row[0] for row in rows.values()), "nothing was translated")
            check(rows == wanted, "bytes differ from the undisturbed run")
            check(not disturb or run.calls() > RECORDS, "the kill cost no work: nothing was tested")
            run.wait_until_gone()
            print(f"{name}: {len(rows)} rows, {run.calls()} records translated, {time.monotonic() - began:.1f} s")
    except Failure as failure:
        sys.exit(f"{name}: {failure}")
    finally:
        for pid in processes(run.mark):
            os.kill(pid, signal.SIGKILL)
        for leftover in set(work.glob("app-*")) - before:
            shutil.rmtree(leftover, ignore_errors=True)
    if not arguments.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
