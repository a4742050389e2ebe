"""Say clearly that an environment variable of huggingface_hub or of its HTTP client is wrong.

Both read their variables when first imported or used, and let Python's own errors out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from lorascope.core.errors import LorascopeError, ModelReferenceError

_VARIABLES = (
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_HUB_ETAG_TIMEOUT",
    "HF_HUB_DOWNLOAD_TIMEOUT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


@contextmanager
def clear_settings_errors(shown: str) -> Iterator[None]:
    """Turn what a wrong setting raises into one message.

    Args:
        shown: What is fetched meanwhile, as messages call it.

    Raises:
        ModelReferenceError: A setting cannot be read.
    """
    try:
        yield
    except LorascopeError:
        raise
    except (ValueError, ImportError) as error:  # UnicodeError is a ValueError
        raise _wrong_setting(shown, error) from error
    except Exception as error:
        # The HTTP client's error for an address; the client changes its name between releases.
        if type(error).__name__ != "InvalidURL":
            raise
        raise _wrong_setting(shown, error) from error


def without_token(text: str) -> str:
    """Leave out an error's text if it quotes the header that holds the token."""
    return "a header with the token was refused" if "Bearer" in text else text


def _wrong_setting(shown: str, error: Exception) -> ModelReferenceError:
    stated = [name for name in _VARIABLES if name in os.environ]
    hint = f"Mend or unset {' or '.join(stated)}." if stated else "Check the installation."
    reason = without_token((str(error).strip().splitlines() or [type(error).__name__])[0])
    return ModelReferenceError(
        f"{shown} cannot be fetched: huggingface_hub cannot work with its settings ({reason}).",
        hint,
    )
