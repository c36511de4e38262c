#!/bin/sh
# One batch as several processes of one machine, by GNU parallel: `sh tools/jobs/parallel.sh`, in the folder that holds the
# photographs' folder. A single `occlude batch` uses all cores, too; shards are for when it does not keep them busy, as
# with very large photographs, or for several machines (parallel's --sshlogin, on a file system that all of them see).
#
# Edit: SHARDS, the number of processes; --threads, cores for each of them; photographs and options.
# After an interruption run it again: pictures that are finished are skipped.
# The merge runs even when some pictures failed, which the summary says; not when a shard did not come to its end.

SHARDS=4

seq 0 $((SHARDS - 1)) | parallel --jobs "$SHARDS" --line-buffer \
    occlude batch photos --out maps --classes top3 --shard "{}/$SHARDS" --threads 1

occlude merge maps
