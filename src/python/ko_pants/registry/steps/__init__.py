"""The steps that a request goes through. Each passes it on to the next and returns a reply.

    Retrying           again after a failure that may pass
    Redirecting        to where the registry says
    ShowingWarnings    `Warning` headers
    FirstContact       which scheme the registry speaks; one first request while others wait
    Authorizing        the `Authorization` header, and again after a 401
    Exchange           one HTTP exchange over a pooled connection

A token request goes through Retrying, Redirecting and Exchange. `requester.py` puts the steps
together.
"""
