"""The default model: multilingual-e5-small, read from a wheel and written as an ordinary model folder."""
