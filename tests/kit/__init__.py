"""Typed helpers of the tests, by what they help to test; no test tree imports another one."""
