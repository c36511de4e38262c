#!/bin/sh
# One batch as a Slurm job array: `sbatch tools/jobs/slurm.sh`, in the folder that holds the photographs' folder.
#
# Edit: SHARDS, and --array to match it (0 to SHARDS - 1); photographs and options below; time, processors and memory.
# A task that was killed or timed out is submitted again by itself, `sbatch --array=3 tools/jobs/slurm.sh`: it skips the
# pictures that are finished. So SHARDS is not taken from SLURM_ARRAY_TASK_COUNT, which would be 1 then.
# A task fails when some of its pictures failed, too; its standard error says which and why.

#SBATCH --job-name=occlude
#SBATCH --array=0-9
#SBATCH --cpus-per-task=4
#SBATCH --mem=2G
#SBATCH --time=04:00:00
#SBATCH --output=occlude-%a.log

SHARDS=10

occlude batch photos --out maps --classes top3 \
    --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" --threads "${SLURM_CPUS_PER_TASK:-1}"

# When all tasks are done, once:
#   occlude merge maps
