"""What R2 refuses, in its own words and with its codes."""

from __future__ import annotations

from typing import Final, NamedTuple


class Refusal(NamedTuple):
    """A kind of error: an HTTP status, a code and a sentence."""

    status: int
    code: int
    message: str


INTERNAL: Final = Refusal(500, 10001, "We encountered an internal error. Please try again.")
NO_SUCH_BUCKET: Final = Refusal(404, 10006, "The specified bucket does not exist.")
NO_SUCH_KEY: Final = Refusal(404, 10007, "The specified key does not exist.")
WRONG_CUSTOMER_KEY: Final = Refusal(403, 10003, "Access Denied.")
BUCKET_NOT_EMPTY: Final = Refusal(409, 10008, "The bucket you tried to delete is not empty.")
BUCKET_EXISTS: Final = Refusal(409, 10004, "The bucket you tried to create already exists, and you own it.")
INVALID_BUCKET_NAME: Final = Refusal(400, 10005, "The specified bucket name is not valid.")
PART_TOO_SMALL: Final = Refusal(400, 10011, "Your proposed upload is smaller than the minimum allowed object size.")
METADATA_TOO_LARGE: Final = Refusal(400, 10012, "Your metadata headers exceed the maximum allowed metadata size.")
INVALID_KEY: Final = Refusal(400, 10020, "The specified object name is not valid.")
INVALID_LIMIT: Final = Refusal(400, 10022, "MaxKeys params must be positive integer <= 1000.")
NO_SUCH_UPLOAD: Final = Refusal(400, 10024, "The specified multipart upload does not exist.")
INVALID_PART: Final = Refusal(400, 10025, "One or more of the specified parts could not be found.")
INVALID_ARGUMENT: Final = Refusal(400, 10029, "The request is not valid.")
CUSTOMER_KEY_NEEDED: Final = Refusal(
    400,
    10029,
    "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve "
    "the object.",
)
CUSTOMER_KEY_NOT_NEEDED: Final = Refusal(400, 10029, "The encryption parameters are not applicable to this object.")
CUSTOMER_KEY_OF_UPLOAD: Final = Refusal(
    400, 10029, "The provided encryption parameters did not match the ones used originally."
)
PRECONDITION_FAILED: Final = Refusal(412, 10031, "At least one of the pre-conditions you specified did not hold.")
BAD_DIGEST: Final = Refusal(400, 10037, "The checksum you specified did not match what we received.")
INVALID_RANGE: Final = Refusal(416, 10039, "The requested range is not satisfiable")
BAD_UPLOAD: Final = Refusal(500, 10048, "There was a problem with the multipart upload.")
INVALID_STORAGE_CLASS: Final = Refusal(400, 10062, "The storage class you specified is not valid.")
TOO_LARGE: Final = Refusal(400, 100100, "Your proposed upload exceeds the maximum allowed object size.")


class R2Error(Exception):
    """R2 refuses something. `message` has no code."""

    def __init__(self, refusal: Refusal, message: str = "") -> None:
        self.status = refusal.status
        self.code = refusal.code
        self.message = message or refusal.message
        super().__init__(f"{self.message} ({self.code})")
