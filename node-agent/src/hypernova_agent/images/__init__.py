"""Images: fetched by URL, checked before the host sees a byte, kept in the host's pool for all who need them."""
