"""Pages of docs/ whose tables are made from the code, so that they cannot say anything else."""
