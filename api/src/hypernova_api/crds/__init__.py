"""From the kinds' pages to CustomResourceDefinitions: `python -m hypernova_api.crds DIR`."""
