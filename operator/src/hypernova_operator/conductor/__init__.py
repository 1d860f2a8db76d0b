"""The conductor: hands node agents what their own Instances need, so that no agent has rights to Secrets."""
