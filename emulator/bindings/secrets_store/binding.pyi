class SecretsStoreSecret:
    """A secret of the Secrets Store."""

    async def get(self) -> str:
        """The value of the secret. Raises JsException if it does not exist."""
