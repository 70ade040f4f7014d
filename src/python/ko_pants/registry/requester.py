"""What sends the requests of a run: the steps, put together, and what they share."""

from __future__ import annotations

from ko_pants.registry.api_root import ApiRoot
from ko_pants.registry.authenticator import Authenticator
from ko_pants.registry.bearer_tokens import BearerTokens
from ko_pants.registry.config import RegistryConfig
from ko_pants.registry.connections import Connections
from ko_pants.registry.contacts import Contacts
from ko_pants.registry.credentials import CredentialStore
from ko_pants.registry.locations import Locations
from ko_pants.registry.messages import RegistryMessages, TokenServerMessages
from ko_pants.registry.notices import Notices
from ko_pants.registry.redaction import Redactor
from ko_pants.registry.request import Send
from ko_pants.registry.retry import Attempts, RetryBudget
from ko_pants.registry.steps.authorizing import Authorizing
from ko_pants.registry.steps.exchange import Exchange
from ko_pants.registry.steps.first_contact import FirstContact
from ko_pants.registry.steps.redirecting import (
    FollowOfRegistry,
    KeepingSecrets,
    Redirecting,
)
from ko_pants.registry.steps.retrying import Retrying
from ko_pants.registry.steps.showing_warnings import ShowingWarnings
from ko_pants.registry.token_groups import TokenGroups
from ko_pants.registry.token_servers import TokenServers
from ko_pants.registry.tokens import TokenStore


class Requester:
    """Sends requests for a whole run; `send` is the first of the steps. Thread-safe."""

    def __init__(self, config: RegistryConfig) -> None:
        self.config = config
        self.redact = Redactor()
        self.connections = Connections(config, self.redact)
        self.contacts = Contacts(config.insecure_registries, self.connections.proxy_for)
        self.locations = Locations(config.insecure_registries, self.redact)
        self._follow = FollowOfRegistry(self.locations)
        self.notices = Notices(self.redact)
        self._budget = RetryBudget(config.retry.run_budget)
        credentials = CredentialStore(config.env, self.redact)
        self.messages = RegistryMessages(self.connections, self.contacts, credentials, self.redact)
        #: The repositories that a token is asked for together.
        self.token_groups = TokenGroups()
        servers = TokenServers(
            self._token_steps(), credentials, self.redact, config.insecure_registries, config.clock
        )
        store = TokenStore(config.clock, self.redact.add)
        self.authenticator = Authenticator(
            credentials,
            self.contacts,
            BearerTokens(credentials, store, servers, self.token_groups, config.clock),
        )
        exchange = Exchange(self.connections, self.config, self.redact, self.messages)
        #: Finds the challenge of registries that send it at `/v2/` only.
        self.api_root = self._root(exchange, credentials)
        #: Sends a request about a repository and returns the reply, whatever its status.
        self.send: Send = self._steps(exchange, credentials)

    def attempts(self) -> Attempts:
        """The attempts of a new operation. All operations share the retries of the run."""
        return Attempts(self.config.retry, self._budget, self.config.clock, self.connections.pace)

    def close(self) -> None:
        """Close all idle connections, or leave them to the next run."""
        self.connections.close()

    def _steps(self, exchange: Exchange, credentials: CredentialStore) -> Send:
        authorizing = Authorizing(
            exchange.send, self.authenticator, self.contacts, self.notices, self.api_root
        )
        first_contact = FirstContact(
            exchange.send, authorizing.send, self.contacts, credentials.configured
        )
        warning = ShowingWarnings(first_contact.send, self.notices)
        redirecting = Redirecting(warning.send, self._follow)
        return Retrying(redirecting.send, self.attempts, self.messages).send

    def _root(self, exchange: Exchange, credentials: CredentialStore) -> ApiRoot:
        redirecting = Redirecting(exchange.send, self._follow)
        retrying = Retrying(redirecting.send, self.attempts, self.messages)
        return ApiRoot(retrying.send, self.contacts, credentials.configured)

    def _token_steps(self) -> Send:
        messages = TokenServerMessages()
        exchange = Exchange(self.connections, self.config, self.redact, messages)
        redirecting = Redirecting(exchange.send, KeepingSecrets(self._follow))
        return Retrying(redirecting.send, self.attempts, messages).send
