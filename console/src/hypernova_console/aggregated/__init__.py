"""The API group subresources.compute.hypernova.dev, served to the API server, which serves it to users."""
