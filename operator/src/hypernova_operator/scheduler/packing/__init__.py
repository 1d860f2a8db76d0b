"""Packing: how CPUs, cells and devices are found inside one host. `hypernova_operator.scheduler.fit` is its door."""
