#!/bin/bash
# Kills a Slurm node under scripts/translate.sbatch and checks that every record comes out once, with equal bytes.
#
#   apt-get install -y --no-install-recommends slurm-wlm munge
#   cargo build && scripts/test_slurm.sh [target/debug/tarjim]
#
# One host plays controller and two nodes. It needs root, uses loopback ports 17317 to 17320 and ends its own daemons;
# about a minute. A wrapper around `tarjim` counts its starts, so that the kill is known to have cost work.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
tarjim=$(realpath "${1:-target/debug/tarjim}")
folder=$(mktemp -d /tmp/tarjim-slurm-XXXX)
export SLURM_CONF=$folder/slurm.conf TARJIM=$folder/slow-tarjim TARJIM_REAL=$tarjim
host=$(hostname -s)
shards=6 records=1200

stop_daemons() {
    timeout 5 scancel --quiet --user="$(id -un)" 2>/dev/null && sleep 1 || true
    for file in "$folder"/*.pid; do
        [ -e "$file" ] && kill "$(cat "$file")" 2>/dev/null || true
    done
}
trap stop_daemons EXIT

mkdir -p "$folder"/{state,spool.n1,spool.n2,in,logs}
cat >"$SLURM_CONF" <<END
ClusterName=tarjim
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=17317
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmdSpoolDir=$folder/spool.%n
StateSaveLocation=$folder/state
SlurmctldLogFile=$folder/logs/slurmctld
SlurmdLogFile=$folder/logs/slurmd.%n
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmUser=root
SlurmdTimeout=10
JobRequeue=1
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=17318 CPUs=1 RealMemory=2000
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=17319 CPUs=1 RealMemory=2000
PartitionName=all Nodes=n1,n2 Default=YES State=UP
END

# Articles of our own words; a shard of them keeps the tiny model busy for a second or two.
for ((i = 0; i < records; i++)); do
    printf '{"id":%d,"text":"أعلن الوزير أمس خطة جديدة رقم %d لدعم التعليم. وقال إن العمل يبدأ قريبا."}\n' $i $i
done >"$folder/in/news.jsonl"
size=$(stat -c %s "$folder/in/news.jsonl")
export INPUT=$folder/in OUTPUT=$folder/out
export OPTIONS="--model $root/tests/data/tiny-marian --shard-bytes $((size / shards + 1))"

cat >"$TARJIM" <<'END'
#!/bin/bash
# Counts starts by shard; holds each first start long enough to be killed in.
echo "$SLURM_ARRAY_TASK_ID" >>"$(dirname "$0")/starts"
[ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] || sleep 3
exec "$TARJIM_REAL" "$@"
END
chmod +x "$TARJIM"

# shellcheck disable=SC2086
"$tarjim" batch --input "$INPUT" --output "$folder/undisturbed" $OPTIONS
slurmctld -i
slurmd -N n1
slurmd -N n2

submit() {
    sbatch --parsable --mem=100 --array=0-$((shards - 1)) --output="$folder/logs/task-%a" scripts/translate.sbatch
}
wait_for_end() {
    for ((i = 0; i < 1200; i++)); do
        [ -z "$(squeue --noheader --job "$1" 2>/dev/null)" ] && return
        sleep 0.1
    done
    echo "job $1 does not end; see $folder" >&2
    exit 1
}

job=$(submit)
until [ "$(squeue --noheader --states=RUNNING --nodelist=n1 --job "$job" | wc -l)" -gt 0 ]; do sleep 0.1; done
sleep 1
task=$(squeue --noheader --states=RUNNING --nodelist=n1 --job "$job" --format=%i)
began=$SECONDS

# The node dies: its daemon, the step daemons and all that runs below them.
victims=$(cat "$folder/slurmd.n1.pid")
for process in /proc/[0-9]*; do
    environment=$({ tr '\0' '\n' <"$process/environ"; } 2>/dev/null) || continue
    grep -qx "SLURM_CONF=$SLURM_CONF" <<<"$environment" && grep -qx "SLURMD_NODENAME=n1" <<<"$environment" || continue
    parent=$(awk '/^PPid:/ { print $2 }' "$process/status" 2>/dev/null) || continue
    victims+=" ${process#/proc/}"
    grep -aq "^slurmstepd" "/proc/$parent/cmdline" && victims+=" $parent"
done
# shellcheck disable=SC2086
kill -9 $victims 2>/dev/null || true
rm -f "$folder/slurmd.n1.pid"
echo "killed node n1 under task $task"

# By itself Slurm notices after SlurmdTimeout and holds the task for two minutes; an operator is quicker.
scontrol update nodename=n1 state=down reason=killed
slurmd -N n1
# (a node that has registered already needs no word)
scontrol update nodename=n1 state=resume 2>/dev/null || true
for ((i = 0; i < 100; i++)); do
    squeue --noheader --job "$task" --format=%T | grep -q PENDING && break
    sleep 0.1
done
scontrol update jobid="$task" StartTime=now
wait_for_end "$job"
echo "done $((SECONDS - began)) s after the kill"

starts=$(wc -l <"$folder/starts")
[ "$starts" -gt "$shards" ] || { echo "the kill cost no work: nothing was tested" >&2; exit 1; }
grep -q "restart 1" "$folder"/logs/task-* || { echo "no task was restarted" >&2; exit 1; }
diff -r --exclude=shard.json --exclude=job.json "$folder/undisturbed" "$OUTPUT" || { echo "outputs differ" >&2; exit 1; }
ids=$(cat "$OUTPUT"/shard-*/part.jsonl | grep -o '"id":[0-9]*' | sort -u | wc -l)
lines=$(cat "$OUTPUT"/shard-*/part.jsonl | wc -l)
[ "$ids" -eq $records ] && [ "$lines" -eq $records ] || { echo "$ids ids in $lines lines, not $records" >&2; exit 1; }
echo "$lines records, each once, bytes equal to the undisturbed run; $starts starts for $shards tasks"

# The same line again has nothing to do.
before=$(find "$OUTPUT" -name part.jsonl -newer "$folder/starts" | wc -l)
wait_for_end "$(submit)"
after=$(find "$OUTPUT" -name part.jsonl -newer "$folder/starts" | wc -l)
[ "$after" -le "$before" ] || { echo "a finished shard was written again" >&2; exit 1; }
echo "submitted again: every shard was skipped"
stop_daemons
trap - EXIT
rm -rf "$folder"
