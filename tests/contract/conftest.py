"""Lets the suite's own assertions explain themselves."""

import pytest

pytest.register_assert_rewrite("tests.contract.suite", "tests.contract.machine", "tests.support.store")
