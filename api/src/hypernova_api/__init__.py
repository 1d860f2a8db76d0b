"""The kinds of compute.hypernova.dev as pydantic models, and the CRD generator."""
