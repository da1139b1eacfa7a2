"""The contents of screens and pages, as plain values; the console renders them."""
