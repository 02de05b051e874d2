"""Key pairs: deleted by their id, too."""

from __future__ import annotations

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.response_part import ResponsePart
from ec2_sandbox.errors import ApiError


class KeyPairCalls(ResponsePart):
    """Of the response: DeleteKeyPair."""

    def delete_key_pair(self) -> Answer:
        """Deletes a key pair by its id, or by its name. Source: DeleteKeyPair.

        :raises ApiError: an id that isn't there; a name that isn't is no error
        """
        name, key_id = self.params.get("KeyName"), self.params.get("KeyPairId")
        if not name and not key_id:
            message = "The request must contain the parameter KeyName or KeyPairId"
            raise ApiError("MissingParameter", message)
        pairs = self.ec2_backend.key_pairs
        found = [each for each in pairs.values() if each.id == key_id or each.key_name == name]
        if key_id and not found:
            raise ApiError("InvalidKeyPair.NotFound", f"The key pair '{key_id}' does not exist")
        self.error_on_dryrun()
        for each in found:
            del pairs[each.key_name]
            self.ec2_backend.tags.pop(each.id, None)
        return Answer({"Return": True, "KeyPairId": found[0].id if found else None})
