#!/usr/bin/env python3
"""Translates a table of Arabic text on Spark, with one `tarjim` process per partition.

    spark-submit scripts/spark_translate.py --input IN --output OUT --checkpoint CHECKPOINT

IN is a folder of Parquet or JSON files with a text column and an id column; OUT becomes a folder of Parquet files with
the input's columns and

    translation  string   the English, null where there is an error
    error        string   `kind: message`, null where there is none
    record       string   the whole output record as JSON: sentences, spans, word links, scores, flags

The job is a Structured Streaming query with the `availableNow` trigger: it takes what is in IN, commits micro-batch by
micro-batch, and ends. The same command goes on where a killed one stopped, also when the driver died, and later takes
what has been added to IN. `--engine-mode batch` is a plain DataFrame write for small inputs: nothing of it is kept
unless it comes to its end.

Read OUT through Spark: its `_spark_metadata` says which files count. The order of rows is not kept.

Set-up:  pip install 'pyspark==4.3.0' 'pyarrow==26.0.1' 'pandas>=2.2,<3'   (and a Java 17 runtime)
"""

import argparse
import collections
import json
import queue
import subprocess
import sys
import threading

from pyspark.sql import SparkSession
from pyspark.sql.types import StringType, StructField, StructType

ADDED = ("translation", "error", "record")


def translator(command, id_column, text_column):
    """The function that Spark runs on the Arrow batches of one partition."""

    def translate(batches):
        import pyarrow

        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        # A thread feeds the process while this one reads from it: whichever pipe is full, the other goes on.
        fed = queue.Queue()

        def feed():
            try:
                for batch in batches:
                    fed.put(batch)
                    columns = zip(batch.column(id_column).to_pylist(), batch.column(text_column).to_pylist())
                    for identity, text in columns:
                        record = {"id": identity, "text": "" if text is None else text}
                        process.stdin.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
                    process.stdin.flush()
                process.stdin.close()
                fed.put(None)
            except BrokenPipeError:
                fed.put(None)  # the reader sees the process end, and says so
            except BaseException as error:  # noqa: BLE001 - it belongs to the task, not to this thread
                fed.put(error)
                process.kill()

        threading.Thread(target=feed, daemon=True).start()
        try:
            while (batch := fed.get()) is not None:
                if isinstance(batch, BaseException):
                    raise batch
                added = collections.defaultdict(list)
                for identity in batch.column(id_column).to_pylist():
                    line = process.stdout.readline()
                    if not line.endswith("\n"):
                        raise RuntimeError(f"translator died, exit {process.wait()}, at id {identity!r}")
                    record = json.loads(line)
                    if record.get("id") != json.loads(json.dumps(identity, default=str)):
                        raise RuntimeError(f"id {identity!r} went in, {record.get('id')!r} came out")
                    error = record.get("error")
                    added["translation"].append(None if error else record.get("translation"))
                    added["error"].append(f"{error['kind']}: {error['message']}" if error else None)
                    added["record"].append(line.rstrip("\n"))
                columns = [pyarrow.array(added[name], pyarrow.string()) for name in ADDED]
                yield pyarrow.RecordBatch.from_arrays(
                    list(batch.columns) + columns, names=batch.schema.names + list(ADDED)
                )
            # 1: some records carry an error, which the rows say themselves.
            if (code := process.wait()) not in (0, 1):
                raise RuntimeError(f"translator died, exit {code}, after its last record")
        finally:
            process.kill()
            process.wait()

    return translate


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True)
    parser.add_argument("--input-format", choices=["parquet", "json"], default="parquet")
    parser.add_argument("--output", required=True)
    parser.add_argument("--checkpoint", help="folder for the query's state (streaming mode)")
    parser.add_argument("--engine-mode", choices=["streaming", "batch"], default="streaming")
    parser.add_argument("--id-column", default="id")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--files-per-batch", type=int, default=64,
                        help="input files in a micro-batch: at least 3 for each task slot, since a micro-batch ends "
                             "with its slowest task")
    parser.add_argument("--tarjim", default="tarjim", help="the command, as it is called on an executor")
    parser.add_argument("--model", help="model name or folder, as for `tarjim translate --model`")
    parser.add_argument("options", nargs="*", help="more options for `tarjim translate`, after `--`")
    arguments = parser.parse_args()
    if arguments.engine_mode == "streaming" and not arguments.checkpoint:
        parser.error("--checkpoint is needed: it is what a restart goes on from")

    # One thread per process: Spark starts as many as it has task slots.
    command = [arguments.tarjim, "translate", "--input-format", "jsonl", "--output-format", "jsonl", "--threads", "1"]
    if arguments.model:
        command += ["--model", arguments.model]
    command += arguments.options

    spark = SparkSession.builder.appName("tarjim").getOrCreate()
    schema = spark.read.format(arguments.input_format).load(arguments.input).schema
    for column in (arguments.id_column, arguments.text_column):
        if column not in schema.names:
            sys.exit(f"error: {arguments.input} has no column `{column}`, only {', '.join(schema.names)}")
    for column in ADDED:
        if column in schema.names:
            sys.exit(f"error: {arguments.input} has a column `{column}` already")
    wanted = StructType(schema.fields + [StructField(name, StringType()) for name in ADDED])
    translate = translator(command, arguments.id_column, arguments.text_column)

    # No shuffle before the translation: a lost executor then costs its own tasks and nothing else.
    if arguments.engine_mode == "batch":
        rows = spark.read.schema(schema).format(arguments.input_format).load(arguments.input)
        rows.mapInArrow(translate, wanted).write.mode("errorifexists").parquet(arguments.output)
    else:
        rows = (
            spark.readStream.schema(schema)
            .option("maxFilesPerTrigger", arguments.files_per_batch)
            .format(arguments.input_format)
            .load(arguments.input)
        )
        query = (
            rows.mapInArrow(translate, wanted)
            .writeStream.format("parquet")
            .option("path", arguments.output)
            .option("checkpointLocation", arguments.checkpoint)
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()
    spark.stop()


if __name__ == "__main__":
    main()
