"""Prices, and what data a change would delete."""
