"""What the parts of the strict response have in common: the request, the backend, and moto's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ec2_sandbox.errors import ApiError

if TYPE_CHECKING:
    from ec2_sandbox.corrections.backend import StrictBackend


class ResponsePart:
    """One noun's calls; :class:`.response.StrictResponse` puts all parts before moto's response.

    What is under TYPE_CHECKING is declared only: made here, it would hide moto's.
    """

    params: dict[str, Any]
    flat: Mapping[str, str]
    region: str
    current_account: str
    ec2_backend: StrictBackend

    def _needed(self, name: str) -> str:
        """Return a parameter's value.

        :raises ApiError: ``MissingParameter``
        """
        value = self.params.get(name)
        if not value:
            raise ApiError("MissingParameter", f"The request must contain the parameter {name}")
        return str(value)

    if TYPE_CHECKING:

        def error_on_dryrun(self) -> None: ...

        def _filters_from_querystring(self) -> dict[str, list[str]]: ...

        def _parse_tag_specification(
            self, expected_type: str | None = None
        ) -> dict[str, dict[str, str]]: ...

        def describe_instance_status(self) -> Any: ...

        def get_console_output(self) -> Any: ...

        def modify_instance_attribute(self) -> Any: ...

        def run_instances(self) -> Any: ...
