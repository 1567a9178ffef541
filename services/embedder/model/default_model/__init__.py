"""The model that comes along: multilingual-e5-small out of a wheel, made into a folder like any other's."""
