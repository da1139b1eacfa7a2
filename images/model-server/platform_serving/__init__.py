"""The model server: `fetch` downloads a model, `__main__` serves it."""
