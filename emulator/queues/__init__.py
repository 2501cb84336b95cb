"""Queues: the contract of an engine, messages and settings, and the rules that apply to every engine."""
