"""Owns one file a command: parse, call, render."""
