from __future__ import annotations

import copy
import json
import pickle

import pytest

from emulator_runtime.values import AttributeDict, to_attribute_dict


def test_keys_are_attributes_at_every_depth() -> None:
    body = to_attribute_dict(
        {"type": "mail", "to": {"name": "Ada"}, "items": [{"id": 1}, [{"id": 2}]], "pair": ({"id": 3},)}
    )
    assert body.type == "mail"
    assert body.to.name == "Ada"
    assert body["items"][0].id == 1
    assert body["items"][1][0].id == 2
    assert body.pair[0].id == 3


def test_a_record_is_a_dict() -> None:
    body = to_attribute_dict({"a": {"b": 1}})
    assert isinstance(body, dict)
    assert body == {"a": {"b": 1}}
    assert json.dumps(body) == '{"a": {"b": 1}}'
    assert copy.deepcopy(body) == body
    assert isinstance(copy.deepcopy(body), AttributeDict)
    assert pickle.loads(pickle.dumps(body)) == body


def test_setting_and_deleting_an_attribute_sets_and_deletes_the_key() -> None:
    body = AttributeDict()
    body.name = "Ada"
    assert body == {"name": "Ada"}
    del body.name
    assert body == {}


def test_a_missing_attribute_names_the_keys_there_are() -> None:
    with pytest.raises(AttributeError, match="no key 'user_id'; the keys are: type, userId"):
        to_attribute_dict({"type": "x", "userId": 1}).user_id  # noqa: B018
    with pytest.raises(AttributeError, match="none, it is empty"):
        AttributeDict().x  # noqa: B018
    with pytest.raises(AttributeError):
        del AttributeDict().x
    assert not hasattr(AttributeDict(a=1), "b")


def test_the_converted_value_is_not_changed() -> None:
    value = {"a": {"b": 1}, "c": [{"d": 2}]}
    to_attribute_dict(value)
    assert type(value["a"]) is dict
    assert type(value["c"][0]) is dict  # type: ignore[index]


@pytest.mark.parametrize("value", ["text", 1, 1.5, True, None, b"bytes", [1, "a"], {1, 2}])
def test_a_value_without_a_dict_is_returned_as_it_is(value: object) -> None:
    assert to_attribute_dict(value) is value


def test_lists_stay_lists() -> None:
    assert type(to_attribute_dict([{"a": 1}])) is list


def test_to_py_gives_plain_dicts() -> None:
    plain = to_attribute_dict({"a": {"b": 1}, "c": [{"d": 2}]}).to_py()
    assert type(plain) is type(plain["a"]) is type(plain["c"][0]) is dict
