"""All tests. What the suites that others inherit assert explains itself, wherever they are imported first."""

import pytest

pytest.register_assert_rewrite("tests.contract.suite", "tests.contract.machine", "tests.support.store")
