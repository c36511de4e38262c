#!/bin/sh
# Runs one batch as several processes on one machine, with GNU parallel: `sh tools/jobs/parallel.sh`. Start it in the folder
# that contains the folder photos. A single `occlude batch` also uses all cores. Use shards if it does not keep them busy, for
# example with very large photographs, or for several machines (parallel's --sshlogin with --env OCCLUDE_SHARDS, and a shared
# file system).
#
# Edit: OCCLUDE_SHARDS, the number of processes; --threads, the cores for each process; photographs and options.
# After an interruption run it again, also with another number: it skips finished photographs.
# The merge also runs if some photographs failed; the summary lists them. It is refused if a shard did not finish.

export OCCLUDE_SHARDS=4

seq "$OCCLUDE_SHARDS" | parallel -N0 --jobs "$OCCLUDE_SHARDS" --line-buffer \
    occlude batch photos --out maps --classes top3 --shard auto --threads 1

exec occlude merge maps
