"""Encryption by default: the key, which moto does not tell."""

from __future__ import annotations

from typing import Any

from ec2_sandbox.corrections.answer import Answer


class EncryptionCalls:
    """Of the response: GetEbsDefaultKmsKeyId."""

    ec2_backend: Any

    def get_ebs_default_kms_key_id(self) -> Answer:
        """Tells the region's key; AWS's own unless it was changed. Source: the API's reference."""
        self.error_on_dryrun()  # type: ignore[attr-defined]
        return Answer({"KmsKeyId": self.ec2_backend.default_kms_key_id or "alias/aws/ebs"})
