"""A wheel file and the documents that go with it, read and written byte for byte."""
