"""Environment variables of the machine where Pants runs.

Pants' own rule gives those of the worker, or of the container, where processes run: with
`remote_execution` and no environments it runs `env` on a worker. Registries, credentials, KOCACHE
and git are here.
"""

from __future__ import annotations

from pants.engine.env_vars import CompleteEnvironmentVars, EnvironmentVarsRequest
from pants.engine.internals.session import SessionValues
from pants.engine.rules import rule

from ko_pants.products import ClientVariables


@rule
async def client_variables(
    request: EnvironmentVarsRequest, session: SessionValues
) -> ClientVariables:
    """The variables of this run."""
    known: CompleteEnvironmentVars = session[CompleteEnvironmentVars]
    return ClientVariables(known.get_subset(tuple(request.requested)))
