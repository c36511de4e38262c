#!/bin/sh
# Runs one batch as a Slurm job array: `sbatch tools/jobs/slurm.sh`. Submit it in the folder that contains the folder photos.
#
# Edit: SHARDS, and --array to match it (0 to SHARDS - 1); photographs and options below; time, processors and memory.
# If a task was killed or timed out, submit this task alone: `sbatch --array=3 tools/jobs/slurm.sh`. It skips finished
# photographs. SLURM_ARRAY_TASK_COUNT would be 1 in such a job, so SHARDS does not use it.
# A task also fails if some of its photographs failed; its standard error lists them with the reasons.

#SBATCH --job-name=occlude
#SBATCH --array=0-9
#SBATCH --cpus-per-task=4
#SBATCH --mem=2G
#SBATCH --time=04:00:00
#SBATCH --output=occlude-%a.log

SHARDS=10

occlude batch photos --out maps --classes top3 \
    --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" --threads "${SLURM_CPUS_PER_TASK:-1}"

# After all tasks, run once:
#   occlude merge maps
