"""InstanceActions, beside what nodes do about them: who may run, what a snapshot leaves, how long they stay."""
