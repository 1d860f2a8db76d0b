"""The console proxy: consoles of guests behind the API server, and in the browser."""
