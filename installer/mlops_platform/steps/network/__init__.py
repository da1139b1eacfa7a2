"""Network policies and their tests."""
