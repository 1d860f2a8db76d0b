"""The thin asyncio layer on the API server that operator and agent share; it knows no kind of ours."""
