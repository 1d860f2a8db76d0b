"""What the API server makes of a JSON merge patch (RFC 7386)."""

from typing import Any


def merged(into: Any, patch: Any) -> Any:
    """The patched value: objects are merged, null takes away, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    before = into if isinstance(into, dict) else {}
    after = before | {key: merged(before.get(key), value) for key, value in patch.items()}
    return {key: value for key, value in after.items() if key not in patch or patch[key] is not None}
