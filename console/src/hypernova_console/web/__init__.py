"""The door for browsers: the page, and what it asks for with a ticket or the cookie it got for one.

`assets` is what the page is made of, `guard` what each request and answer is held to, `routes` what may be asked,
`server` the listener.
"""
