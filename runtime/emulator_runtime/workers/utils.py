"""The module `workers.utils` of worker code: what the SDK of production keeps there and has a name for."""

from __future__ import annotations

from http.client import HTTPMessage as HTTPMessageMapping
from typing import Final

from emulator_runtime.errors import JsException, NotEmulated, no_attribute
from emulator_runtime.pyodide.ffi import create_proxy, destroy_proxies, jsnull, to_js
from emulator_runtime.workers.env import patch_env
from emulator_runtime.workers.rpc import import_from_javascript
from emulator_runtime.workers.workflows import NonRetryableError

__all__ = [
    "RESPONSE_ACCEPTED_TYPES",
    "HTTPMessageMapping",
    "JsException",
    "NonRetryableError",
    "create_proxy",
    "destroy_proxies",
    "get_compat_flag",
    "import_from_javascript",
    "import_sdk_javascript_module_async",
    "jsnull",
    "patch_env",
    "to_js",
]

RESPONSE_ACCEPTED_TYPES: Final = {
    "ArrayBuffer",
    "BigInt64Array",
    "BigUint64Array",
    "Blob",
    "DataView",
    "Float16Array",
    "Float32Array",
    "Float64Array",
    "FormData",
    "Int16Array",
    "Int32Array",
    "Int8Array",
    "ReadableStream",
    "Response",
    "TypedArray",
    "URLSearchParams",
    "Uint16Array",
    "Uint32Array",
    "Uint8Array",
    "Uint8ClampedArray",
}
"""The types of `js` that `workers.Response` takes as a body, by their names."""

import_sdk_javascript_module_async = NotEmulated("workers.utils.import_sdk_javascript_module_async")
get_compat_flag = NotEmulated("workers.utils.get_compat_flag")

__getattr__ = no_attribute("workers.utils")
