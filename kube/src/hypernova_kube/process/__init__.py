"""What every process of ours needs: settings, logs, probes."""
