"""The catalog as its callers see it; the contract is `catalog.proto`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue

SERVICE = "shop.Catalog"
ANSWER_SECONDS = 5.0


class CatalogError(Exception):
    """The catalog gave no answer."""


class NotSoldError(Exception):
    """The catalog has no such item."""


@dataclass(frozen=True)
class Item:
    """Something that is sold.

    Attributes:
        item: Its name.
        price: In cents.
        parcel: How it is packed: `letter` or `box`.
    """

    item: str
    price: int
    parcel: str


class Catalog:
    """Calls the catalog.

    Args:
        address: `host:port`.
    """

    def __init__(self, address: str) -> None:
        channel = grpc.insecure_channel(address)
        self._list = channel.unary_unary(
            f"/{SERVICE}/List",
            request_serializer=Empty.SerializeToString,
            response_deserializer=Struct.FromString,
        )
        self._find = channel.unary_unary(
            f"/{SERVICE}/Find",
            request_serializer=StringValue.SerializeToString,
            response_deserializer=Struct.FromString,
        )

    def list(self, context: Mapping[str, str]) -> tuple[str, list[Item]]:
        """Asks for everything that is sold.

        Args:
            context: Handed on as metadata.

        Returns:
            The catalog's release, and the items.

        Raises:
            CatalogError: It does not answer.
        """
        answer = _call(self._list, Empty(), context)
        return answer["release"], [_item(found) for found in answer["items"]]

    def find(self, item: str, context: Mapping[str, str]) -> tuple[str, Item]:
        """Asks for one item.

        Args:
            item: Its name.
            context: Handed on as metadata.

        Returns:
            The catalog's release, and the item.

        Raises:
            NotSoldError: There is no such item.
            CatalogError: The catalog does not answer.
        """
        answer = _call(self._find, StringValue(value=item), context)
        return answer["release"], _item(answer)


def _call(method: Any, message: Any, context: Mapping[str, str]) -> dict[str, Any]:
    try:
        answer = method(message, metadata=tuple(context.items()), timeout=ANSWER_SECONDS)
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.NOT_FOUND:
            raise NotSoldError(error.details()) from error
        raise CatalogError(f"{error.code().name}: {error.details()}") from error
    found: dict[str, Any] = MessageToDict(answer)
    return found


def _item(found: Mapping[str, Any]) -> Item:
    # All numbers of a Struct are floating-point.
    return Item(found["item"], int(found["price"]), found["parcel"])
