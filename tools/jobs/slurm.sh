#!/bin/sh
# Runs one batch as a Slurm job array, and the merge after it: `sh tools/jobs/slurm.sh`. Start it in the folder that contains the
# folder photos. All nodes must see this folder, the program and the weights: Slurm passes on PATH and OCCLUDE_WEIGHTS.
#
# Edit: OCCLUDE_SHARDS, the number of tasks; photographs and options; the time of a task.
# If tasks were killed or timed out, run it again, also with another number: it skips finished photographs.
# A task also fails if some of its photographs failed; its log lists them with the reasons. The merge runs after the last task, and
# is refused if a task did not finish. Each submission has logs of its own.
#
# If Slurm answers "Requested node configuration is not available", no node is as large as a task: `sinfo -o '%n %c %m'` shows
# processors and memory in MB. A task takes 120 MB, and for photographs of 24 megapixels up to 500 MB, of 100 megapixels 2 GB.

export OCCLUDE_SHARDS=10

job=$(sbatch --parsable --export=ALL --array="0-$((OCCLUDE_SHARDS - 1))" <<'END'
#!/bin/sh
#SBATCH --job-name=occlude
#SBATCH --cpus-per-task=4
#SBATCH --mem=1G
#SBATCH --time=04:00:00
#SBATCH --output=occlude-%A_%a.log
exec occlude batch photos --out maps --classes top3 --shard auto --threads "${SLURM_CPUS_PER_TASK:-1}"
END
) || exit

echo "occlude batch: job $job"
sbatch --export=ALL --dependency="afterany:${job%%;*}" --job-name=occlude-merge --output=occlude-%j-merge.log \
    --wrap 'exec occlude merge maps'
