"""Answers of core/ as messages of the query service, field by field of the same name."""

from dataclasses import fields
from typing import Any, ClassVar, Protocol, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


class Answer(Protocol):
    """Any dataclass of core/answers.py or core/batch_answers.py."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def fill_message(message: M, answer: Answer) -> M:
    """Set every field of ``message`` that ``answer`` has, and return it; an integer in a string field is decimal."""
    described = message.DESCRIPTOR.fields_by_name
    for each in fields(answer):
        target, value = described[each.name], getattr(answer, each.name)
        if target.message_type is not None:
            children = getattr(message, each.name)
            for child in value if target.is_repeated else ():
                fill_message(children.add(), child)
            if not target.is_repeated:
                children.SetInParent()
                fill_message(children, value)
        elif target.is_repeated:
            getattr(message, each.name).extend(value)
        else:
            is_decimal = target.type == FieldDescriptor.TYPE_STRING and isinstance(value, int)
            setattr(message, each.name, str(value) if is_decimal else value)
    return message
