"""Encryption by default: the key, which moto does not tell."""

from __future__ import annotations

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.response_part import ResponsePart


class EncryptionCalls(ResponsePart):
    """Of the response: GetEbsDefaultKmsKeyId."""

    def get_ebs_default_kms_key_id(self) -> Answer:
        """Tells the region's key; AWS's own unless it was changed. Source: the API's reference."""
        self.error_on_dryrun()
        return Answer({"KmsKeyId": self.ec2_backend.default_kms_key_id or "alias/aws/ebs"})
