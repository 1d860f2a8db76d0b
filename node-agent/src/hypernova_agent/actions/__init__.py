"""InstanceActions: what is done to an Instance once, whatever crashes meanwhile, and the record of it."""
