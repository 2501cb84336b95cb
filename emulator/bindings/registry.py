"""The only list of the binding kinds. To add a kind, add a folder and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emulator.bindings.analytics.kind import ANALYTICS
from emulator.bindings.assets.kind import ASSETS
from emulator.bindings.d1.kind import D1
from emulator.bindings.email.kind import EMAIL
from emulator.bindings.hyperdrive.kind import HYPERDRIVE
from emulator.bindings.kind import BindingKind
from emulator.bindings.kv.kind import KV
from emulator.bindings.not_emulated.kind import NOT_EMULATED
from emulator.bindings.queue.kind import QUEUES
from emulator.bindings.r2.kind import R2
from emulator.bindings.rate_limit.kind import RATE_LIMITS
from emulator.bindings.secrets.kind import SECRETS
from emulator.bindings.secrets_store.kind import SECRETS_STORE
from emulator.bindings.service.kind import SERVICES
from emulator.bindings.vars.kind import VARS
from emulator.bindings.version_metadata.kind import VERSION_METADATA

KINDS: Final[list[BindingKind[Any]]] = [
    VARS,
    SECRETS,
    QUEUES,
    SERVICES,
    KV,
    R2,
    D1,
    ASSETS,
    RATE_LIMITS,
    VERSION_METADATA,
    SECRETS_STORE,
    EMAIL,
    ANALYTICS,
    HYPERDRIVE,
    NOT_EMULATED,
]
"""The kinds, in the order in which they read a configuration. If two bindings have the same name, the later kind's is
used."""

if TYPE_CHECKING:
    from emulator.bindings.analytics.testing import AnalyticsAccess, AsyncAnalyticsAccess
    from emulator.bindings.assets.testing import AssetsAccess, AsyncAssetsAccess
    from emulator.bindings.d1.testing import AsyncD1Access, D1Access
    from emulator.bindings.email.testing import AsyncOutboxAccess, OutboxAccess
    from emulator.bindings.kv.testing import AsyncKvAccess, KvAccess
    from emulator.bindings.queue.testing import AsyncQueueAccess, QueueAccess
    from emulator.bindings.r2.testing import AsyncR2Access, R2Access
    from emulator.bindings.secrets_store.testing import AsyncSecretAccess, SecretAccess

    class AccessorTypes(
        QueueAccess, KvAccess, AssetsAccess, R2Access, D1Access, SecretAccess, OutboxAccess, AnalyticsAccess
    ):
        """The types of what the kinds add to `Emulator`, for type checkers and editors."""

    class AsyncAccessorTypes(
        AsyncQueueAccess,
        AsyncKvAccess,
        AsyncAssetsAccess,
        AsyncR2Access,
        AsyncD1Access,
        AsyncSecretAccess,
        AsyncOutboxAccess,
        AsyncAnalyticsAccess,
    ):
        """The types of what the kinds add to `AsyncEmulator`."""
